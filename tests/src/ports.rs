//! Ports for servers that can't be given the port 0.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A port that is free now, below those that the kernel gives to clients: one of them could sit on it when a server comes (back).
pub fn free_port() -> SocketAddr {
    let mut random = RandomState::new().hash_one(0);
    for _ in 0..1000 {
        random = RandomState::new().hash_one(random);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000 + (random % 12_000) as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port");
}

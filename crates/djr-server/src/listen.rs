//! The sockets that the configuration asks for.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use mio::net::{TcpListener, UnixListener};

use crate::config::Config;
use crate::error::StartError;
use crate::worker::Listener;

/// Binds all of them. Returns the addresses of those of TCP, too.
pub(crate) fn listen(config: &Config) -> Result<(Vec<Listener>, Vec<SocketAddr>), StartError> {
    let mut listeners = Vec::new();
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let plain = config.bind().into_iter().map(|host| (host, false));
    let secure = config.bind().into_iter().map(|host| (host, true));
    for (host, secure) in plain.chain(secure) {
        let port = if secure {
            config.tls_port()
        } else {
            config.port()
        };
        let Some(mut port) = port else { continue };
        if port == 0 {
            // The port that the system has chosen for the first address is that of all.
            port = addresses.first().map_or(0, SocketAddr::port);
        }
        // Redis: a leading '-' means that it is no error if the address does not exist.
        let (host, may_be_absent) = match host.strip_prefix('-') {
            Some(host) => (host, true),
            None => (host.as_str(), false),
        };
        let shown = match host {
            "::*" => "[::]".to_owned(),
            host if host.contains(':') => format!("[{host}]"),
            host => host.to_owned(),
        };
        let failed = |error| StartError::Listen {
            address: format!("{shown}:{port}"),
            error,
        };
        let host = match host {
            "*" => "0.0.0.0",
            "::*" => "::",
            host => host,
        };
        let resolved = (host, port).to_socket_addrs().map_err(failed)?;
        for address in resolved {
            match listen_tcp(address, config.tcp_backlog()) {
                Ok(listener) => {
                    addresses.push(listener.local_addr()?);
                    listeners.push(match secure {
                        true => Listener::Tls(listener),
                        false => Listener::Tcp(listener),
                    });
                }
                Err(error) if may_be_absent && is_absent(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    if let Some(path) = config.unix_socket() {
        let failed = |error| StartError::UnixSocket {
            path: path.clone(),
            error,
        };
        // A socket that an earlier server left behind is in the way.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        if let Some(mode) = config.unix_socket_mode() {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, mode).map_err(failed)?;
        }
        listeners.push(Listener::Unix {
            listener,
            path: path.display().to_string(),
        });
    }
    if listeners.is_empty() {
        return Err(StartError::Nowhere);
    }
    Ok((listeners, addresses))
}

/// Whether the machine has no such address, or no such kind of address.
fn is_absent(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let absent = [
        Errno::ADDRNOTAVAIL,
        Errno::AFNOSUPPORT,
        Errno::PROTONOSUPPORT,
        Errno::NOPROTOOPT,
    ];
    Errno::from_io_error(error).is_some_and(|error| absent.contains(&error))
}

fn listen_tcp(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

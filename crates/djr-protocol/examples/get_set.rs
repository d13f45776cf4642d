//! A client with a blocking socket: sets a key, gets it back, and shows a reply of RESP3.
//!
//! `cargo run -p djr-protocol --example get_set [ADDRESS]`, with a server at 127.0.0.1:6379 or the address.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use djr_protocol::{Limits, ReplyDecoder, Value, encode_command};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Client {
    stream: TcpStream,
    decoder: ReplyDecoder,
    input: BytesMut,
}

impl Client {
    fn connect(address: &str) -> Result<Self> {
        Ok(Self {
            stream: TcpStream::connect(address)?,
            decoder: ReplyDecoder::new(),
            input: BytesMut::new(),
        })
    }

    /// Sends one command and waits for its reply.
    fn call(&mut self, words: &[&[u8]]) -> Result<Value> {
        let mut request = Vec::new();
        encode_command(&mut request, words);
        self.stream.write_all(&request)?;
        loop {
            if let Some(reply) = self.decoder.decode(&mut self.input, &Limits::default())? {
                return Ok(reply);
            }
            let mut chunk = [0; 4096];
            let received = self.stream.read(&mut chunk)?;
            if received == 0 {
                return Err("the server has closed the connection".into());
            }
            self.input.extend_from_slice(&chunk[..received]);
        }
    }
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let mut client = Client::connect(address.as_deref().unwrap_or("127.0.0.1:6379"))?;
    println!("HELLO 3: {:?}", client.call(&[b"HELLO", b"3"])?);
    println!("SET: {:?}", client.call(&[b"SET", b"greeting", b"hello"])?);
    println!("GET: {:?}", client.call(&[b"GET", b"greeting"])?);
    println!("DEL: {:?}", client.call(&[b"DEL", b"greeting"])?);
    Ok(())
}

//! A server that knows PING, ECHO and COMMAND, with blocking sockets and a thread for each connection.
//!
//! `cargo run -p djr-protocol --example echo_server`, then `redis-cli -p 7878 echo hello`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use djr_protocol::{Batch, Limits, ReplyEncoder, RequestDecoder, RespVersion};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 7878))?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || serve(stream));
    }
    Ok(())
}

/// Answers until the peer goes, or sends what is no request.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut decoder = RequestDecoder::new();
    let mut batch = Batch::new();
    // What was received and not decoded yet: at most the beginning of one request.
    let mut input = Vec::new();
    let mut output = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let received = stream.read(&mut chunk)?;
        if received == 0 {
            return Ok(());
        }
        input.extend_from_slice(&chunk[..received]);
        batch.clear();
        let decoded = decoder.decode(&input, &Limits::default(), &mut batch);
        let mut reply = ReplyEncoder::new(&mut output, RespVersion::V2);
        // All whole requests of this read; one write answers them.
        for request in batch.iter(&input) {
            match (
                request.name().to_ascii_uppercase().as_slice(),
                request.len(),
            ) {
                (b"PING", 1) => reply.simple("PONG"),
                (b"ECHO", 2) => reply.bulk(request.args(1)),
                (b"COMMAND", _) => reply.array(0),
                _ => reply.error("ERR unknown command or wrong number of arguments"),
            }
        }
        let taken = match decoded {
            Ok(taken) => taken,
            Err(error) => {
                reply.protocol_error(&error);
                return stream.write_all(&output);
            }
        };
        stream.write_all(&output)?;
        output.clear();
        input.drain(..taken);
    }
}

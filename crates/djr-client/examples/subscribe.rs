//! Prints what is published on channels: `cargo run --example subscribe -- redis://127.0.0.1:6379 news`. A server that goes away is
//! waited for, and subscribed to again.

use std::env;
use std::time::Duration;

use djr_client::{ClientError, Options, Reconnect, Subscriber};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ClientError> {
    let mut words = env::args().skip(1);
    let url = words
        .next()
        .unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let options = Options {
        reconnect: Reconnect::Attempts {
            attempts: 20,
            delay: Duration::from_millis(100),
        },
        ..Options::try_from(url.as_str()).map_err(ClientError::from)?
    };
    let mut subscriber = Subscriber::connect(options).await?;
    let channels: Vec<String> = words.collect();
    subscriber.subscribe(&channels).await?;
    loop {
        let message = subscriber.next_message().await?;
        println!(
            "{}: {}",
            String::from_utf8_lossy(&message.channel),
            String::from_utf8_lossy(&message.payload)
        );
    }
}

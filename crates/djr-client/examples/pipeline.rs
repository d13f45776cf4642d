//! Counts words with one write: `cargo run --example pipeline -- redis://127.0.0.1:6379 some words some more`.

use std::env;

use djr_client::{Client, ClientError, Pipeline};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ClientError> {
    let mut words = env::args().skip(1);
    let url = words
        .next()
        .unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let mut client = Client::connect(url.as_str()).await?;
    let words: Vec<String> = words.collect();
    let mut pipeline = Pipeline::new();
    for word in &words {
        pipeline.add(&["HINCRBY", "words", word, "1"]);
    }
    // Each command has a result of its own: one that fails does not hide the others.
    for (word, count) in words.iter().zip(client.run(&pipeline).await?) {
        match count {
            Ok(count) => println!("{word}: {}", count.as_integer().unwrap_or(0)),
            Err(error) => println!("{word}: {error}"),
        }
    }
    Ok(())
}

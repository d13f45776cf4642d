//! A client against a server that plays a script: what it expects to read, and what it answers.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use djr_client::{
    Client, ClientError, Options, Pipeline, Protocol, Reconnect, RespVersion, Subscriber, Value,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PING: &str = "*1\r\n$4\r\nPING\r\n";
const ECHO: &str = "*2\r\n$4\r\nECHO\r\n$1\r\na\r\n";

/// Reads exactly `expected`, then answers.
async fn play(stream: &mut TcpStream, expected: impl AsRef<str>, answer: &str) {
    let expected = expected.as_ref();
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), expected);
    stream.write_all(answer.as_bytes()).await.unwrap();
}

async fn listen() -> (TcpListener, Options) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let options: Options = format!("redis://127.0.0.1:{port}").parse().unwrap();
    (listener, options)
}

/// A client without a handshake, and the other end.
async fn pair(options: impl FnOnce(Options) -> Options) -> (Client, TcpStream) {
    let (listener, defaults) = listen().await;
    let options = options(Options {
        protocol: Protocol::Resp2,
        ..defaults
    });
    let (client, accepted) = tokio::join!(Client::connect(options), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

#[tokio::test]
async fn shakes_hands_in_resp3() {
    let (listener, options) = listen().await;
    let options = Options {
        username: Some("me".into()),
        password: Some(b"pw".to_vec()),
        db: 12,
        ..options
    };
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let hello = "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n";
        play(&mut stream, hello, "%1\r\n+proto\r\n:3\r\n").await;
        play(&mut stream, "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n", "+OK\r\n").await;
    };
    let (client, ()) = tokio::join!(Client::connect(options), server);
    assert_eq!(client.unwrap().protocol(), RespVersion::V3);
}

#[tokio::test]
async fn falls_back_to_resp2() {
    let (listener, options) = listen().await;
    let options = Options {
        password: Some(b"pw".to_vec()),
        ..options
    };
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let hello = "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n";
        play(&mut stream, hello, "-ERR unknown command `HELLO`\r\n").await;
        play(&mut stream, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n", "+OK\r\n").await;
    };
    let (client, ()) = tokio::join!(Client::connect(options), server);
    assert_eq!(client.unwrap().protocol(), RespVersion::V2);
}

#[tokio::test]
async fn a_refused_login_is_the_servers_error() {
    let (listener, options) = listen().await;
    let options = Options {
        password: Some(b"pw".to_vec()),
        protocol: Protocol::Resp2,
        db: 1,
        ..options
    };
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let login = "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n";
        play(&mut stream, login, "-WRONGPASS no\r\n-NOAUTH no\r\n").await;
    };
    let (client, ()) = tokio::join!(Client::connect(options), server);
    let Err(ClientError::Reply(error)) = client else {
        panic!("{client:?}");
    };
    assert_eq!(error.code(), b"WRONGPASS");
}

#[tokio::test]
async fn error_replies_are_errors_and_leave_the_connection() {
    let (mut client, mut server) = pair(|options| options).await;
    let exchange = async {
        play(&mut server, PING, "-ERR no\r\n").await;
        play(&mut server, PING, "+PONG\r\n").await;
    };
    let (replies, ()) = tokio::join!(
        async {
            (
                client.command(&["PING"]).await,
                client.command(&["PING"]).await,
            )
        },
        exchange
    );
    let error = replies.0.unwrap_err();
    assert_eq!(error.to_string(), "ERR no");
    assert!(!error.is_disconnect());
    assert_eq!(replies.1.unwrap(), Value::Simple("PONG".into()));
}

#[tokio::test]
async fn pushes_are_kept_apart_from_replies() {
    let (mut client, mut server) = pair(|options| Options {
        pushes_max: 2,
        ..options
    })
    .await;
    let answer = ">1\r\n:1\r\n>1\r\n:2\r\n>1\r\n:3\r\n+PONG\r\n";
    let (reply, ()) = tokio::join!(client.command(&["PING"]), play(&mut server, PING, answer));
    assert_eq!(reply.unwrap(), Value::Simple("PONG".into()));
    assert_eq!(client.try_next_push(), Some(vec![Value::Integer(2)]));
    assert_eq!(client.next_push().await.unwrap(), [Value::Integer(3)]);
    assert_eq!(client.try_next_push(), None);
    assert_eq!(client.pushes_lost(), 1);
}

#[tokio::test]
async fn pipelines_report_each_result() {
    let (mut client, mut server) = pair(|options| options).await;
    let mut pipeline = Pipeline::new();
    pipeline.add(&["PING"]).add(&["ECHO", "a"]).add(&["PING"]);
    let (replies, ()) = tokio::join!(
        client.run(&pipeline),
        play(
            &mut server,
            format!("{PING}{ECHO}{PING}"),
            "+1\r\n-ERR x\r\n>1\r\n:9\r\n+3\r\n"
        )
    );
    let texts: Vec<String> = replies
        .unwrap()
        .into_iter()
        .map(|reply| match reply {
            Ok(value) => String::from_utf8_lossy(value.as_bytes().unwrap()).into_owned(),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(texts, ["1", "ERR x", "3"]);
    assert_eq!(client.try_next_push(), Some(vec![Value::Integer(9)]));
    assert_eq!(client.try_next_push(), None);
}

#[tokio::test]
async fn a_late_reply_is_not_taken_for_the_next() {
    let (mut client, mut server) = pair(|options| Options {
        reply_timeout: Some(Duration::from_millis(20)),
        ..options
    })
    .await;
    let late = client.command(&["PING"]).await.unwrap_err();
    assert!(matches!(late, ClientError::Timeout(_)));
    let serve = async {
        play(&mut server, format!("{PING}{ECHO}"), "+late\r\n+a\r\n").await;
        loop {
            play(&mut server, ECHO, "+a\r\n").await;
        }
    };
    let ask = async {
        loop {
            // On a busy machine this may take too long as well, as often as it likes.
            match client.command(&["ECHO", "a"]).await {
                Err(ClientError::Timeout(_)) => {}
                reply => return reply,
            }
        }
    };
    let reply = tokio::select! { reply = ask => reply, () = serve => unreachable!() };
    assert_eq!(reply.unwrap(), Value::Simple("a".into()));
}

#[tokio::test]
async fn a_dropped_pipeline_is_not_taken_for_the_next() {
    let (mut client, mut server) = pair(|options| options).await;
    let mut pipeline = Pipeline::new();
    pipeline.add(&["PING"]).add(&["PING"]);
    // The first reply is read, then the future is dropped while it waits for the second.
    tokio::select! {
        biased;
        _ = client.run(&pipeline) => panic!("half of the replies is not enough"),
        () = async {
            play(&mut server, format!("{PING}{PING}"), "+1\r\n").await;
            tokio::task::yield_now().await;
        } => {}
    }
    let (reply, ()) = tokio::join!(
        client.command(&["ECHO", "a"]),
        play(&mut server, ECHO, "+2\r\n+a\r\n")
    );
    assert_eq!(reply.unwrap(), Value::Simple("a".into()));
}

#[tokio::test]
async fn reconnects_before_a_command_and_never_sends_it_twice() {
    let (listener, options) = listen().await;
    let options = Options {
        protocol: Protocol::Resp2,
        db: 3,
        reconnect: Reconnect::Attempts {
            attempts: 1,
            delay: Duration::ZERO,
        },
        ..options
    };
    let select = "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n";
    let server = async {
        let mut first = listener.accept().await.unwrap().0;
        play(&mut first, select, "+OK\r\n").await;
        drop(first); // While the client is idle: its next command must not be lost.
        let mut second = listener.accept().await.unwrap().0;
        play(&mut second, select, "+OK\r\n").await;
        play(&mut second, PING, "+PONG\r\n").await;
        play(&mut second, PING, "").await;
        drop(second); // With a command in hand: nobody knows whether it was executed.
        let mut third = listener.accept().await.unwrap().0;
        play(&mut third, select, "+OK\r\n").await;
        play(&mut third, ECHO, "+a\r\n").await;
    };
    let user = async {
        let mut client = Client::connect(options).await.unwrap();
        while client.is_connected() {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            client.command(&["PING"]).await.unwrap(),
            Value::Simple("PONG".into())
        );
        assert!(client.command(&["PING"]).await.unwrap_err().is_disconnect());
        assert_eq!(
            client.command(&["ECHO", "a"]).await.unwrap(),
            Value::Simple("a".into())
        );
    };
    tokio::join!(server, user);
}

#[tokio::test]
async fn without_reconnect_a_lost_connection_stays_lost() {
    let (mut client, server) = pair(|options| options).await;
    drop(server);
    assert!(client.command(&["PING"]).await.unwrap_err().is_disconnect());
    let error = client.command(&["PING"]).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_resp_is_told_apart() {
    let (mut client, mut server) = pair(|options| options).await;
    let (reply, ()) = tokio::join!(
        client.command(&["PING"]),
        play(&mut server, PING, "HTTP/1.1 400\r\n")
    );
    let error = reply.unwrap_err();
    assert!(matches!(error, ClientError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn nothing_listens() {
    let (listener, options) = listen().await;
    drop(listener);
    let error = Client::connect(options).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn commands_without_exactly_one_reply_are_refused() {
    let (mut client, _server) = pair(|options| options).await;
    let error = client.command(&["subscribe", "news"]).await.unwrap_err();
    assert!(matches!(error, ClientError::NotOneReply("SUBSCRIBE")));
    let error = client.command::<&str>(&[]).await.unwrap_err();
    assert!(matches!(error, ClientError::EmptyCommand));
    let mut pipeline = Pipeline::new();
    pipeline.add(&["PING"]).add(&["MONITOR"]);
    assert!(matches!(
        client.run(&pipeline).await.unwrap_err(),
        ClientError::NotOneReply("MONITOR")
    ));
}

/// Both sides have more to say than the sockets hold: the client must read while it writes.
#[tokio::test]
async fn a_pipeline_larger_than_the_socket_buffers_does_not_jam() {
    const COMMANDS: usize = 20_000;
    let (mut client, mut server) = pair(|options| options).await;
    let text = "x".repeat(1000);
    let mut pipeline = Pipeline::new();
    for _ in 0..COMMANDS {
        pipeline.add(&["ECHO", &text]);
    }
    let request = format!("*2\r\n$4\r\nECHO\r\n$1000\r\n{text}\r\n");
    let reply = format!("$1000\r\n{text}\r\n");
    let server = async move {
        let mut request = vec![0; request.len()];
        for _ in 0..COMMANDS {
            server.read_exact(&mut request).await.unwrap();
            server.write_all(reply.as_bytes()).await.unwrap();
        }
    };
    let (replies, ()) = tokio::join!(client.run(&pipeline), server);
    assert_eq!(replies.unwrap().len(), COMMANDS);
}

#[tokio::test]
async fn what_is_subscribed_to_is_received() {
    let (mut client, mut server) = pair(|options| options).await;
    let subscribe = "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n";
    let (received, ()) = tokio::join!(
        async {
            client.send(&["SUBSCRIBE", "a"]).await.unwrap();
            (
                client.receive().await.unwrap(),
                client.next_push().await.unwrap(),
            )
        },
        play(&mut server, subscribe, ">1\r\n:1\r\n>1\r\n:2\r\n")
    );
    assert_eq!(received.0, Value::Push(vec![Value::Integer(1)]));
    assert_eq!(received.1, vec![Value::Integer(2)]);
}

#[tokio::test]
async fn a_subscriber_listens_again_after_a_lost_connection() {
    let (listener, defaults) = listen().await;
    let options = Options {
        protocol: Protocol::Resp2,
        reconnect: Reconnect::Attempts {
            attempts: 3,
            delay: Duration::from_millis(1),
        },
        ..defaults
    };
    let subscribe = "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n";
    let confirmed = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
    let server = async {
        for text in ["1", "2"] {
            let mut stream = listener.accept().await.unwrap().0;
            play(&mut stream, subscribe, confirmed).await;
            let message = format!("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n{text}\r\n");
            stream.write_all(message.as_bytes()).await.unwrap();
        }
    };
    let listening = async {
        let mut subscriber = Subscriber::connect(options).await.unwrap();
        subscriber.subscribe(&["a"]).await.unwrap();
        let first = subscriber.next_message().await.unwrap();
        let second = subscriber.next_message().await.unwrap();
        (first.payload, second.payload)
    };
    let (payloads, ()) = tokio::join!(listening, server);
    assert_eq!(payloads, ("1".into(), "2".into()));
}

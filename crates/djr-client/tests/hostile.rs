//! A client whose futures are dropped at any moment, and whose server hangs up, falls silent, or says too much: replies never
//! shift, nothing waits for ever, and what was begun on one connection does not go on upon another.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use djr_client::{
    Client, ClientError, Limits, Options, Pipeline, Protocol, Reconnect, Subscriber, Value,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PING: &str = "*1\r\n$4\r\nPING\r\n";
const MULTI: &str = "*1\r\n$5\r\nMULTI\r\n";

fn echo(text: &str) -> String {
    format!("*2\r\n$4\r\nECHO\r\n${}\r\n{text}\r\n", text.len())
}

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
    let options = Options {
        protocol: Protocol::Resp2,
        ..format!("redis://127.0.0.1:{port}").parse().unwrap()
    };
    (listener, options)
}

async fn pair(change: impl FnOnce(Options) -> Options) -> (Client, TcpStream) {
    let (listener, options) = listen().await;
    let (client, accepted) = tokio::join!(Client::connect(change(options)), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

fn reconnecting(options: Options) -> Options {
    Options {
        reconnect: Reconnect::Attempts {
            attempts: 5,
            delay: Duration::from_millis(1),
        },
        ..options
    }
}

/// Polls a future a few times, lets the other side go on in between, and drops it.
async fn begun(future: impl Future) {
    tokio::select! {
        biased;
        _ = future => panic!("it was to be dropped"),
        () = async { for _ in 0..20 { tokio::task::yield_now().await } } => {}
    }
}

fn simple(text: &str) -> Value {
    Value::Simple(text.to_owned().into())
}

#[tokio::test]
async fn a_dropped_commands_reply_that_comes_while_waiting_for_a_push_is_left_aside_once() {
    let (mut client, mut server) = pair(|options| options).await;
    begun(client.command(&["PING"])).await;
    play(&mut server, PING, "+late\r\n>1\r\n:7\r\n").await;
    assert_eq!(client.next_push().await.unwrap(), [Value::Integer(7)]);
    // The late reply is gone: this one must not be taken for it.
    let (reply, ()) = tokio::join!(
        client.command(&["ECHO", "a"]),
        play(&mut server, echo("a"), "+a\r\n")
    );
    assert_eq!(reply.unwrap(), simple("a"));
}

#[tokio::test]
async fn a_dropped_commands_reply_is_not_received() {
    let (mut client, mut server) = pair(|options| options).await;
    begun(client.command(&["PING"])).await;
    client.send(&["ECHO", "a"]).await.unwrap();
    play(
        &mut server,
        format!("{PING}{}", echo("a")),
        "+late\r\n+a\r\n",
    )
    .await;
    assert_eq!(client.receive().await.unwrap(), simple("a"));
}

#[tokio::test]
async fn replies_that_nobody_received_are_left_aside() {
    let (mut client, mut server) = pair(|options| options).await;
    let mut pipeline = Pipeline::new();
    pipeline.add(&["PING"]).add(&["PING"]);
    client.send_all(&pipeline).await.unwrap();
    client.send_all(&pipeline).await.unwrap();
    play(&mut server, PING.repeat(4), "+1\r\n+2\r\n+3\r\n").await;
    assert_eq!(client.receive().await.unwrap(), simple("1"));
    let (reply, ()) = tokio::join!(
        client.command(&["ECHO", "a"]),
        play(&mut server, echo("a"), "+4\r\n+a\r\n")
    );
    assert_eq!(reply.unwrap(), simple("a"));
}

/// The rest of what was half sent goes out with whatever is done next, be it that something is awaited.
#[tokio::test]
async fn a_command_that_was_dropped_half_sent_is_sent_to_its_end() {
    let text = "x".repeat(32 << 20);
    for next in 0..3 {
        let (mut client, mut server) = pair(|options| options).await;
        begun(client.command(&["ECHO", &text])).await;
        let server = async {
            let mut got = vec![0; echo(&text).len()];
            server.read_exact(&mut got).await.unwrap();
            assert!(got == echo(&text).into_bytes());
            server
                .write_all(b"$4\r\nlate\r\n>1\r\n:7\r\n")
                .await
                .unwrap();
            if next == 0 {
                play(&mut server, echo("a"), "+a\r\n").await;
            }
            server
        };
        let (_server, ()) = tokio::join!(server, async {
            match next {
                0 => assert_eq!(client.command(&["ECHO", "a"]).await.unwrap(), simple("a")),
                1 => assert_eq!(client.next_push().await.unwrap(), [Value::Integer(7)]),
                _ => assert_eq!(
                    client.receive().await.unwrap(),
                    Value::Push(vec![Value::Integer(7)])
                ),
            }
        });
    }
}

#[tokio::test]
async fn half_a_command_is_no_beginning_for_another_protocol() {
    let (mut client, _server) = pair(|options| options).await;
    begun(client.command(&["ECHO", &"x".repeat(32 << 20)])).await;
    assert!(client.into_raw().is_none());
}

#[tokio::test]
async fn without_replies_nothing_is_awaited() {
    let (mut client, mut server) = pair(|options| options).await;
    client.send(&["CLIENT", "REPLY", "OFF"]).await.unwrap();
    client.send(&["PING"]).await.unwrap();
    let refused = client.command(&["PING"]).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::NotOneReply(_)),
        "{refused:?}"
    );
    let off = "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n";
    let on = "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$2\r\nON\r\n";
    let serve = async {
        play(&mut server, format!("{off}{PING}{on}"), "+OK\r\n").await;
        play(&mut server, echo("a"), "+a\r\n").await;
    };
    let ask = async {
        assert_eq!(
            client.command(&["CLIENT", "REPLY", "ON"]).await.unwrap(),
            simple("OK")
        );
        assert_eq!(client.command(&["ECHO", "a"]).await.unwrap(), simple("a"));
    };
    tokio::join!(serve, ask);
}

/// A timeout is for each reply, and for silence while something is to be sent, not for a pipeline as a whole.
#[tokio::test(start_paused = true)]
async fn a_long_pipeline_may_take_as_long_as_it_takes() {
    let limit = Duration::from_secs(2);
    let (mut client, mut server) = pair(|options| Options {
        reply_timeout: Some(limit),
        ..options
    })
    .await;
    let mut pipeline = Pipeline::new();
    (0..5).for_each(|_| {
        pipeline.add(&["PING"]);
    });
    let serve = async {
        play(&mut server, PING.repeat(5), "").await;
        for _ in 0..5 {
            tokio::time::sleep(limit * 2 / 3).await;
            server.write_all(b"+1\r\n").await.unwrap();
        }
    };
    let (replies, ()) = tokio::join!(client.run(&pipeline), serve);
    assert_eq!(replies.unwrap().len(), 5);
    let silent = client.run(&pipeline).await.unwrap_err();
    assert!(matches!(silent, ClientError::Timeout(_)), "{silent:?}");
}

#[tokio::test]
async fn a_server_that_reads_nothing_times_out() {
    let (mut client, _server) = pair(|options| Options {
        reply_timeout: Some(Duration::from_millis(50)),
        ..options
    })
    .await;
    let mut pipeline = Pipeline::new();
    pipeline.add(&["ECHO", &"x".repeat(32 << 20)]);
    for _ in 0..2 {
        let error = client.run(&pipeline).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout(_)), "{error:?}");
    }
}

/// A server with too many clients says so and hangs up, whether or not anybody asked.
#[tokio::test]
async fn last_words_are_heard() {
    for _ in 0..20 {
        let (listener, options) = listen().await;
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            stream
                .write_all(b"-ERR max number of clients reached\r\n")
                .await
                .unwrap();
        };
        let options = Options { db: 1, ..options };
        let (client, ()) = tokio::join!(Client::connect(options), server);
        let Err(ClientError::Reply(error)) = client else {
            panic!("{client:?}");
        };
        assert_eq!(error.to_string(), "ERR max number of clients reached");
    }
}

#[tokio::test]
async fn last_words_are_heard_over_a_large_request() {
    let (mut client, mut server) = pair(|options| options).await;
    let text = "x".repeat(64 << 20);
    let serve = async {
        let mut some = vec![0; 1 << 20];
        server.read_exact(&mut some).await.unwrap();
        server
            .write_all(b"-ERR Protocol error: invalid bulk length\r\n")
            .await
            .unwrap();
        server.flush().await.unwrap();
        server.shutdown().await.unwrap();
        // A server reads on for a moment, or its words would be lost with what it has not read.
        while server.read(&mut some).await.is_ok_and(|len| len > 0) {}
    };
    let (reply, ()) = tokio::join!(
        async {
            let reply = client.command(&["ECHO", &text]).await;
            drop(client);
            reply
        },
        serve
    );
    let Err(ClientError::Reply(error)) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(error.code(), b"ERR");
}

/// Where the connection is lost unnoticed between `MULTI` and the next command, that one must not be executed alone.
#[tokio::test]
async fn a_transaction_does_not_go_on_upon_another_connection() {
    for begins in [&["MULTI"][..], &["WATCH", "k"]] {
        let (listener, options) = listen().await;
        let server = async {
            let mut first = listener.accept().await.unwrap().0;
            let mut sent = vec![0; 256];
            assert!(first.read(&mut sent).await.unwrap() > 0);
            first.write_all(b"+OK\r\n").await.unwrap();
            drop(first);
            let mut second = listener.accept().await.unwrap().0;
            play(&mut second, echo("a"), "+a\r\n").await;
        };
        let user = async {
            let mut client = Client::connect(reconnecting(options)).await.unwrap();
            client.command(begins).await.unwrap();
            while client.is_connected() {
                tokio::task::yield_now().await;
            }
            let lost = client.command(&["INCR", "k"]).await.unwrap_err();
            assert!(matches!(lost, ClientError::TransactionLost), "{lost:?}");
            assert!(lost.is_disconnect());
            // Told once; from here on it is a new connection.
            assert_eq!(client.command(&["ECHO", "a"]).await.unwrap(), simple("a"));
        };
        tokio::join!(server, user);
    }
}

#[tokio::test]
async fn a_transaction_in_a_pipeline_is_over_with_it() {
    let (listener, options) = listen().await;
    let exec = "*1\r\n$4\r\nEXEC\r\n";
    let server = async {
        let mut first = listener.accept().await.unwrap().0;
        let answer = "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n";
        play(&mut first, format!("{MULTI}{PING}{exec}"), answer).await;
        drop(first);
        let mut second = listener.accept().await.unwrap().0;
        play(&mut second, PING, "+PONG\r\n").await;
    };
    let user = async {
        let mut client = Client::connect(reconnecting(options)).await.unwrap();
        let mut pipeline = Pipeline::new();
        pipeline.add(&["MULTI"]).add(&["PING"]).add(&["EXEC"]);
        client.run(&pipeline).await.unwrap();
        while client.is_connected() {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.command(&["PING"]).await.unwrap(), simple("PONG"));
    };
    tokio::join!(server, user);
}

#[tokio::test]
async fn the_selected_database_is_selected_again() {
    let (listener, options) = listen().await;
    let select = |db: u32| format!("*2\r\n$6\r\nSELECT\r\n$1\r\n{db}\r\n");
    let server = async {
        let mut first = listener.accept().await.unwrap().0;
        play(&mut first, select(1), "+OK\r\n").await;
        play(&mut first, select(5), "+OK\r\n").await;
        play(&mut first, select(9), "-ERR DB index is out of range\r\n").await;
        drop(first);
        let mut second = listener.accept().await.unwrap().0;
        play(&mut second, select(5), "+OK\r\n").await;
        play(&mut second, PING, "+PONG\r\n").await;
    };
    let user = async {
        let options = Options {
            db: 1,
            ..reconnecting(options)
        };
        let mut client = Client::connect(options).await.unwrap();
        client.command(&["SELECT", "5"]).await.unwrap();
        client.command(&["SELECT", "9"]).await.unwrap_err();
        while client.is_connected() {
            tokio::task::yield_now().await;
        }
        client.command(&["PING"]).await.unwrap();
    };
    tokio::join!(server, user);
}

/// What was sent before the loss has no replies any more; those of the next connection must not be taken for them.
#[tokio::test]
async fn a_stream_of_replies_does_not_go_on_upon_another_connection() {
    let (listener, options) = listen().await;
    let server = async {
        let mut first = listener.accept().await.unwrap().0;
        play(&mut first, PING, "").await;
        drop(first);
        let mut second = listener.accept().await.unwrap().0;
        play(&mut second, PING, "+PONG\r\n").await;
    };
    let user = async {
        let mut client = Client::connect(reconnecting(options)).await.unwrap();
        let mut pipeline = Pipeline::new();
        pipeline.add(&["PING"]);
        client.send_all(&pipeline).await.unwrap();
        while client.is_connected() {
            tokio::task::yield_now().await;
        }
        let lost = client.send_all(&pipeline).await.unwrap_err();
        assert!(matches!(lost, ClientError::Closed), "{lost:?}");
        client.send_all(&pipeline).await.unwrap();
        assert_eq!(client.receive().await.unwrap(), simple("PONG"));
    };
    tokio::join!(server, user);
}

#[tokio::test]
async fn a_dropped_reconnect_is_made_again() {
    let (listener, options) = listen().await;
    let options = Options {
        db: 1,
        ..reconnecting(options)
    };
    let select = "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n";
    let server = async {
        let mut first = listener.accept().await.unwrap().0;
        play(&mut first, select, "+OK\r\n").await;
        drop(first);
        // The handshake of the second is never answered, and given up.
        let mut second = listener.accept().await.unwrap().0;
        let mut sent = [0; 256];
        while second.read(&mut sent).await.is_ok_and(|len| len > 0) {}
        let mut third = listener.accept().await.unwrap().0;
        play(&mut third, select, "+OK\r\n").await;
        play(&mut third, PING, "+PONG\r\n").await;
    };
    let user = async {
        let mut client = Client::connect(options).await.unwrap();
        while client.is_connected() {
            tokio::task::yield_now().await;
        }
        begun(client.command(&["ECHO", "a"])).await;
        assert_eq!(client.command(&["PING"]).await.unwrap(), simple("PONG"));
    };
    tokio::join!(server, user);
}

#[tokio::test]
async fn a_subscription_that_was_dropped_half_sent_is_made() {
    let (listener, options) = listen().await;
    let names: Vec<String> = (0..40)
        .map(|n| format!("{n}{}", "x".repeat(1 << 20)))
        .collect();
    let serve = async {
        let mut stream = listener.accept().await.unwrap().0;
        let len = 3 + 2 + 4 + 11 + names.iter().map(|name| name.len() + 12).sum::<usize>();
        let mut got = vec![0; len];
        for _ in 0..40 {
            tokio::task::yield_now().await;
        }
        stream.read_exact(&mut got).await.unwrap();
        stream
            .write_all(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n")
            .await
            .unwrap();
        stream
    };
    let listening = async {
        let mut subscriber = Subscriber::connect(options).await.unwrap();
        begun(subscriber.subscribe(&names)).await;
        subscriber.next_message().await.unwrap()
    };
    let (message, _stream) = tokio::join!(listening, serve);
    assert_eq!(&message.payload[..], b"b");
}

/// A server promises more than there can be, or goes deeper than anybody should follow.
#[tokio::test]
async fn too_much_is_an_error_and_not_a_crash() {
    let deep = "*1\r\n".repeat(100_000);
    for answer in [
        "*2147483648\r\n",
        "$536870913\r\n",
        "$-2\r\n",
        "*1\r\n$99999999999999999999\r\n",
        &deep,
    ] {
        let (mut client, mut server) = pair(|options| options).await;
        let (reply, ()) = tokio::join!(client.command(&["PING"]), play(&mut server, PING, answer));
        let error = reply.unwrap_err();
        assert!(
            matches!(error, ClientError::Protocol(_)),
            "{answer:.20}: {error:?}"
        );
        assert!(!client.is_connected());
    }
    // A promise that is not kept costs no memory, only time.
    let (mut client, mut server) = pair(|options| Options {
        reply_timeout: Some(Duration::from_millis(50)),
        ..options
    })
    .await;
    let (reply, ()) = tokio::join!(
        client.command(&["PING"]),
        play(&mut server, PING, "*2147483647\r\n$536870912\r\nx")
    );
    assert!(matches!(reply.unwrap_err(), ClientError::Timeout(_)));
}

#[tokio::test]
async fn a_huge_reply_comes_whole_however_it_is_cut() {
    const LEN: usize = 48 << 20;
    let (mut client, mut server) = pair(|options| Options {
        limits: Limits {
            bulk_len_max: LEN,
            ..Limits::default()
        },
        ..options
    })
    .await;
    let serve = async move {
        play(&mut server, PING, &format!("${LEN}\r\n")).await;
        let bytes: Vec<u8> = (0..LEN).map(|index| index as u8).collect();
        for part in bytes.chunks(777_777) {
            server.write_all(part).await.unwrap();
        }
        server.write_all(b"\r\n").await.unwrap();
        play(&mut server, echo("a"), "+a\r\n").await;
    };
    let (reply, ()) = tokio::join!(
        async {
            let reply = client.command(&["PING"]).await;
            assert_eq!(client.command(&["ECHO", "a"]).await.unwrap(), simple("a"));
            reply
        },
        serve
    );
    let Value::Bulk(bytes) = reply.unwrap() else {
        panic!("no string")
    };
    assert_eq!(bytes.len(), LEN);
    assert!(
        bytes
            .iter()
            .enumerate()
            .all(|(index, byte)| *byte == index as u8)
    );
}

#[tokio::test]
async fn debug_tells_no_passwords() {
    let (mut client, _server) = pair(|options| options).await;
    let secret = format!("hunter2{}", "x".repeat(32 << 20));
    begun(client.command(&["AUTH", &secret])).await;
    assert!(format!("{client:?}").len() < 2000);
    let mut pipeline = Pipeline::new();
    pipeline.add(&["AUTH", "hunter2"]);
    assert_eq!(
        format!("{pipeline:?}"),
        "Pipeline { commands: 1, bytes: 27, .. }"
    );
}

/// A task may be moved between threads while it waits.
#[test]
fn what_waits_can_be_sent() {
    fn is_send<T: Send>(_: &T) {}
    let check = |client: &'static mut Client, pipeline: &'static Pipeline| {
        is_send(&client.run(pipeline));
    };
    let _ = check;
    fn send<T: Send + Sync>() {}
    send::<Client>();
    send::<Subscriber>();
    send::<ClientError>();
}

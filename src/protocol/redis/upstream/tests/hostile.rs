//! Servers that do what Redis does not.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::OpenError;
use super::super::settings::Upstream;
use super::super::wire::LOGIN_BYTES_MAX;
use super::rig::{connector, soon, tcp, upstream};
use crate::protocol::redis::testing::Server;

const LIMIT: Duration = Duration::from_millis(300);

/// What becomes of a login that is answered so; `is_ended`: and then the connection ends.
async fn login(answer: Vec<u8>, is_ended: bool) -> OpenError {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        // The login, in one write.
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(&answer).await;
        if !is_ended {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    });
    let endpoints = vec![tcp(port)];
    let upstream = Upstream { endpoints, login_timeout: LIMIT, ..upstream(Server::shared(), "r") };
    let connector = connector(upstream);
    let error = soon("an error", connector.open(b"app")).await.expect_err("that is no Redis");
    serving.abort();
    error
}

fn info(lines: &str) -> Vec<u8> {
    let head = format!("+OK\r\n:7\r\n${}\r\n{lines}\r\n", lines.len());
    [head.as_bytes(), b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n+PONG\r\n"].concat()
}

#[tokio::test]
async fn what_is_no_redis_is_refused_in_bounded_time_and_memory() {
    let protocol: &[&[u8]] = &[
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+PONG\r\n",
        b"+OK\r\n:x\r\n",
        b"+OK\r\n:-7\r\n$0\r\n\r\n*0\r\n+PONG\r\n",
        &b"*1\r\n".repeat(1_000),
        &info("redis_mode:standalone"),
        &info("redis_version:7.0.0\r\nrun_id:"),
        &[b"$1000000000\r\n", &vec![b'x'; LOGIN_BYTES_MAX + 1][..]].concat(),
        &[b"*1000000000\r\n", &b":1\r\n".repeat(LOGIN_BYTES_MAX)[..]].concat(),
    ];
    for answer in protocol {
        let error = login(answer.to_vec(), false).await;
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(40)]).into_owned();
        assert!(matches!(error, OpenError::Protocol { .. }), "{shown:?}: {error}");
    }
    for answer in
        [&b""[..], b"+OK", b"$9223372036854775807\r\nx", b"*9223372036854775807\r\n:1\r\n"]
    {
        let error = login(answer.to_vec(), false).await;
        assert!(matches!(error, OpenError::Timeout { .. }), "{answer:?}: {error}");
    }
    for answer in [&b""[..], b"+OK"] {
        let error = login(answer.to_vec(), true).await;
        assert!(matches!(error, OpenError::Unreachable { .. }), "{answer:?}: {error}");
    }
    assert!(matches!(login(b"+OK\r\n".to_vec(), true).await, OpenError::Protocol { .. }));
}

#[tokio::test]
async fn what_servers_say_of_themselves() {
    let old = login(info("redis_version:6.0.16\r\nrun_id:a\r\nredis_mode:standalone"), false).await;
    assert!(old.to_string().contains("is Redis 6.0.16; Palisade needs 6.2"), "{old}");
    let full = login(b"-ERR max number of clients reached\r\n".to_vec(), true).await;
    assert!(matches!(full, OpenError::Full { .. }), "{full}");
    for (answer, is_retryable) in [
        (&b"+OK\r\n-LOADING Redis is loading the dataset in memory\r\n"[..], true),
        (b"-BUSY Redis is busy running a script\r\n", true),
        (b"-DENIED Redis is running in protected mode\r\n", false),
    ] {
        let error = login(answer.to_vec(), true).await;
        assert_eq!(error.is_retryable(), is_retryable, "{error}");
    }
}

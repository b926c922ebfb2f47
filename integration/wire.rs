//! A connection on which a test says byte by byte what it wants, and that it keeps open.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::rig::{Client, Duplex, Reply};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open connection.
pub struct Wire {
    stream: Box<dyn Duplex>,
    /// What was read and not yet asked for.
    read: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub async fn open(client: &Client) -> Self {
        Self { stream: client.connect().await.unwrap(), read: Vec::new() }
    }

    /// Sends.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.unwrap().unwrap();
    }

    /// Sends a request without a body and reads its answer.
    pub async fn ask(&mut self, request: &str, token: &str) -> Reply {
        let token =
            if token.is_empty() { String::new() } else { format!("Fencing-Token: {token}\r\n") };
        let length = if request.starts_with("GET") { "" } else { "Content-Length: 0\r\n" };
        self.say(format!("{request} HTTP/1.1\r\nHost: localhost\r\n{token}{length}\r\n")).await;
        self.answer().await.expect("an answer")
    }

    /// Reads the head of an answer and nothing more; empty when the connection ends before.
    pub async fn head(&mut self) -> String {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            if self.more().await.is_none() {
                return String::new();
            }
        };
        String::from_utf8(self.read.drain(..end).collect()).unwrap()
    }

    /// Reads an answer; `None` when the connection ends before.
    pub async fn answer(&mut self) -> Option<Reply> {
        let head = self.head().await;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse::<StatusCode>().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name = name.parse::<HeaderName>().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let len = headers.get("content-length").map_or("0", |value| value.to_str().unwrap());
        let len = len.parse::<usize>().unwrap();
        while self.read.len() < len {
            self.more().await?;
        }
        let body = Bytes::from(self.read.drain(..len).collect::<Vec<_>>());
        Some(Reply { status, headers, body, trailers: HeaderMap::new() })
    }

    /// So many bytes; `None` when the connection ends before.
    pub async fn exactly(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.read.len() < bytes {
            self.more().await?;
        }
        Some(self.read.drain(..bytes).collect())
    }

    /// Sends what may no longer be taken; false once it is not.
    pub async fn try_say(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(PATIENCE, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await.is_some() {}
        std::mem::take(&mut self.read)
    }

    /// Reads and drops so many bytes.
    pub async fn skip(&mut self, mut bytes: usize) {
        while bytes > 0 {
            if self.read.is_empty() {
                self.more().await.expect("more bytes");
            }
            let now = bytes.min(self.read.len());
            self.read.drain(..now);
            bytes -= now;
        }
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 << 10];
        match timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("bytes in time") {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                Some(())
            }
        }
    }
}

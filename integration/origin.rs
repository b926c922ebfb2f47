//! A store of the tests that misbehaves on purpose, and counts what reaches it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An answer with a trailer, for those who take them.
const TRAILING: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-checksum\r\n\
                        \r\n3\r\nabc\r\n0\r\nx-checksum: 900150\r\n\r\n";

/// What it does to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manner {
    /// Takes it whole and answers.
    Answers,
    /// Answers 403 at the head and reads nothing more.
    AnswersEarly,
    /// Reads the head and hangs up.
    HangsUpAtHead,
    /// Reads it whole and hangs up.
    HangsUp,
    /// Reads it whole and says nothing.
    Hangs,
}

/// It serves until the test ends.
#[derive(Clone, Debug)]
pub struct Origin {
    pub address: SocketAddr,
    heads: Arc<AtomicUsize>,
    whole: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl Origin {
    /// Starts it.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let zero = || Arc::new(AtomicUsize::new(0));
        let address = listener.local_addr().unwrap();
        let origin = Self { address, heads: zero(), whole: zero(), bytes: zero() };
        let serving = origin.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let origin = serving.clone();
                tokio::spawn(async move { origin.serve(stream, manner).await });
            }
        });
        origin
    }

    /// Requests whose head has arrived, whose last byte has, and bytes of bodies.
    pub fn seen(&self) -> (usize, usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (count(&self.heads), count(&self.whole), count(&self.bytes))
    }

    /// One request after the other; the end of the connection ends it.
    async fn serve(&self, mut stream: TcpStream, manner: Manner) -> Option<()> {
        let mut read = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                    break at + 4;
                }
                stream.read_buf(&mut read).await.ok().filter(|count| *count > 0)?;
            };
            let head = String::from_utf8(read.drain(..end).collect()).ok()?.to_ascii_lowercase();
            self.heads.fetch_add(1, Ordering::SeqCst);
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut left = length.map_or(0, |length| length.parse::<usize>().unwrap());
            match manner {
                Manner::HangsUpAtHead => return None,
                Manner::AnswersEarly => {
                    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nearly";
                    stream.write_all(answer.as_bytes()).await.ok()?;
                    std::future::pending::<()>().await;
                }
                _ => {}
            }
            let is_chunked = head.contains("transfer-encoding: chunked");
            while is_chunked && !read.ends_with(b"0\r\n\r\n") {
                // Without trailers; with some it never ends.
                stream.read_buf(&mut read).await.ok().filter(|count| *count > 0)?;
            }
            if is_chunked {
                read.clear();
            }
            while left > 0 {
                if read.is_empty() {
                    stream.read_buf(&mut read).await.ok().filter(|count| *count > 0)?;
                }
                let now = left.min(read.len());
                read.drain(..now);
                left -= now;
                self.bytes.fetch_add(now, Ordering::SeqCst);
            }
            self.whole.fetch_add(1, Ordering::SeqCst);
            match manner {
                Manner::Answers => {
                    let answer = match head.contains("te: trailers") {
                        true => TRAILING,
                        false => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                    };
                    stream.write_all(answer.as_bytes()).await.ok()?;
                }
                Manner::Hangs => std::future::pending().await,
                _ => return None,
            }
        }
    }
}

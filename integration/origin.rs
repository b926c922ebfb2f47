//! A store of the tests that misbehaves on purpose, and counts what reaches it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
    trailers: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    /// Starts it.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let zero = || Arc::new(AtomicUsize::new(0));
        let address = listener.local_addr().unwrap();
        let origin =
            Self { address, heads: zero(), whole: zero(), bytes: zero(), trailers: Arc::default() };
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

    /// The trailers that came.
    pub fn trailers(&self) -> Vec<String> {
        self.trailers.lock().unwrap().clone()
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
            if head.contains("transfer-encoding: chunked") {
                // Up to the empty line behind the last chunk; the tests' bodies have none.
                while !read.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut read).await.ok().filter(|count| *count > 0)?;
                }
                let text = String::from_utf8(std::mem::take(&mut read)).ok()?;
                let (_, behind) = text.split_once("\r\n0\r\n")?;
                let trailers = behind.lines().filter(|line| !line.is_empty()).map(str::to_owned);
                self.trailers.lock().unwrap().extend(trailers);
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
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    stream.write_all(answer.as_bytes()).await.ok()?;
                }
                Manner::Hangs => std::future::pending().await,
                _ => return None,
            }
        }
    }
}

//! A client that speaks Redis's protocol value by value, and can stop anywhere.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::value::{Value, command, words};
use crate::rig::Duplex;

/// How long any one value may take to come.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes that are read at once.
const PART_BYTES: usize = 256 << 10;

/// What a session was told that was cut without a word.
pub const CUT: &str = "CUT";

/// A session.
pub struct Wire {
    pub reading: Reading,
    writing: WriteHalf<Box<dyn Duplex>>,
    /// What came unasked, so far.
    pub pushes: Vec<Value>,
}

/// What comes.
pub struct Reading {
    stream: ReadHalf<Box<dyn Duplex>>,
    buffer: Vec<u8>,
    /// Where in the buffer the next value begins.
    at: usize,
}

impl Wire {
    /// A connection on which nothing has been said yet.
    pub fn raw(stream: Box<dyn Duplex>) -> Self {
        let (stream, writing) = tokio::io::split(stream);
        let reading = Reading { stream, buffer: Vec::new(), at: 0 };
        Self { reading, writing, pushes: Vec::new() }
    }

    /// Sends bytes. If nobody takes them any more, the answer tells why.
    pub async fn send(&mut self, bytes: &[u8]) {
        send(&mut self.writing, bytes).await;
    }

    /// Sends a command whose words have single spaces between them.
    pub async fn tell(&mut self, line: &str) {
        self.send(&words(line)).await;
    }

    /// The same, and what is answered to it.
    pub async fn say(&mut self, line: &str) -> String {
        self.tell(line).await;
        self.hear().await
    }

    /// A command whose arguments may have spaces in them, and its answer.
    pub async fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Value {
        self.send(&command(arguments)).await;
        self.answer().await.unwrap_or_else(|| Value::Error(CUT.to_owned()))
    }

    /// Commands all at once, and their answers.
    pub async fn pipe(&mut self, lines: &[&str]) -> Vec<String> {
        let bytes: Vec<u8> = lines.iter().flat_map(|line| words(line)).collect();
        self.send(&bytes).await;
        let mut answers = Vec::new();
        for _ in lines {
            answers.push(self.hear().await);
        }
        answers
    }

    /// The next answer as text; `CUT` at the end of the connection.
    pub async fn hear(&mut self) -> String {
        self.answer().await.map_or(CUT.to_owned(), |value| value.to_string())
    }

    /// The next answer, without what comes unasked.
    pub async fn answer(&mut self) -> Option<Value> {
        loop {
            let value = self.reading.next().await?;
            if !value.is_push() {
                return Some(value);
            }
            self.pushes.push(value);
        }
    }

    /// The next value, whatever it is.
    pub async fn next(&mut self) -> Option<Value> {
        self.reading.next().await
    }

    /// Whether nothing comes for that long.
    pub async fn is_silent(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.reading.more()).await.is_err()
            && self.reading.at == self.reading.buffer.len()
    }

    /// What the session is told last before the connection ends.
    pub async fn farewell(&mut self) -> String {
        let mut last = CUT.to_owned();
        while let Some(value) = self.next().await {
            last = value.to_string();
        }
        last
    }

    /// Says that nothing more will come from here.
    pub async fn half_close(&mut self) {
        let _ = self.writing.shutdown().await;
    }

    /// Both directions, for tasks of their own.
    pub fn apart(self) -> (Reading, WriteHalf<Box<dyn Duplex>>) {
        (self.reading, self.writing)
    }
}

impl Reading {
    /// The next value; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((value, length)) = Value::read(&self.buffer[self.at..]) {
                self.at += length;
                return Some(value);
            }
            let more = tokio::time::timeout(DEADLINE, self.more()).await;
            if !more.expect("an answer within the deadline") {
                return None;
            }
        }
    }

    /// Whatever comes next, as it is.
    pub async fn bytes(&mut self) -> Option<Vec<u8>> {
        let more = tokio::time::timeout(DEADLINE, self.more()).await;
        let is_there = more.expect("something within the deadline");
        is_there.then(|| self.buffer.split_off(self.at))
    }

    /// Reads on; false at the end.
    async fn more(&mut self) -> bool {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.reserve(PART_BYTES);
        // TLS that ends without a farewell is an end, too.
        self.stream.read_buf(&mut self.buffer).await.is_ok_and(|read| read > 0)
    }
}

/// Sends bytes as far as somebody takes them.
pub async fn send(writing: &mut WriteHalf<Box<dyn Duplex>>, bytes: &[u8]) {
    let _ = tokio::time::timeout(DEADLINE, writing.write_all(bytes)).await;
    let _ = writing.flush().await;
}

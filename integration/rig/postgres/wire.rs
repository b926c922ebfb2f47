//! A client that speaks PostgreSQL's protocol message by message, and can stop anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::message::{Told, VERSION_3_0, copy_data, extended, query, startup, tagged, untagged};
use crate::rig::Duplex;

/// How long any one message may take to come.
const DEADLINE: Duration = Duration::from_secs(60);

/// A session.
pub struct Wire {
    stream: Box<dyn Duplex>,
    /// What was read and is not a whole message yet.
    buffer: Vec<u8>,
    /// What cancels its statements.
    pub key: (u32, Vec<u8>),
    /// What the server has reported, kept up to date.
    pub parameters: BTreeMap<String, String>,
    /// What other sessions have notified: channel and payload.
    pub notifications: Vec<(String, String)>,
}

/// What came back, up to ReadyForQuery, the end of the connection or a COPY.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    rows: Vec<Vec<String>>,
    /// One for each CommandComplete.
    pub tags: Vec<String>,
    /// FATAL ones too.
    pub errors: Vec<Told>,
    pub notices: Vec<Told>,
    /// What a COPY to the client has sent.
    pub copied: Vec<u8>,
    /// `I`, `T` or `E`; `None` when the connection has ended, and in a COPY from the client.
    pub status: Option<char>,
    /// Whether the server waits for COPY data.
    pub is_copying: bool,
}

impl Wire {
    /// A connection on which nothing has been said yet.
    pub fn raw(stream: Box<dyn Duplex>) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            key: (0, Vec::new()),
            parameters: BTreeMap::new(),
            notifications: Vec::new(),
        }
    }

    /// Starts a session on a connection.
    ///
    /// # Errors
    /// What the server says instead of letting it in.
    pub async fn open(stream: Box<dyn Duplex>, parameters: &[(&str, &str)]) -> Result<Self, Told> {
        let mut wire = Self::raw(stream);
        wire.send(&startup(VERSION_3_0, parameters)).await;
        let mut answer = wire.answer().await;
        match answer.errors.pop() {
            Some(error) => Err(error),
            None if answer.status.is_none() => Err(Told::cut()),
            None => Ok(wire),
        }
    }

    /// Sends bytes. If nobody takes them any more, the answer tells why.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(DEADLINE, self.stream.write_all(bytes)).await;
        let _ = self.stream.flush().await;
    }

    /// One statement, or several, in the simple protocol.
    pub async fn simple(&mut self, sql: &str) -> Answer {
        self.send(&query(sql)).await;
        self.answer().await
    }

    /// One statement in the extended protocol.
    pub async fn extended(&mut self, sql: &str, values: &[&str]) -> Answer {
        self.send(&extended(sql, values)).await;
        self.sync().await;
        self.answer().await
    }

    /// `Sync`.
    pub async fn sync(&mut self) {
        self.send(&tagged(b'S', &[])).await;
    }

    /// The only value of the only row.
    pub async fn value(&mut self, sql: &str) -> String {
        self.simple(sql).await.value()
    }

    /// A whole COPY from the client in the simple protocol.
    pub async fn copy_in(&mut self, sql: &str, data: &str) -> Answer {
        self.send(&query(sql)).await;
        let begun = self.answer().await;
        if !begun.is_copying {
            return begun;
        }
        self.send(&copy_data(data)).await;
        self.send(&tagged(b'c', &[])).await;
        self.answer().await
    }

    /// Everything up to the next ReadyForQuery, the end of the connection, or the moment from
    /// which the server waits for COPY data.
    pub async fn answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        while let Some((tag, body)) = self.next().await {
            match tag {
                b'Z' => {
                    answer.status = Some(char::from(body[0]));
                    return answer;
                }
                b'G' => {
                    answer.is_copying = true;
                    return answer;
                }
                b'D' => answer.rows.push(row(&body)),
                b'C' => answer.tags.push(text(&body)),
                b'E' => answer.errors.push(Told::parse(&body)),
                b'N' => answer.notices.push(Told::parse(&body)),
                b'd' => answer.copied.extend(&body),
                b'R' => assert_eq!(body, [0; 4], "the server wants a password"),
                _ => {}
            }
        }
        answer
    }

    /// The next message; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(length) = self.buffer.get(1..5) {
                let end = 1 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
                if self.buffer.len() >= end {
                    let message: Vec<u8> = self.buffer.drain(..end).collect();
                    let (tag, body) = (message[0], message[5..].to_vec());
                    self.note(tag, &body);
                    return Some((tag, body));
                }
            }
            let mut part = vec![0; 64 * 1024];
            let reading = tokio::time::timeout(DEADLINE, self.stream.read(&mut part)).await;
            match reading.expect("an answer within the deadline") {
                // TLS that ends without a farewell is an end, too.
                Ok(0) | Err(_) => return None,
                Ok(read) => self.buffer.extend(&part[..read]),
            }
        }
    }

    /// Whether nothing comes for that long.
    pub async fn is_silent(&mut self, time: Duration) -> bool {
        let mut part = [0; 4096];
        match tokio::time::timeout(time, self.stream.read(&mut part)).await {
            Err(_) => true,
            Ok(read) => {
                self.buffer.extend(&part[..read.unwrap_or(0)]);
                false
            }
        }
    }

    fn note(&mut self, tag: u8, body: &[u8]) {
        let texts = |body: &[u8]| -> Vec<String> { body.split(|b| *b == 0).map(text).collect() };
        match tag {
            b'S' => {
                let texts = texts(body);
                self.parameters.insert(texts[0].clone(), texts[1].clone());
            }
            b'A' => {
                let texts = texts(&body[4..]);
                self.notifications.push((texts[0].clone(), texts[1].clone()));
            }
            b'K' => {
                self.key = (u32::from_be_bytes(body[..4].try_into().unwrap()), body[4..].to_vec());
            }
            _ => {}
        }
    }

    /// The process of the server that serves it.
    pub async fn backend(&mut self) -> String {
        self.value("SELECT pg_backend_pid()").await
    }

    /// What the session is told last before the connection ends.
    pub async fn farewell(&mut self) -> Told {
        let answer = self.answer().await;
        assert_eq!(answer.status, None, "the session goes on: {answer:?}");
        answer.errors.last().cloned().unwrap_or_else(Told::cut)
    }
}

impl Answer {
    /// The rows, `NULL` as an empty text; fails if there was an error.
    pub fn rows(&self) -> &[Vec<String>] {
        self.good();
        &self.rows
    }

    /// The only value of the only row.
    pub fn value(&self) -> String {
        let rows = self.rows();
        assert!(rows.len() == 1 && rows[0].len() == 1, "one value: {self:?}");
        rows[0][0].clone()
    }

    /// Fails if there was an error or the connection has ended.
    pub fn good(&self) -> &Self {
        assert!(self.errors.is_empty() && (self.status.is_some() || self.is_copying), "{self:?}");
        self
    }

    /// The error; fails if there was none.
    pub fn error(&self) -> &Told {
        self.errors.first().unwrap_or_else(|| panic!("no error: {self:?}"))
    }

    /// The SQLSTATE of the error; empty if there was none.
    pub fn code(&self) -> &str {
        self.errors.first().map_or("", Told::code)
    }
}

/// Asks a server, on a connection of its own, to cancel what the session of that key does.
pub async fn cancel(mut stream: Box<dyn Duplex>, key: &(u32, Vec<u8>)) {
    let mut body = 80_877_102_u32.to_be_bytes().to_vec();
    body.extend(key.0.to_be_bytes());
    body.extend(&key.1);
    stream.write_all(&untagged(&body)).await.unwrap();
    stream.flush().await.unwrap();
    // The server closes it when the signal is on its way.
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, [0_u8; 0], "a request to cancel is never answered");
}

fn row(body: &[u8]) -> Vec<String> {
    let mut rest = &body[2..];
    let mut values = Vec::new();
    while let Some((length, more)) = rest.split_first_chunk::<4>() {
        let bytes = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        values.push(String::from_utf8_lossy(&more[..bytes]).into_owned());
        rest = &more[bytes..];
    }
    values
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim_end_matches('\0').to_owned()
}

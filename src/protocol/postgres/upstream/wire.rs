//! A connection to a server as messages: for logging in, and for statements of our own.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::super::codec::frame::{self, FrameError, HEADER_BYTES, Side};
use super::super::codec::message::read::{ErrorFields, data_row};
use super::super::codec::message::write;
use crate::net::stream::Stream;

/// The longest message that is taken while logging in, and in answer to a statement of ours.
pub(in crate::protocol::postgres) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Rows that a statement of ours may bring.
pub(in crate::protocol::postgres) const ROWS_MAX: usize = 100_000;

/// How long a statement of ours may take. None of them waits for a lock.
pub(in crate::protocol::postgres) const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are asked for at once.
const READ_BYTES: usize = 4 * 1024;

/// A row in text format; `None` is NULL.
pub(in crate::protocol::postgres) type Row = Vec<Option<String>>;

/// An error as the server has put it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message} (SQLSTATE {code}{})", detail.as_deref().map(|it| format!("; {it}")).unwrap_or_default())]
pub(in crate::protocol::postgres) struct ServerError {
    /// SQLSTATE.
    pub(in crate::protocol::postgres) code: String,
    pub(in crate::protocol::postgres) message: String,
    pub(in crate::protocol::postgres) detail: Option<String>,
}

impl ServerError {
    /// Of an ErrorResponse's body.
    pub(in crate::protocol::postgres) fn read(body: &[u8]) -> Self {
        let fields = ErrorFields::parse(body).unwrap_or_default();
        Self {
            code: fields.code.into_owned(),
            message: fields.message.into_owned(),
            detail: Some(fields.detail.into_owned()).filter(|detail| !detail.is_empty()),
        }
    }
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(in crate::protocol::postgres) enum WireError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the server does what PostgreSQL does not: {0}")]
    Protocol(&'static str),
}

/// Why a statement brought no rows.
#[derive(Debug, thiserror::Error)]
pub(in crate::protocol::postgres) enum QueryError {
    /// The server refused it; the connection can be used further.
    #[error("{0}")]
    Refused(ServerError),
    /// The connection is over.
    #[error("{0}")]
    Over(String),
}

/// One message of the server.
pub(in crate::protocol::postgres) struct Message {
    pub(in crate::protocol::postgres) tag: u8,
    pub(in crate::protocol::postgres) body: Vec<u8>,
}

/// See the module.
pub(in crate::protocol::postgres) struct Wire {
    stream: Stream,
    read: Vec<u8>,
}

impl Wire {
    pub(in crate::protocol::postgres) fn new(stream: Stream) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// The stream, and what was read of it beyond the last message.
    pub(in crate::protocol::postgres) fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.read)
    }

    pub(in crate::protocol::postgres) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(in crate::protocol::postgres) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next message. What was read stays when the future is dropped.
    pub(in crate::protocol::postgres) async fn message(&mut self) -> Result<Message, WireError> {
        loop {
            if let Some(header) = frame::header(Side::Server, &self.read)? {
                if header.len > MESSAGE_BYTES_MAX {
                    return Err(WireError::Protocol("its message is longer than 64 KiB"));
                }
                let end = HEADER_BYTES + header.len;
                if let Some(body) = self.read.get(HEADER_BYTES..end) {
                    let body = body.to_vec();
                    self.read.drain(..end);
                    return Ok(Message { tag: header.tag, body });
                }
            }
            self.read.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Runs one statement by the simple protocol, within [`QUERY_TIMEOUT`]. After an error other
    /// than [`QueryError::Refused`], and when the future was dropped, the connection is of no use.
    pub(in crate::protocol::postgres) async fn query(
        &mut self,
        text: &str,
    ) -> Result<Vec<Row>, QueryError> {
        let over = |error: WireError| QueryError::Over(error.to_string());
        let answer = async {
            let mut asked = Vec::new();
            write::query(&mut asked, text);
            self.send(&asked).await.map_err(|error| over(error.into()))?;
            let (mut rows, mut refused) = (Vec::new(), None);
            loop {
                let message = self.message().await.map_err(over)?;
                match message.tag {
                    b'D' if rows.len() < ROWS_MAX => {
                        rows.push(row(&message.body).map_err(over)?);
                    }
                    b'D' => return Err(over(WireError::Protocol("its answer has too many rows"))),
                    b'E' => {
                        let error = ServerError::read(&message.body);
                        // Nothing follows.
                        if ErrorFields::parse(&message.body).is_ok_and(|it| it.is_fatal()) {
                            return Err(QueryError::Over(error.to_string()));
                        }
                        refused = Some(error);
                    }
                    b'Z' => {
                        return refused.map_or(Ok(rows), |error| Err(QueryError::Refused(error)));
                    }
                    b'T' | b'C' | b'I' | b'N' | b'S' | b'A' => {}
                    _ => return Err(over(WireError::Protocol("it answers no query"))),
                }
            }
        };
        let late = || QueryError::Over(format!("no answer within {} s", QUERY_TIMEOUT.as_secs()));
        timeout(QUERY_TIMEOUT, answer).await.unwrap_or_else(|_| Err(late()))
    }
}

fn row(body: &[u8]) -> Result<Row, WireError> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Ok(data_row(body)?.into_iter().map(|value| value.map(text)).collect())
}

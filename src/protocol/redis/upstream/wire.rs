//! A connection to a server or a Sentinel on which Palisade asks for itself: for logging in, and
//! for commands of its own. It speaks RESP2.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use redis::{Value, ValueCodec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_util::codec::Decoder as _;
use zeroize::Zeroizing;

use crate::net::stream::Stream;

/// Bytes that may be read in answer to one asking. A list of 100,000 clients has about 40 MB.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a login's answers.
pub const LOGIN_BYTES_MAX: usize = 64 * 1024;

/// How long a server may take to answer Palisade's own commands, before another connection is
/// tried. While a script runs, a server answers nothing for `busy-reply-threshold` (5 s).
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are asked for at once.
const READ_BYTES: usize = 16 * 1024;

/// Why there is no answer. The connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it does what Redis does not: {0}")]
    Protocol(String),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

/// Commands that are sent in one write. What they say is wiped from memory after use: one of
/// them may bring a password.
#[derive(Default)]
pub(super) struct Batch(Vec<Zeroizing<Vec<u8>>>);

impl Batch {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Commands that are bytes already.
    #[cfg(test)]
    pub(super) fn of_bytes(bytes: Vec<u8>, count: usize) -> Self {
        let mut batch = Self(vec![Zeroizing::new(bytes)]);
        batch.0.resize_with(count, Zeroizing::default);
        batch
    }

    pub(super) fn push(&mut self, command: &[&[u8]]) {
        let args: Zeroizing<Vec<Vec<u8>>> =
            Zeroizing::new(command.iter().map(|it| it.to_vec()).collect());
        self.0.push(Zeroizing::new(redis::pack_command(&args)));
    }

    /// A command whose arguments have no spaces.
    pub(super) fn words(&mut self, command: &str) {
        self.push(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, one behind the other.
    pub(super) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.0.iter().map(|it| it.len()).sum()));
        self.0.iter().for_each(|command| bytes.extend_from_slice(command));
        bytes
    }
}

/// See the module.
pub(super) struct Wire {
    stream: Stream,
    codec: ValueCodec,
    read: BytesMut,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, codec: ValueCodec::default(), read: BytesMut::new() }
    }

    /// The stream, and what was read of it beyond the last answer.
    pub(super) fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.read.to_vec())
    }

    /// One answer for each command, within these bounds. When the future was dropped, the
    /// connection is of no use.
    pub(super) async fn ask(
        &mut self,
        batch: &Batch,
        bytes_max: usize,
        limit: Duration,
    ) -> Result<Vec<Value>, WireError> {
        let asking = async {
            self.stream.write_all(&batch.bytes()).await?;
            self.stream.flush().await?;
            let (mut answers, mut bytes) = (Vec::with_capacity(batch.len()), self.read.len());
            while answers.len() < batch.len() {
                let read = self.codec.decode(&mut self.read);
                match read.map_err(|error| WireError::Protocol(error.to_string()))? {
                    Some(answer) => answers.push(answer),
                    None => {
                        self.read.reserve(READ_BYTES);
                        let read = self.stream.read_buf(&mut self.read).await?;
                        if read == 0 {
                            // What it has said before it went says why.
                            return match answers.is_empty() {
                                true => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                                false => Ok(answers),
                            };
                        }
                        bytes += read;
                        if bytes > bytes_max {
                            let why = format!("its answer has more than {bytes_max} bytes");
                            return Err(WireError::Protocol(why));
                        }
                    }
                }
            }
            Ok(answers)
        };
        timeout(limit, asking).await.unwrap_or(Err(WireError::Late(limit)))
    }
}

/// The error that an answer is, as the server has put it: `CODE text`.
pub(super) fn refusal(answer: &Value) -> Option<String> {
    let Value::ServerError(error) = answer else { return None };
    Some(match error.details() {
        Some(text) => format!("{} {text}", error.code()),
        None => error.code().to_owned(),
    })
}

/// The bytes of a text, as bulk or simple string.
pub(super) fn text(answer: &Value) -> Option<&[u8]> {
    match answer {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::Okay => Some(b"OK"),
        Value::VerbatimString { text, .. } => Some(text.as_bytes()),
        _ => None,
    }
}

/// A line `name:value` of INFO.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

//! What else a session has asked of the server: by Palisade's own connection, together with the
//! kills, and in vain when it takes too long.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::{mpsc, oneshot};

use super::super::login::shown;
use super::super::server::ServerId;
use super::super::wire::{Batch, refusal};

/// Asks that wait at once.
pub const ASKS_MAX: usize = 4_096;

/// How long CLIENT UNBLOCK may take.
pub const UNBLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long COMMAND GETKEYS may take.
pub const KEYS_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of a command that is sent to COMMAND GETKEYS.
pub const KEYS_BYTES_MAX: usize = 1024 * 1024;

/// Why the keys of a command are not known.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeysError {
    /// The command is too long to be asked for.
    #[error(
        "the command has more than {KEYS_BYTES_MAX} bytes, too many to ask the server for its keys"
    )]
    TooLong,
    /// There is no connection, it took too long, or too much was asked already.
    #[error("the server cannot be asked now for the keys of a command; try again")]
    Unavailable,
    /// The server does not tell.
    #[error("the server does not tell the keys of the command: {0}")]
    Refused(String),
}

/// One command for the server, and whoever waits for its answer.
pub(super) struct Ask {
    /// Which process; `None`: the primary.
    pub(super) server: Option<Arc<ServerId>>,
    pub(super) command: Vec<Vec<u8>>,
    pub(super) answer: oneshot::Sender<Value>,
}

impl Ask {
    pub(super) fn push_to(&self, batch: &mut Batch) {
        batch.push(&self.command.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

/// Asks, and waits that long; `None`: in vain.
pub(super) async fn ask(
    asks: &mpsc::Sender<Ask>,
    server: Option<Arc<ServerId>>,
    command: Vec<Vec<u8>>,
    limit: Duration,
) -> Option<Value> {
    let (answer, waiting) = oneshot::channel();
    asks.try_send(Ask { server, command, answer }).ok()?;
    tokio::time::timeout(limit, waiting).await.ok()?.ok()
}

/// What COMMAND GETKEYS has answered.
pub(super) fn keys(answer: Value) -> Result<Vec<Vec<u8>>, KeysError> {
    if let Some(why) = refusal(&answer) {
        return match why.contains("has no key arguments") {
            true => Ok(Vec::new()),
            false => Err(KeysError::Refused(shown(&why))),
        };
    }
    redis::from_redis_value(answer).map_err(|error| KeysError::Refused(error.to_string()))
}

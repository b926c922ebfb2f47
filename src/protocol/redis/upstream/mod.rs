//! The server behind a listener: how it is reached, logged in to, and asked to end clients.

mod connect;
mod control;
mod error;
mod login;
mod sentinel;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod wire;

pub use connect::{Connector, Opened};
pub use control::{
    ASKS_MAX, BATCH_MAX, CHANGES_MAX, Change, ChangeKind, Control, KEYS_BYTES_MAX, KEYS_TIMEOUT,
    KeysError, LOOK_MAX, LOOK_MIN, RECONNECT_MAX, RECONNECT_MIN, UNBLOCK_TIMEOUT, session_suffix,
};
pub use error::OpenError;
pub use sentinel::{REPLICAS_MAX, SENTINEL_TIMEOUT};
pub use server::ServerId;
pub use settings::{Endpoint, Password, Sentinel, Upstream};
pub use wire::{ANSWER_BYTES_MAX, ANSWER_TIMEOUT, LOGIN_BYTES_MAX};

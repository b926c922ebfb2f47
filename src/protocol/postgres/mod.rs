//! PostgreSQL's frontend/backend protocol, fenced: one client session is one backend session.

#[allow(dead_code, reason = "the session that uses it is being built")]
mod codec;
mod settings;
#[cfg(test)]
mod testing;
pub mod upstream;

pub use settings::{Limits, Listener};

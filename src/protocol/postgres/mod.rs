//! PostgreSQL's frontend/backend protocol, fenced: one client session is one backend session.

#[allow(dead_code, reason = "the session that uses it is being built")]
mod cancel;
#[allow(dead_code, reason = "the session that uses it is being built")]
mod codec;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod settings;
#[allow(dead_code, reason = "the session that uses it is being built")]
mod track;
pub mod upstream;

pub use settings::{Limits, Listener};

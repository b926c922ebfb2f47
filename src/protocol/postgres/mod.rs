//! PostgreSQL's frontend/backend protocol, fenced: one client session is one backend session.

mod settings;
#[cfg(test)]
mod testing;
pub mod upstream;

pub use settings::{Limits, Listener};

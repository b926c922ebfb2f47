//! PostgreSQL's frontend/backend protocol, fenced: one client session is one backend session.

mod settings;
pub mod sql;
pub mod upstream;

pub use settings::{Limits, Listener};

//! PostgreSQL's frontend/backend protocol, fenced: one client session is one backend session.

mod preview;
mod settings;
pub mod sql;
pub mod upstream;

pub use preview::{Asked, Preview, Refused, Session, Statement};
pub use settings::{Limits, Listener};

//! The server behind a listener: how it is reached, logged in to, and asked to end clients.

mod settings;

pub use settings::{Endpoint, Password, Sentinel, Upstream};

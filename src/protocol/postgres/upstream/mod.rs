//! The servers behind a listener: how they are reached, logged in to, and asked to end sessions.

mod settings;

pub use settings::{Endpoint, Login, Password, TargetSessionAttrs, Upstream};

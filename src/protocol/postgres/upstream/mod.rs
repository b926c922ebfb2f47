//! The servers behind a listener: how they are reached, logged in to, and asked to end sessions.

mod binding;
mod connect;
mod control;
mod keys;
mod login;
mod scram;
mod settings;
mod target;
#[cfg(test)]
mod tests;
mod wire;

pub use connect::{CANCEL_TIMEOUT, Connector};
pub use control::{
    Control, LOOK_MAX, LOOK_MIN, NAMELESS_PATIENCE, RECONNECT_MAX, RECONNECT_MIN, session_suffix,
};
pub use login::{Backend, LoginError, NOTICES_MAX, PARAMETERS_MAX};
pub use settings::{Endpoint, Login, Password, TargetSessionAttrs, Upstream};
pub(in crate::protocol::postgres) use wire::Wire;

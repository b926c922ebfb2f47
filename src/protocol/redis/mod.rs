//! Redis's protocol, fenced: one client connection is one connection to the server.

pub mod codec;
pub mod commands;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod settings;
#[cfg(test)]
mod testing;
pub mod upstream;

pub use settings::{Limits, Listener};

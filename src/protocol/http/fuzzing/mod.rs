//! Targets for coverage-guided fuzzing of everything that HTTP takes from clients and stores:
//! see docs/fuzzing.md. Each is a plain function that panics when a property does not hold.

pub(crate) mod connection;
pub(crate) mod front;
pub(crate) mod judge;
mod origin;
mod rig;
pub(crate) mod store;
mod wire;

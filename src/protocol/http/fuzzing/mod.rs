//! Targets for coverage-guided fuzzing of everything that HTTP takes from clients and stores:
//! see docs/fuzzing.md. Each is a plain function that panics when a property does not hold.

pub(crate) mod chunked;
pub(crate) mod connection;
pub(crate) mod front;
pub(crate) mod head;
pub(crate) mod judge;
mod origin;
pub(crate) mod rig;
pub(crate) mod store;
pub(crate) mod texts;
pub(crate) mod wire;
pub(crate) mod xml;

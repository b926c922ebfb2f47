//! Targets for fuzzing of everything that PostgreSQL's clients and servers send: see
//! docs/fuzzing.md. Each is a plain function that panics when a property does not hold.

pub(crate) mod backend;
pub(crate) mod bytes;
pub(crate) mod play;
#[cfg(test)]
mod real;

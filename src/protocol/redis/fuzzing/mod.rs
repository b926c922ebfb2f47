//! Targets for fuzzing of everything that Redis's clients and servers send: see docs/fuzzing.md.
//! Each is a plain function that panics when a property does not hold.

pub(crate) mod bytes;
mod peers;
#[cfg(test)]
mod real;

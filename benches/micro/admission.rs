//! (to be written)

/// Runs it.
pub fn run() {}

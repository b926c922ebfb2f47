//! The messages that Palisade writes and reads itself; all others pass by.

pub mod read;
#[cfg(test)]
mod tests;
pub mod write;

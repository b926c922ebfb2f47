//! HTTP, and S3 on top of it.

pub mod operation;
pub mod s3;
mod settings;

pub use settings::{Flavor, Limits, Listener, Unmatched};

//! S3: what its requests touch, how they are signed, what a refusal looks like.

mod settings;

pub use settings::{Credentials, Mode, Settings};

//! S3: what its requests touch, how they are signed, what a refusal looks like.
//!
//! Everything here is pure: bytes in, decisions out, no socket and no clock. In the order in
//! which a request meets them:
//!
//! - [`address`]: host and path to bucket and key.
//! - [`classify`]: method, address, query and headers to an operation and its targets.
//! - [`delete`]: the keys of a batch delete, which are in its body.
//! - [`payload`]: what happens to the body ([`chunked`], [`checksum`]) and to its headers.
//! - [`sign`]: the signature that the store sees; [`passthrough`]: the client's own, kept valid.
//! - [`refusal`]: an error document that SDKs show properly.

pub mod address;
pub mod checksum;
pub mod chunked;
pub mod classify;
pub mod delete;
mod encoding;
mod malformed;
mod operations;
pub mod passthrough;
pub mod payload;
mod query;
pub mod refusal;
mod settings;
pub mod sign;
mod source;

pub use malformed::Malformed;
pub use settings::{AwsChunked, Credentials, Mode, Settings};

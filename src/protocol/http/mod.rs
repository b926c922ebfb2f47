//! HTTP, and S3 on top of it.
//!
//! A request goes through these files from left to right:
//!
//! ```text
//! server ─▶ session ─▶ integrity ─▶ token ─▶ classify ─▶ asked ─▶ gate ─▶ relay ─▶ answer
//!                         │           │         │          │       │        │
//!                         └───────────┴─────────┴──────────┴───────┴────────┴─▶ problem ─▶ refusal
//! ```
//!
//! `head` holds integrity, token and classify together, for `session` and for `preview`, which
//! explains a request without serving it. [`relay`] is the only file that awaits the store, and
//! takes admissions by value.

mod answer;
mod asked;
mod body;
mod chunks;
mod classify;
mod client_body;
mod flight;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod head;
mod headers;
mod integrity;
mod malformed;
pub mod metrics;
pub mod operation;
mod path;
mod preview;
mod problem;
mod pump;
mod read_ahead;
mod refusal;
mod relay;
mod reserved;
pub mod s3;
mod server;
mod session;
mod settings;
mod speech;
mod streams;
mod tell;
#[cfg(test)]
mod tests;
mod token;
mod write_stall;

pub use preview::{Preview, Refused};
pub use problem::OUTCOME_UNKNOWN;
pub use refusal::{REFUSAL_HEADER, RESOURCE_HEADER};
pub use server::{Front, Service, serve_connection};
pub use session::WAIT_HEADER;
pub use settings::{Flavor, Limits, Listener, Unmatched};
pub use token::TOKEN_HEADER;

//! Palisade: a reverse proxy that enforces fencing tokens in front of object stores.
//!
//! # Layout
//!
//! From the top down; each layer uses only those below it, and siblings do not know each other.
//!
//! - [`cli`]: the commands a person types.
//! - [`app`]: puts the parts together, waits, drains.
//! - [`config`]: the TOML file, read once into types that cannot be wrong.
//! - [`admin`]: health, metrics and resources for operators.
//! - [`protocol`]: how a token rides in a protocol, what is a write, what a refusal looks like.
//! - [`gate`]: drives the fences: table, admission, takeover, settling.
//! - [`ledger`]: keeps high-water marks durably.
//! - [`net`]: listeners, TLS, identities, connections to the stores.
//! - [`rules`]: from a request and an identity to a resource and what is allowed there.
//! - [`audit`], [`telemetry`]: what is told about all this.
//! - [`fence`]: the theorem: a pure state machine, explored exhaustively by its model.

pub mod admin;
pub mod app;
pub mod audit;
pub mod cli;
pub mod config;
pub mod fence;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
pub mod ledger;
pub mod net;
pub mod protocol;
pub mod rules;
pub mod telemetry;

//! Redis's protocol, fenced: one client connection is one connection to the server.
//!
//! ```text
//! server ─▶ session ─┬─▶ pump ─┬─▶ requests ─▶ judge ─▶ commands, rules
//!                    │         │      └─▶ grant, own ─▶ gate
//!                    │         └─▶ answers ─▶ pending: what is not answered yet
//!                    └─▶ ending, farewell, hold: what is left is ended at the server
//! ```
//!
//! [`session`] holds an admission for each resource that it writes, from the moment in which the
//! command is forwarded until everything that was sent is answered. [`hold`] lets go of them in no
//! other way than by the server's word that the client is gone.

mod acts;
mod answers;
mod changes;
pub mod codec;
pub mod commands;
mod ending;
mod farewell;
mod fences;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod grant;
mod hold;
mod judge;
mod metrics;
mod name;
mod orphans;
mod own;
mod pending;
mod preview;
mod pump;
mod refusal;
mod requests;
mod server;
mod session;
mod settings;
mod status;
mod tell;
#[cfg(test)]
mod testing;
pub mod upstream;

pub use ending::{HUNG_UP_TIMEOUT, LAST_WORDS_TIMEOUT};
pub use farewell::FAREWELL_TIMEOUT;
pub use metrics::describe as describe_metrics;
pub use name::CLIENT_NAME_BYTES_MAX;
pub use own::OWN_KEYS_MAX;
pub use preview::{Asked, Becomes, Preview, Refused, Touched};
pub use server::{ENDINGS_MAX, Front, Servers, serve_connection};
pub use settings::{Limits, Listener};

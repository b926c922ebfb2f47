//! PostgreSQL's frontend/backend protocol, fenced: one client session is one backend session.
//!
//! ```text
//! server ─▶ opening ─▶ session ─┬─▶ pump ─┬─▶ requests ─▶ readonly, own ─▶ sql
//!   plain,    who, which          │         └─▶ answers ─▶ tracker, witness
//!   TLS       token, seal, login  └─▶ farewell, hold: what is left is ended at the server
//! ```
//!
//! [`session`] holds an admission from the first message of a batch until the server says that
//! nothing of it runs and no transaction is open. [`hold`] lets go of it in no other way than by
//! the server's word that the backend is gone.

mod answers;
mod cancel;
pub(crate) mod codec;
mod ending;
mod farewell;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hold;
mod inlet;
mod metrics;
mod name;
mod opening;
mod own;
mod passing;
mod preview;
mod pump;
mod readonly;
mod refusal;
mod requests;
mod server;
mod session;
mod settings;
pub mod sql;
mod tell;
#[cfg(test)]
mod testing;
mod track;
pub mod upstream;
mod witness;

pub use farewell::FAREWELL_TIMEOUT;
pub use metrics::describe as describe_metrics;
pub use own::OWN_PREPARED_MAX;
pub use preview::{Asked, Preview, Refused, Session, Statement};
pub use server::{ENDINGS_MAX, Front, Servers, serve_connection};
pub use session::{CANCEL_TIMEOUT, LAST_WORDS_TIMEOUT};
pub use settings::{Limits, Listener};

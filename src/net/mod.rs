//! Listeners, TLS, identities, and connections to the stores.

pub mod authority;
pub mod connect;
pub mod identity;
pub mod listen;
pub mod metrics;
mod quiet;
pub mod tls;

//! Listeners, TLS, identities, and connections to the stores.

pub mod connect;
pub mod identity;
pub mod listen;
pub mod pool;
pub mod tls;

//! Listeners, TLS, identities, and connections to the stores.

pub mod authority;
pub mod connect;
pub mod identity;
pub mod listen;
#[cfg(test)]
pub mod metrics;
mod quiet;
mod testing;
pub mod tls;
pub mod pool;
pub mod tls;

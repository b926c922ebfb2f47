//! Listeners, TLS, identities, and connections to the stores.

pub mod authority;
pub mod connect;
pub mod identity;
pub mod listen;
pub mod metrics;
pub mod pool;
mod quiet;
#[cfg(test)]
mod testing;
pub mod tls;

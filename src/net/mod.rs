//! Listeners, TLS, identities, and connections to the stores.

pub mod authority;
pub mod buffer;
pub mod coalesce;
pub mod connect;
pub mod http1;
pub mod identity;
pub mod lane;
pub mod listen;
pub mod metrics;
pub mod pool;
mod quiet;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod tls;

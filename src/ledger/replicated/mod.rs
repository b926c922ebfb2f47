//! A ledger that several replicas share, whatever it is kept in.

mod settings;
pub mod store;

pub use settings::{KEEPALIVES_MIN, Settings};

//! A shared ledger in Redis.

mod settings;

pub use settings::{Endpoint, Login, Sentinel, Settings};

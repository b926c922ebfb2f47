//! A shared ledger in etcd.

mod settings;

pub use settings::{Endpoint, Settings};

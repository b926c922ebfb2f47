//! Which process of a server it is.

use std::fmt;
use std::sync::Arc;

use super::settings::Endpoint;

/// One process of Redis. Two of them are the same if their run ids are.
#[derive(Clone, Debug)]
pub struct ServerId {
    /// Its address as configured, or as the Sentinel says; for people.
    pub host: Arc<str>,
    /// Drawn by the process at its start: 40 hex digits.
    pub run_id: Arc<str>,
    /// Where it was connected to.
    pub endpoint: Endpoint,
    /// `redis_version`, such as `7.0.15`; for people.
    pub version: Arc<str>,
    /// How many primaries the Sentinels had named when it was connected to: of two servers, the
    /// one with the larger number was named later. 0 without Sentinel.
    pub view: u64,
}

impl PartialEq for ServerId {
    fn eq(&self, other: &Self) -> bool {
        self.run_id == other.run_id
    }
}

impl Eq for ServerId {}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

//! Who holds a grant in a shared ledger: one session of one replica.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A session with a shared ledger: the replica's name, and a number that the ledger gives out
/// once and in rising order. As text `NAME#NUMBER`, such as `r1#42`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId {
    replica: Arc<str>,
    number: u64,
}

/// Why a text does not name a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a session is named NAME#NUMBER, such as r1#42")]
pub struct SessionIdError;

impl SessionId {
    /// A session by its parts.
    pub fn new(replica: impl Into<Arc<str>>, number: u64) -> Self {
        Self { replica: replica.into(), number }
    }

    /// The name of the replica, as configured.
    pub fn replica(&self) -> &str {
        &self.replica
    }

    /// Larger than that of every session that was begun before in the same ledger.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.replica, self.number)
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        let (replica, number) = text.rsplit_once('#').ok_or(SessionIdError)?;
        if replica.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SessionIdError);
        }
        Ok(Self::new(replica, number.parse().map_err(|_| SessionIdError)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = SessionId::new("a#b", 7);
        assert_eq!(id.to_string(), "a#b#7");
        assert_eq!("a#b#7".parse(), Ok(id));
        for bad in ["", "r1", "#1", "r1#", "r1#x", "r1#+1", "r1#99999999999999999999"] {
            assert_eq!(bad.parse::<SessionId>(), Err(SessionIdError), "{bad}");
        }
    }
}

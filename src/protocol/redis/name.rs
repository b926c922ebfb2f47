//! The name of a connection: it tells whose connections are whose, at the server, after a crash.

use super::upstream::session_suffix;

/// Bytes of the name that a client gives its connection, at most.
pub const CLIENT_NAME_BYTES_MAX: usize = 128;

/// The client's own name, and what says which Palisade a connection is of.
#[derive(Clone, Debug)]
pub(super) struct SessionName {
    suffix: String,
    own: Vec<u8>,
}

impl SessionName {
    /// For a connection of this owner: a replica, or a session with a shared ledger, `r1#42`.
    pub(super) fn new(owner: &str) -> Self {
        Self { suffix: session_suffix(owner), own: Vec::new() }
    }

    /// As the server has it.
    pub(super) fn full(&self) -> Vec<u8> {
        [&self.own, self.suffix.as_bytes()].concat()
    }

    /// As the client has it.
    pub(super) fn own(&self) -> &[u8] {
        &self.own
    }

    /// The client gives its connection a name.
    ///
    /// # Errors
    /// It is none, as Redis says it, or too long.
    pub(super) fn set(&mut self, name: &[u8]) -> Result<(), String> {
        if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
            return Err(
                "Client names cannot contain spaces, newlines or special characters.".to_owned()
            );
        }
        if name.len() > CLIENT_NAME_BYTES_MAX {
            return Err(format!("a client name has at most {CLIENT_NAME_BYTES_MAX} bytes here"));
        }
        self.own = name.to_vec();
        Ok(())
    }

    /// As it was at the beginning.
    pub(super) fn reset(&mut self) {
        self.own.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_is_always_there() {
        let mut name = SessionName::new("r1");
        assert_eq!(name.full(), b"|palisade:r1");
        assert_eq!(name.set(b"worker-7"), Ok(()));
        assert_eq!((name.full(), name.own()), (b"worker-7|palisade:r1".to_vec(), &b"worker-7"[..]));
        assert!(name.set(b"a b").is_err() && name.set(&[b'x'; 129]).is_err());
        assert_eq!(name.own(), b"worker-7");
        name.reset();
        assert_eq!(name.full(), b"|palisade:r1");
    }
}

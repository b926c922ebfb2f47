//! The name of a session: it tells whose sessions are whose, at the server, after a crash.

use super::upstream::session_suffix;

/// Bytes of `application_name` that a server keeps.
const NAME_BYTES_MAX: usize = 63;

/// `application_name` as the client wants it, with what says which Palisade a session is of.
#[derive(Clone, Debug)]
pub(super) struct SessionName {
    suffix: String,
    /// Whether the server has it as it should be.
    is_lost: Option<String>,
}

impl SessionName {
    /// For a session of this owner: a replica, or a session with a shared ledger, `r1#42`.
    pub(super) fn new(owner: &str) -> Self {
        Self { suffix: session_suffix(owner), is_lost: None }
    }

    /// The whole name, the client's part cut where there is no room for it.
    pub(super) fn full(&self, asked: &str) -> String {
        let mut end = asked.len().min(NAME_BYTES_MAX.saturating_sub(self.suffix.len()));
        while !asked.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{}", &asked[..end], self.suffix)
    }

    /// The server says what the name is now. Returns the client's part where the suffix is there.
    pub(super) fn reported<'n>(&mut self, name: &'n str) -> Option<&'n str> {
        let own = name.strip_suffix(self.suffix.as_str());
        self.is_lost = own.is_none().then(|| name.to_owned());
        own
    }

    /// The statement that puts the suffix back, once after it was lost.
    pub(super) fn mend(&mut self) -> Option<String> {
        let asked = self.is_lost.take()?;
        Some(format!("SET application_name = '{}'", self.full(&asked).replace('\'', "''")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::SessionId;

    /// The longest name that the configuration takes, and the largest number.
    #[test]
    fn a_session_with_the_ledger_has_room() {
        let owner = SessionId::new("r".repeat(20), u64::MAX).to_string();
        let name = SessionName::new(&owner).full("application");
        assert!(name.len() <= NAME_BYTES_MAX && name.ends_with(&session_suffix(&owner)), "{name}");
        assert!(name.starts_with("applicati"), "{name}");
    }

    #[test]
    fn the_suffix_is_always_there_and_is_put_back() {
        let mut name = SessionName::new("r1");
        assert_eq!(name.full("psql"), "psql [palisade:r1]");
        let long = name.full(&"ä".repeat(40));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with(" [palisade:r1]"), "{long}");
        assert_eq!(name.reported("psql [palisade:r1]"), Some("psql"));
        assert_eq!(name.mend(), None);
        assert_eq!(name.reported("it's"), None);
        let mend = name.mend();
        assert_eq!(mend.as_deref(), Some("SET application_name = 'it''s [palisade:r1]'"));
        assert_eq!(name.mend(), None, "once");
    }
}

//! The names of what is kept: `/palisade/v1/NAMESPACE/...`, readable by hand.
//!
//! ```text
//! /palisade/v1/NAMESPACE/row/RESOURCE    what is known of a resource, one line of JSON
//! /palisade/v1/NAMESPACE/session/r1#7    a session; goes with its lease
//! /palisade/v1/NAMESPACE/number          the number of the last session, in decimal
//! ```

use crate::fence::{Resource, SessionId};
use crate::ledger::Unavailable;

/// The longest name of a namespace.
const NAMESPACE_BYTES_MAX: usize = 128;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

/// What a key stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Named {
    Row(Resource),
    Session(SessionId),
}

/// A range of keys: from one on, and below another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Span {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
}

impl Keys {
    /// Those of one namespace, which has to be such that none is part of another.
    pub(super) fn new(namespace: &str) -> Result<Self, Unavailable> {
        let is_plain = |char: char| !char.is_control() && char != '/';
        if namespace.is_empty()
            || namespace.len() > NAMESPACE_BYTES_MAX
            || !namespace.chars().all(is_plain)
        {
            return Err(Unavailable(format!(
                "{namespace:?} cannot be the namespace in etcd: give 1 to {NAMESPACE_BYTES_MAX} \
                 bytes without a slash"
            )));
        }
        Ok(Self { prefix: format!("/palisade/v1/{namespace}/") })
    }

    /// What all of them begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn number(&self) -> Vec<u8> {
        format!("{}number", self.prefix).into_bytes()
    }

    pub(super) fn row(&self, resource: &str) -> Vec<u8> {
        format!("{}row/{resource}", self.prefix).into_bytes()
    }

    pub(super) fn session(&self, id: &SessionId) -> Vec<u8> {
        format!("{}session/{id}", self.prefix).into_bytes()
    }

    /// Everything in the namespace.
    pub(super) fn all(&self) -> Span {
        Span { from: self.prefix.clone().into_bytes(), to: behind(&self.prefix) }
    }

    pub(super) fn sessions(&self) -> Span {
        let from = format!("{}session/", self.prefix);
        Span { to: behind(&from), from: from.into_bytes() }
    }

    /// The rows whose names come after one.
    pub(super) fn rows(&self, after: Option<&str>) -> Span {
        let first = self.row("");
        let to = behind(&format!("{}row/", self.prefix));
        let from = match after {
            // The smallest key that is larger.
            Some(after) => [self.row(after), vec![0]].concat(),
            None => first,
        };
        Span { from, to }
    }

    /// `None` for the counter, and for what somebody else has put there.
    pub(super) fn named(&self, key: &[u8]) -> Option<Named> {
        let name = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        match name.split_once('/')? {
            ("row", resource) => Some(Named::Row(Resource::new(resource).ok()?)),
            ("session", id) => Some(Named::Session(id.parse().ok()?)),
            _ => None,
        }
    }
}

/// The first key behind all that begin with a text that ends with a slash: `0` comes after `/`.
fn behind(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    end.pop();
    end.push(b'0');
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_what_they_stand_for() {
        let keys = Keys::new("prod").unwrap();
        let row = Resource::new("orders/7").unwrap();
        assert_eq!(keys.row(row.as_str()), b"/palisade/v1/prod/row/orders/7");
        assert_eq!(keys.named(&keys.row(row.as_str())), Some(Named::Row(row)));
        let id = SessionId::new("r1", 7);
        assert_eq!(keys.session(&id), b"/palisade/v1/prod/session/r1#7");
        assert_eq!(keys.named(&keys.session(&id)), Some(Named::Session(id)));
        for other in ["number", "row/", "session/r1", "session/", "x/y", ""] {
            let key = format!("/palisade/v1/prod/{other}");
            assert_eq!(keys.named(key.as_bytes()), None, "{other}");
        }
        assert_eq!(keys.named(b"/palisade/v1/other/row/a"), None);
        assert_eq!(keys.named(b"/palisade/v1/prod/row/\xff"), None);
    }

    #[test]
    fn spans_have_what_they_should() {
        let keys = Keys::new("a").unwrap();
        let is_in = |span: &Span, key: Vec<u8>| span.from <= key && key < span.to;
        for resource in ["!", "a", "a/b", "zz", "\u{10ffff}"] {
            assert!(is_in(&keys.rows(None), keys.row(resource)), "{resource}");
            assert!(is_in(&keys.all(), keys.row(resource)), "{resource}");
            assert!(!is_in(&keys.sessions(), keys.row(resource)), "{resource}");
            assert!(!is_in(&keys.rows(Some(resource)), keys.row(resource)), "{resource}");
            let next = format!("{resource}!");
            assert!(is_in(&keys.rows(Some(resource)), keys.row(&next)), "{resource}");
        }
        let id = SessionId::new("r", 1);
        assert!(is_in(&keys.sessions(), keys.session(&id)));
        assert!(!is_in(&keys.rows(None), keys.session(&id)));
        // A namespace is not part of one whose name begins in the same way.
        for other in ["ab", "a-b", "a0", "b"] {
            let row = Keys::new(other).unwrap().row("x");
            assert!(!is_in(&keys.all(), row), "{other}");
        }
    }

    #[test]
    fn namespaces() {
        for bad in ["", "a/b", "/", "a\n", &"x".repeat(129)] {
            assert!(Keys::new(bad).is_err(), "{bad:?}");
        }
        assert!(Keys::new("prod-1.eu").is_ok());
    }
}

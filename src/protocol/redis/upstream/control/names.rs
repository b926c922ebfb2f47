//! What Palisade's connections are called at the server.

use std::fmt::Write as _;

use crate::fence::SessionId;

/// What the names of sessions end in: of one replica's, or with a shared ledger of one session of
/// its, `r1#42`. Nobody else's do.
///
/// A name at Redis is of printable ASCII without spaces, so other bytes of the owner are
/// written as `%` and two hex digits, and so are `%` and `|`.
pub fn session_suffix(owner: &str) -> String {
    format!("|palisade:{}", printable(owner))
}

/// Whether a name is that of a dead session with the ledger, or of an earlier one of its replica.
pub(super) fn is_of(name: &str, dead: &SessionId) -> bool {
    let owner = name.rsplit_once("|palisade:").and_then(|(_, owner)| owner.parse().ok());
    owner.is_some_and(|owner: SessionId| {
        owner.replica() == printable(dead.replica()) && owner.number() <= dead.number()
    })
}

/// The name of Palisade's own connection: not a session's, so that no sweep ends it.
pub(super) fn control_name(replica: &str) -> String {
    format!("palisade-control|{}", printable(replica))
}

fn printable(replica: &str) -> String {
    let mut name = String::with_capacity(replica.len());
    for byte in replica.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' && byte != b'|' {
            name.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(name, "%{byte:02x}");
        }
    }
    name
}

/// Of each client in a CLIENT LIST: its id, and its name.
pub(super) fn clients(list: &str) -> impl Iterator<Item = (u64, &str)> {
    list.lines().filter_map(|line| {
        let value = |name: &str| line.split(' ').find_map(|pair| pair.strip_prefix(name));
        // What older servers do not list, has no name.
        Some((value("id=")?.parse().ok()?, value("name=").unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_in_no_other_ones_names() {
        assert_eq!(session_suffix("r1"), "|palisade:r1");
        assert_eq!(session_suffix("a b|ü%"), "|palisade:a%20b%7c%c3%bc%25");
        assert!(!session_suffix("a|palisade:b").ends_with(&session_suffix("b")));
        for replica in ["r1", "", "palisade:r1"] {
            assert!(!control_name(replica).ends_with(&session_suffix(replica)));
        }
    }

    #[test]
    fn the_dead_and_those_before_it() {
        let check = |name: &str, replica: &str, expected: bool| {
            assert_eq!(is_of(name, &SessionId::new(replica, 42)), expected, "{name}");
        };
        for number in [0, 1, 42] {
            check(&format!("mine{}", session_suffix(&format!("r1#{number}"))), "r1", true);
        }
        check(&session_suffix("a#b#42"), "a#b", true);
        check(&session_suffix("a b#42"), "a b", true);
        check("x|palisade:r2#1|palisade:r1#7", "r1", true);
        let others = ["r1#43", "r1", "r11#42", "1#42", "r1#42x", "r1#", "r2#42"];
        others.iter().for_each(|owner| check(&session_suffix(owner), "r1", false));
        for name in ["", "r1#42", "palisade:r1#42", &control_name("r1#42")] {
            check(name, "r1", false);
        }
    }

    #[test]
    fn clients_of_a_list() {
        let list = "id=3 addr=127.0.0.1:1 laddr=127.0.0.1:2 fd=8 name=app|palisade:r1 age=1\n\
                    id=12 addr=/tmp/s:0 name= age=1 lib-name=name=x\nid=x name=y\n";
        let found: Vec<_> = clients(list).collect();
        assert_eq!(found, [(3, "app|palisade:r1"), (12, "")]);
    }
}

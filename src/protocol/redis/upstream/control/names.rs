//! What Palisade's connections are called at the server.

use std::fmt::Write as _;

/// What the names of this replica's sessions end in: no other replica's do.
///
/// A name at Redis is of printable ASCII without spaces, so other bytes of the replica are
/// written as `%` and two hex digits, and so are `%` and `|`.
pub fn session_suffix(replica: &str) -> String {
    format!("|palisade:{}", printable(replica))
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
    fn clients_of_a_list() {
        let list = "id=3 addr=127.0.0.1:1 laddr=127.0.0.1:2 fd=8 name=app|palisade:r1 age=1\n\
                    id=12 addr=/tmp/s:0 name= age=1 lib-name=name=x\nid=x name=y\n";
        let found: Vec<_> = clients(list).collect();
        assert_eq!(found, [(3, "app|palisade:r1"), (12, "")]);
    }
}

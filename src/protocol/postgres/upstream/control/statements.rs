//! What Palisade's own connection says to a server, and how the answers are read.
//!
//! The search path is `pg_catalog` alone: see [`super::host`].

use std::fmt::Write as _;

use super::super::wire::Row;
use super::cluster::Sight;
use super::orders::Order;
use crate::fence::SessionId;

/// Backends that are asked for at once.
pub(super) const BATCH_MAX: usize = 1_000;

/// Bytes of an application_name: the server cuts what is longer.
const NAME_BYTES_MAX: usize = 63;

/// What the names of sessions end in: of one replica's, or with a shared ledger of one session of
/// its, `r1#42`. Servers cut names at 63 bytes, and change what is not ASCII in them.
pub fn session_suffix(owner: &str) -> String {
    format!(" [palisade:{owner}]")
}

/// The session with the ledger that a session's name tells: `mine [palisade:r1#42]`.
pub(super) fn owner(name: &str) -> Option<SessionId> {
    let (_, id) = name.strip_suffix(']')?.rsplit_once(" [palisade:")?;
    id.parse().ok()
}

/// Whether a name is that of some Palisade's session or control connection.
pub(super) fn is_named(name: &str) -> bool {
    let Some(name) = name.strip_suffix(']') else { return false };
    [" [palisade:", "[palisade-control:"]
        .iter()
        .any(|mark| name.rsplit_once(mark).is_some_and(|(_, replica)| !replica.contains(']')))
}

/// The name of the control connection: not a session's, so that no sweep ends it.
pub(super) fn control_name(replica: &str) -> String {
    let suffix = format!(" [palisade-control:{replica}]");
    let name = format!("palisade control{suffix}");
    // The end is what counts.
    if name.len() <= NAME_BYTES_MAX { name } else { suffix.trim_start().to_owned() }
}

/// When the server began, whether it is a standby, and if not its timeline: that of the file
/// that it writes to now. `pg_control_checkpoint` would tell an old one until the first
/// checkpoint after a promotion; everybody may call `pg_walfile_name`.
pub(super) const PROBE: &str = "SELECT \
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, \
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE \
    pg_walfile_name(pg_current_wal_lsn()) END";

/// The same where there is no other server that could be the primary.
pub(super) const PROBE_SINGLE: &str = "SELECT \
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, \
    '00000001'";

/// What a probe has told.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Probed {
    pub(super) server_began_us: i64,
    pub(super) sight: Sight,
}

pub(super) fn probed(rows: &[Row]) -> Option<Probed> {
    let [began_us, file] = rows.first()?.as_slice() else { return None };
    let sight = match file {
        None => Sight::Standby,
        Some(file) => Sight::Primary(u32::from_str_radix(file.get(..8)?, 16).ok()?),
    };
    Some(Probed { server_began_us: began_us.as_ref()?.parse().ok()?, sight })
}

const BEGAN_US: &str = "(extract(epoch FROM a.backend_start) * 1000000)::int8";

/// Ends those of the backends that are still there, and tells which: each with its id and with
/// when it began. What a backend does not show to our role is NULL.
pub(in super::super) fn terminate(orders: &[(u64, Order)]) -> String {
    let list = |value: &dyn Fn(&(u64, Order)) -> Option<i64>| {
        let mut text = String::new();
        for order in orders {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a string does not fail.
            let _ = match value(order) {
                Some(value) => write!(text, "{comma}{value}"),
                None => write!(text, "{comma}NULL"),
            };
        }
        text
    };
    let ids = list(&|(id, _)| i64::try_from(*id).ok());
    let pids = list(&|(_, order)| Some(i64::from(order.pid)));
    let began = list(&|(_, order)| order.began_us);
    format!(
        "SELECT w.id, {BEGAN_US}, pg_terminate_backend(a.pid) \
         FROM unnest('{{{ids}}}'::int8[], '{{{pids}}}'::int8[], \
         '{{{began}}}'::int8[]) AS w(id, pid, began) \
         JOIN pg_stat_activity AS a ON a.pid = w.pid \
         WHERE w.began IS NULL OR a.backend_start IS NULL OR w.began = {BEGAN_US}"
    )
}

/// The ids of those that are still there, and when they began.
pub(in super::super) fn remaining(rows: &[Row]) -> Option<Vec<(u64, Option<i64>)>> {
    let read = |row: &Row| {
        let began_us = match row.get(1)? {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        Some((row.first()?.as_ref()?.parse().ok()?, began_us))
    };
    rows.iter().map(read).collect()
}

/// The sessions that an earlier process of this replica has left: by their name's end; and where
/// the roles are Palisade's own, those that bear no replica's name at all.
pub(super) fn left_behind(replica: &str, roles: &[&str]) -> String {
    let suffix = literal(&session_suffix(replica));
    let roles: Vec<_> = roles.iter().map(|role| literal(role)).collect();
    let unnamed = match roles.is_empty() {
        true => String::new(),
        false => format!(
            " OR (a.usename::text IN ({}) AND a.application_name !~ \
             {})",
            roles.join(", "),
            literal(r" \[palisade(-control)?:[^]]*\]$")
        ),
    };
    format!(
        "SELECT a.pid, {BEGAN_US} FROM pg_stat_activity AS a \
         WHERE a.pid <> pg_backend_pid() \
         AND (a.backend_type IS NULL OR a.backend_type IN ('client backend', 'walsender')) \
         AND (right(a.application_name, length({suffix})) = {suffix}{unnamed})"
    )
}

/// A session that may be a dead replica's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Listed {
    pub(super) pid: u32,
    /// `None`: the server does not show it to our role.
    pub(super) began_us: Option<i64>,
    /// See `began_us`.
    pub(super) name: Option<String>,
}

/// The sessions that bear a replica's name, or that may have lost it: those of Palisade's own
/// roles, and those whose names are not shown.
pub(super) fn sessions(roles: &[&str]) -> String {
    let roles: Vec<_> = roles.iter().map(|role| literal(role)).collect();
    let ours = match roles.is_empty() {
        true => "a.application_name IS NULL".to_owned(),
        false => format!("a.usename::text IN ({})", roles.join(", ")),
    };
    format!(
        "SELECT a.pid, {BEGAN_US}, a.application_name FROM pg_stat_activity AS a \
         WHERE a.pid <> pg_backend_pid() AND a.usename IS NOT NULL \
         AND (a.backend_type IS NULL OR a.backend_type IN ('client backend', 'walsender')) \
         AND (a.application_name LIKE '% [palisade:%]' OR {ours})"
    )
}

/// What [`sessions`] has told.
pub(super) fn listed(rows: &[Row]) -> Option<Vec<Listed>> {
    let read = |row: &Row| {
        let [pid, began_us, name] = row.as_slice() else { return None };
        let began_us = match began_us {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        Some(Listed { pid: pid.as_ref()?.parse().ok()?, began_us, name: name.clone() })
    };
    rows.iter().map(read).collect()
}

/// A text for a statement, whatever `standard_conforming_strings` is.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_name_is() {
        let id = |replica: &str, number| Some(SessionId::new(replica, number));
        assert_eq!(owner("psql [palisade:r1#42]"), id("r1", 42));
        assert_eq!(owner(" [palisade:a#b#7]"), id("a#b", 7));
        assert_eq!(owner("x [palisade:r2#1] [palisade:r1#42]"), id("r1", 42));
        for other in ["psql", "[palisade:r1#42]", "psql [palisade:r1]", "psql [palisade:r1#42] x"] {
            assert_eq!(owner(other), None, "{other}");
        }
        for control in [control_name("r1"), control_name(&"r".repeat(40))] {
            assert!(is_named(&control) && owner(&control).is_none(), "{control}");
        }
        assert!(is_named("psql [palisade:r1]") && is_named("psql [palisade:r1#42]"));
        for other in ["", "psql", "x [palisade:a] b]", "x [palisade:r1] "] {
            assert!(!is_named(other), "{other}");
        }
    }
}

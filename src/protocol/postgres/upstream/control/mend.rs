//! What an operator has to type where the control role lacks a right.

use super::super::wire::ServerError;

/// The server's word for a missing right.
pub(super) const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// What the control role could not do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    /// Ending a backend.
    Terminate,
    /// Asking for the timeline.
    Probe,
    /// Looking for backends.
    List,
}

/// The mend for `error`, for the role that is called so.
pub(super) fn mend(deed: Deed, error: &ServerError, role: &str) -> String {
    let role = quoted(role);
    let said = format!("{} {}", error.message, error.detail.as_deref().unwrap_or_default());
    match deed {
        _ if error.code != INSUFFICIENT_PRIVILEGE => {
            "see the server's log; it is tried again".to_owned()
        }
        Deed::Terminate if said.contains("pg_signal_backend") => {
            format!("type: GRANT pg_signal_backend TO {role};")
        }
        // Its text is translated, but names the other right alone.
        Deed::Terminate => {
            "a superuser's session can be ended by a superuser only: take SUPERUSER from the \
             role of that session, or let the control role be one"
                .to_owned()
        }
        Deed::Probe => format!(
            "type: GRANT EXECUTE ON FUNCTION pg_postmaster_start_time(), pg_is_in_recovery(), \
             pg_current_wal_lsn(), pg_walfile_name(pg_lsn) TO {role};"
        ),
        Deed::List => format!("type: GRANT SELECT ON pg_stat_activity TO {role};"),
    }
}

/// The mend where the server does not show when a backend began.
pub(super) fn mend_hidden(role: &str) -> String {
    format!("type: GRANT pg_read_all_stats TO {};", quoted(role))
}

fn quoted(role: &str) -> String {
    format!("\"{}\"", role.replace('"', "\"\""))
}

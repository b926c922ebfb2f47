//! What an operator has to type where the control role lacks a right.

use super::super::wire::ServerError;

/// The server's word for a missing right.
pub(in super::super) const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// What the control role could not do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Deed {
    /// Ending a backend.
    Terminate,
    /// Asking for the timeline.
    Probe,
    /// Looking for backends.
    List,
}

/// The mend for `error`, for the role that is called so.
pub(in super::super) fn mend(deed: Deed, error: &ServerError, role: &str) -> String {
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
pub(in super::super) fn mend_hidden(role: &str) -> String {
    format!("type: GRANT pg_read_all_stats TO {};", quoted(role))
}

fn quoted(role: &str) -> String {
    format!("\"{}\"", role.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type() {
        fn check(deed: Deed, code: &str, message: &str, detail: Option<&str>, expected: &str) {
            let (code, message) = (code.to_owned(), message.to_owned());
            let error = ServerError { code, message, detail: detail.map(str::to_owned) };
            let mend = mend(deed, &error, "a \"b\"");
            assert!(mend.contains(expected), "{error}: {mend}");
        }

        let denied = "permission denied to terminate process";
        let signal = "Only roles with privileges of the role whose process is being terminated or \
                      with privileges of the \"pg_signal_backend\" role may terminate this process.";
        let member = "must be a member of the role whose process is being terminated or member of \
                      pg_signal_backend";
        let attribute = "Only roles with the SUPERUSER attribute may terminate processes of roles \
                         with the SUPERUSER attribute.";
        let superuser = "must be a superuser to terminate superuser process";
        let grant = "GRANT pg_signal_backend TO \"a \"\"b\"\"\";";
        check(Deed::Terminate, "42501", member, None, grant);
        check(Deed::Terminate, "42501", denied, Some(signal), grant);
        check(Deed::Terminate, "42501", superuser, None, "take SUPERUSER");
        check(Deed::Terminate, "42501", denied, Some(attribute), "take SUPERUSER");
        let function = "permission denied for function pg_walfile_name";
        check(Deed::Probe, "42501", function, None, "GRANT EXECUTE ON FUNCTION");
        check(Deed::List, "42501", "permission denied for view", None, "GRANT SELECT ON");
        check(Deed::List, "57014", "canceling statement", None, "it is tried again");
    }
}

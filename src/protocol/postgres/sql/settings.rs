//! Which settings a read-only session may set: an allow-list, by name and sometimes by value.

use std::borrow::Cow;

use super::read::Reason;

/// What values of a setting are allowed.
#[derive(Clone, Copy)]
enum Values {
    Any,
    /// `on` and its synonyms: what holds the session has to stay as it is.
    On,
    /// Encodings in which a byte below 0x80 is always that character of ASCII.
    Encoding,
    /// Any list of schemas in which nothing comes before `pg_catalog`.
    SchemaPath,
}

/// In the order in which docs/postgres-statements.md argues them. `*` at the end: a prefix.
const ALLOWED: &[(Values, &[&str])] = &[
    // How values are written on the wire and in results.
    (
        Values::Any,
        &[
            "array_nulls",
            "bytea_output",
            "datestyle",
            "extra_float_digits",
            "intervalstyle",
            "lc_monetary",
            "lc_numeric",
            "lc_time",
            "quote_all_identifiers",
            "timezone",
            "timezone_abbreviations",
            "xmlbinary",
            "xmloption",
        ],
    ),
    // What the client is told, and under which name.
    (Values::Any, &["application_name", "client_min_messages", "escape_string_warning"]),
    // How long things may take.
    (
        Values::Any,
        &[
            "deadlock_timeout",
            "idle_in_transaction_session_timeout",
            "idle_session_timeout",
            "lock_timeout",
            "client_connection_check_interval",
            "statement_timeout",
            "transaction_timeout",
            "tcp_*",
        ],
    ),
    // How queries are planned and how much memory they take.
    (
        Values::Any,
        &[
            "constraint_exclusion",
            "cpu_*",
            "cursor_tuple_fraction",
            "debug_parallel_query",
            "default_statistics_target",
            "default_text_search_config",
            "effective_cache_size",
            "effective_io_concurrency",
            "enable_*",
            "force_parallel_mode",
            "from_collapse_limit",
            "geqo",
            "geqo_*",
            "gin_fuzzy_search_limit",
            "hash_mem_multiplier",
            "jit",
            "jit_*",
            "join_collapse_limit",
            "logical_decoding_work_mem",
            "maintenance_work_mem",
            "max_parallel_workers",
            "max_parallel_workers_per_gather",
            "min_parallel_index_scan_size",
            "min_parallel_table_scan_size",
            "parallel_leader_participation",
            "parallel_setup_cost",
            "parallel_tuple_cost",
            "plan_cache_mode",
            "random_page_cost",
            "recursive_worktable_factor",
            "seq_page_cost",
            "stats_fetch_consistency",
            "synchronize_seqscans",
            "temp_buffers",
            "work_mem",
        ],
    ),
    // Transactions, but for whether they write.
    (
        Values::Any,
        &[
            "default_transaction_deferrable",
            "default_transaction_isolation",
            "synchronous_commit",
            "transaction_deferrable",
            "transaction_isolation",
        ],
    ),
    // Only narrows what is seen, or tells of it by an error.
    (Values::Any, &["restrict_nonsystem_relation_kind", "row_security"]),
    // Only matters for what is created, which nothing is. pg_dump and ORMs set them.
    (
        Values::Any,
        &[
            "check_function_bodies",
            "default_table_access_method",
            "default_tablespace",
            "default_toast_compression",
        ],
    ),
    // Without a meaning to the server: for row security policies to read.
    (Values::Any, &["app.*", "myapp.*", "request.*", "rls.*"]),
    (
        Values::On,
        &["default_transaction_read_only", "standard_conforming_strings", "transaction_read_only"],
    ),
    (Values::Encoding, &["client_encoding"]),
    (Values::SchemaPath, &["search_path"]),
];

/// By their names without anything but letters and digits, in lower case.
const ENCODINGS: &[&str] = &[
    "utf8",
    "unicode",
    "sqlascii",
    "latin1",
    "iso88591",
    "latin2",
    "iso88592",
    "latin9",
    "iso885915",
    "win1250",
    "windows1250",
    "win1251",
    "windows1251",
    "win1252",
    "windows1252",
    "koi8r",
];

/// Whether a read-only session may set a setting to a value (None: back to its default): by a
/// statement, by `set_config()`, or as a parameter of its start-up packet.
///
/// # Errors
/// Why it may not.
pub fn assignment(name: &str, value: Option<&str>) -> Result<(), Reason> {
    let name = name.to_ascii_lowercase();
    let allowed =
        ALLOWED.iter().find(|(_, names)| names.iter().any(|pattern| matches(pattern, &name)));
    let Some((values, _)) = allowed else {
        return Err(Reason::about(
            &name,
            "is not on the list of settings that are known to change nothing",
        ));
    };
    let fits = match (values, value) {
        (Values::Any, _) | (Values::SchemaPath, None) => true,
        // The default of the server, which may be anything.
        (Values::On | Values::Encoding, None) => false,
        (Values::On, Some(value)) => {
            ["on", "true", "yes", "1"].iter().any(|on| value.trim().eq_ignore_ascii_case(on))
        }
        (Values::Encoding, Some(value)) => {
            let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            ENCODINGS.contains(&plain.to_ascii_lowercase().as_str())
        }
        (Values::SchemaPath, Some(value)) => pg_catalog_leads(value),
    };
    match (fits, values) {
        (true, _) => Ok(()),
        (false, Values::On) => {
            Err(Reason::about(&name, "has to stay on, for the session is held to reading by it"))
        }
        (false, Values::Encoding) => Err(Reason::fixed(
            "client_encoding has to be UTF8 or of one byte a character, so that statements can be read",
        )),
        (false, _) => Err(Reason::fixed(
            "a search_path with something before pg_catalog gives its functions another meaning",
        )),
    }
}

/// Whether it may be set to whatever it is.
///
/// # Errors
/// Why it may not.
pub(super) fn any_assignment(name: &str) -> Result<(), Reason> {
    // The values that are restricted all have one that is not allowed.
    assignment(name, Some("pg_temp, pg_catalog"))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => pattern == name,
    }
}

fn pg_catalog_leads(path: &str) -> bool {
    let schema =
        |part: &str| -> Cow<'_, str> { part.trim().trim_matches('"').to_ascii_lowercase().into() };
    !path.to_ascii_lowercase().contains("pg_catalog")
        || path.split(',').next().is_some_and(|first| schema(first) == "pg_catalog")
}

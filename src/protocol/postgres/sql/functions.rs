//! Which functions only read: an allow-list of names of `pg_catalog`.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::read::Reason;

/// IMMUTABLE or STABLE on PostgreSQL 15, so the server says itself that they do not write.
const STABLE: &str = include_str!("functions.txt");

/// VOLATILE, and a read all the same: see docs/postgres-statements.md.
pub(super) const VOLATILE: &[&str] = &[
    // Differ from call to call, and change nothing.
    "clock_timestamp",
    "current_query",
    "gen_random_uuid",
    "random",
    "timeofday",
    // Wait, and change nothing; `statement_timeout` holds for them.
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    // Of this session alone: the seed of random(), its view of the statistics.
    "setseed",
    "pg_stat_clear_snapshot",
    // A read-only session has no advisory lock that it could release. asyncpg sends it.
    "pg_advisory_unlock_all",
    // A name for a snapshot that ends with the transaction. pg_dump with several jobs needs it.
    "pg_export_snapshot",
    // Large objects: what is opened this way can be read; writing takes lowrite or lo_truncate.
    "lo_close",
    "lo_get",
    "lo_lseek",
    "lo_lseek64",
    "lo_open",
    "lo_tell",
    "lo_tell64",
    "loread",
    // Sizes.
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_size",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    // State of the server.
    "pg_blocking_pids",
    "pg_collation_actual_version",
    "pg_control_checkpoint",
    "pg_control_init",
    "pg_control_recovery",
    "pg_control_system",
    "pg_current_logfile",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_collation_actual_version",
    "pg_get_backend_memory_contexts",
    "pg_get_multixact_members",
    "pg_get_shmem_allocations",
    "pg_get_wal_replay_pause_state",
    "pg_get_wal_resource_managers",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_jit_available",
    "pg_last_committed_xact",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_lock_status",
    "pg_notification_queue_usage",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_prepared_xact",
    "pg_safe_snapshot_blocking_pids",
    "pg_sequence_last_value",
    "pg_show_all_file_settings",
    "pg_show_replication_origin_status",
    "pg_stat_get_recovery_prefetch",
    "pg_stat_get_xact_blocks_fetched",
    "pg_stat_get_xact_blocks_hit",
    "pg_stat_get_xact_function_calls",
    "pg_stat_get_xact_function_self_time",
    "pg_stat_get_xact_function_total_time",
    "pg_stat_get_xact_numscans",
    "pg_stat_get_xact_tuples_deleted",
    "pg_stat_get_xact_tuples_fetched",
    "pg_stat_get_xact_tuples_hot_updated",
    "pg_stat_get_xact_tuples_inserted",
    "pg_stat_get_xact_tuples_returned",
    "pg_stat_get_xact_tuples_updated",
    "pg_stat_have_stats",
    "pg_xact_commit_timestamp",
    "pg_xact_commit_timestamp_origin",
    "pg_xact_status",
    "txid_status",
];

/// Of later versions than 15, by their documentation.
pub(super) const LATER: &[&str] = &[
    "any_value",
    "array_reverse",
    "array_sample",
    "array_shuffle",
    "array_sort",
    "casefold",
    "crc32",
    "crc32c",
    "date_add",
    "date_subtract",
    "erf",
    "erfc",
    "gamma",
    "has_largeobject_privilege",
    "icu_unicode_version",
    "json_arrayagg",
    "json_objectagg",
    "json_scalar",
    "json_serialize",
    "lgamma",
    "pg_basetype",
    "pg_char_to_encoding",
    "pg_column_toast_chunk_id",
    "pg_get_acl",
    "pg_get_process_memory_contexts",
    "pg_get_wait_events",
    "pg_input_error_info",
    "pg_input_is_valid",
    "pg_stat_get_backend_subxact",
    "pg_stat_get_checkpointer_num_timed",
    "pg_stat_get_io",
    "random_normal",
    "system_user",
    "to_bin",
    "to_oct",
    "to_regtypemod",
    "unicode_assigned",
    "unicode_version",
    "uuid_extract_timestamp",
    "uuid_extract_version",
    "uuidv4",
    "uuidv7",
    "xmltext",
];

/// Of `information_schema`: JDBC asks for keys and indexes with the first.
const INFORMATION_SCHEMA: &[&str] = &[
    "_pg_char_max_length",
    "_pg_char_octet_length",
    "_pg_datetime_precision",
    "_pg_expandarray",
    "_pg_index_position",
    "_pg_interval_type",
    "_pg_numeric_precision",
    "_pg_numeric_precision_radix",
    "_pg_numeric_scale",
    "_pg_truetypid",
    "_pg_truetypmod",
];

/// What the grammar writes with a parenthesis and PostgreSQL turns into a harmless function, or
/// into none. `treat` is not among them: TREAT(5 AS pg_advisory_lock) calls the function.
pub(super) const SYNTAX: &[&str] = &[
    "cast",
    "coalesce",
    "collation",
    "greatest",
    "grouping",
    "least",
    "nullif",
    "trim",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

static READS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let stable =
        STABLE.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
    stable.chain([VOLATILE, LATER].into_iter().flatten().copied()).collect()
});

/// The names that are STABLE or IMMUTABLE.
#[cfg(test)]
pub(super) fn stable() -> impl Iterator<Item = &'static str> {
    STABLE.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace)
}

/// Whether a call of this name, given from its schema on, is known to read only.
pub(super) fn reads(path: &[&str]) -> bool {
    match path {
        [name] | ["pg_catalog", name] => READS.contains(name),
        ["information_schema", name] => INFORMATION_SCHEMA.contains(name),
        _ => false,
    }
}

/// Why a call that is not on the list is refused.
pub(super) fn refusal(path: &[&str]) -> Reason {
    let name = path.join(".");
    let why = match path.last().copied().unwrap_or_default() {
        "nextval" | "setval" => "changes the sequence",
        "currval" | "lastval" => {
            "asks for what nextval() gave in this session, which it cannot have done"
        }
        "pg_notify" => "tells all listeners",
        "txid_current" | "pg_current_xact_id" => "takes a transaction number",
        name if name.contains("advisory") => "takes or gives back a lock that other sessions see",
        _ => "is not on the list of functions that are known to read",
    };
    Reason::about(&format!("{name}()"), why)
}

/// Beginnings of names of functions with an effect. `x.f` is `f(x)` to PostgreSQL, so what would
/// be refused as a call is refused as a field too.
const FIELD_PREFIXES: &[&str] = &[
    "binary_upgrade_",
    "brin_desummarize",
    "brin_summarize",
    "currtid",
    "currval",
    "cursor_to_xml",
    "database_to_xml",
    "dblink",
    "gin_clean",
    "lastval",
    "lo_",
    "lowrite",
    "nextval",
    "pg_advisory_",
    "pg_backup_",
    "pg_cancel_",
    "pg_clear_",
    "pg_copy_",
    "pg_create_",
    "pg_current_xact_id",
    "pg_drop_",
    "pg_export_",
    "pg_extension_config_",
    "pg_import_",
    "pg_log_",
    "pg_logical_",
    "pg_ls_",
    "pg_nextoid",
    "pg_notify",
    "pg_prewarm",
    "pg_promote",
    "pg_read_",
    "pg_reload_",
    "pg_replication_origin_",
    "pg_replication_slot_",
    "pg_restore_",
    "pg_rotate_",
    "pg_set_",
    "pg_start_",
    "pg_stat_file",
    "pg_stat_force_",
    "pg_stat_reset",
    "pg_stop_",
    "pg_switch_",
    "pg_sync_",
    "pg_terminate_",
    "pg_truncate_",
    "pg_try_advisory_",
    "pg_wal_replay_",
    "query_to_xml",
    "schema_to_xml",
    "set_config",
    "setval",
    "table_to_xml",
    "ts_stat",
    "txid_current",
];

/// Whether a field of this name may be a function with an effect.
pub(super) fn is_doubtful_field(name: &str) -> bool {
    // A view, not a function.
    name != "pg_replication_origin_status"
        && FIELD_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !READS.contains(name)
}

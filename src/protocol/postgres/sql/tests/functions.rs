//! The lists of functions, keywords and settings, held against a real server.

use std::collections::HashSet;

use super::rig::{Server, Session};
use crate::protocol::postgres::sql::{Verdict, assignment, calls, function_call, functions};

fn column(session: &mut Session, query: &str) -> Vec<String> {
    session.must(query).into_iter().map(|mut row| row.remove(0)).collect()
}

fn sql_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",")
}

#[test]
fn the_stable_functions_are_there_and_the_server_calls_them_stable() {
    let mut session = Server::shared().reader();
    let listed = format!("unnest(ARRAY[{}]) n", sql_list(functions::stable()));
    let all = format!(
        "SELECT n FROM {listed} WHERE NOT EXISTS (SELECT FROM pg_proc
             WHERE proname = n AND pronamespace = 'pg_catalog'::regnamespace)
         OR EXISTS (SELECT FROM pg_proc
             WHERE proname = n AND pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v')"
    );
    assert_eq!(column(&mut session, &all), Vec::<String>::new());
}

#[test]
fn the_volatile_functions_are_there_and_volatile() {
    let mut session = Server::shared().reader();
    let listed = format!("unnest(ARRAY[{}]) n", sql_list(functions::VOLATILE.iter().copied()));
    let all = format!(
        "SELECT n FROM {listed} WHERE NOT EXISTS (SELECT FROM pg_proc
             WHERE proname = n AND pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v')"
    );
    assert_eq!(column(&mut session, &all), Vec::<String>::new());
}

#[test]
fn functions_of_later_versions_are_no_others_here() {
    let mut session = Server::shared().reader();
    let listed = sql_list(functions::LATER.iter().copied());
    let here =
        format!("SELECT proname FROM pg_proc WHERE proname IN ({listed}) AND provolatile = 'v'");
    assert_eq!(column(&mut session, &here), Vec::<String>::new());
}

#[test]
fn what_is_refused_as_a_call_is_refused_as_a_field() {
    let mut session = Server::shared().reader();
    let callable = column(
        &mut session,
        "SELECT DISTINCT proname FROM pg_proc
         WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
           AND (provolatile = 'v' OR proname IN ('txid_current', 'pg_current_xact_id'))
           AND pronargs - pronargdefaults <= 1
           AND prorettype NOT IN ('trigger'::regtype, 'internal'::regtype, 'language_handler'::regtype)
           AND NOT 'internal'::regtype = ANY (proargtypes::oid[])",
    );
    assert!(callable.len() > 80);
    // Without an argument, or for the server's own use where it is upgraded.
    let harmless: HashSet<&str> =
        HashSet::from(["amvalidate", "plpgsql_validator", "pg_stop_making_pinned_objects"]);
    let refused = |name: &str| functions::reads(&[name]) || functions::is_doubtful_field(name);
    let missed: Vec<_> = callable
        .iter()
        .filter(|name| !refused(name) && !harmless.contains(name.as_str()))
        .collect();
    assert_eq!(missed, Vec::<&String>::new());
}

#[test]
fn no_relation_or_column_of_the_catalog_is_taken_for_a_function() {
    let mut session = Server::shared().reader();
    let names = column(
        &mut session,
        "SELECT relname FROM pg_class WHERE relkind <> 'i' UNION SELECT attname FROM pg_attribute",
    );
    let doubtful: Vec<_> = names.iter().filter(|name| functions::is_doubtful_field(name)).collect();
    assert_eq!(doubtful, Vec::<&String>::new());
}

#[test]
fn all_keywords_are_known() {
    let mut session = Server::shared().reader();
    let words = column(&mut session, "SELECT word FROM pg_get_keywords()");
    let unknown: Vec<_> = words.iter().filter(|word| !calls::is_keyword(word)).collect();
    assert_eq!(unknown, Vec::<&String>::new());
}

#[test]
fn function_calls_are_those_of_large_objects() {
    let mut session = Server::shared().reader();
    let mut names = Vec::new();
    for row in session.must("SELECT oid, proname FROM pg_proc WHERE oid < 16384") {
        if function_call(row[0].parse().unwrap()) == Verdict::Read {
            names.push(row[1].clone());
        }
    }
    names.sort();
    let reads = ["lo_close", "lo_lseek", "lo_lseek64", "lo_open", "lo_tell", "lo_tell64", "loread"];
    assert_eq!(names, reads);
}

#[test]
fn operators_casts_and_types_of_the_catalog_run_nothing_volatile() {
    let mut session = Server::shared().reader();
    let volatile = column(
        &mut session,
        "SELECT proname FROM pg_proc WHERE provolatile = 'v' AND oid IN (
             SELECT oprcode FROM pg_operator WHERE oid < 16384
             UNION SELECT castfunc FROM pg_cast WHERE oid < 16384
             UNION SELECT unnest(ARRAY[typinput, typoutput, typmodin, typmodout]) FROM pg_type WHERE oid < 16384)",
    );
    assert_eq!(volatile, Vec::<String>::new());
}

#[test]
fn settings_that_may_be_set_can_be_set_and_are_no_others() {
    let mut session = Server::shared().reader();
    let settable = session.must("SELECT name, setting FROM pg_settings WHERE context = 'user'");
    let allowed = settable.iter().filter(|row| assignment(&row[0], Some(&row[1])).is_ok());
    let refused: Vec<&str> = settable
        .iter()
        .filter(|row| assignment(&row[0], Some(&row[1])).is_err())
        .map(|row| &*row[0])
        .collect();
    assert!(allowed.count() > 90);
    // Each is a decision: what is new here has to be argued.
    assert_eq!(refused, REFUSED);
}

const REFUSED: &[&str] = &[
    "backend_flush_after",
    "backslash_quote",
    "commit_siblings",
    "debug_pretty_print",
    "debug_print_parse",
    "debug_print_plan",
    "debug_print_rewritten",
    "exit_on_error",
    "gin_pending_list_limit",
    "local_preload_libraries",
    "log_parameter_max_length_on_error",
    "maintenance_io_concurrency",
    "max_parallel_maintenance_workers",
    "password_encryption",
    "temp_tablespaces",
    "trace_notify",
    "trace_sort",
    "transform_null_equals",
    "vacuum_cost_delay",
    "vacuum_cost_limit",
    "vacuum_cost_page_dirty",
    "vacuum_cost_page_hit",
    "vacuum_cost_page_miss",
    "vacuum_failsafe_age",
    "vacuum_freeze_min_age",
    "vacuum_freeze_table_age",
    "vacuum_multixact_failsafe_age",
    "vacuum_multixact_freeze_min_age",
    "vacuum_multixact_freeze_table_age",
    "wal_sender_timeout",
    "wal_skip_threshold",
];

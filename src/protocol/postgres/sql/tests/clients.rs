//! What common clients send by themselves has to be understood.

use crate::protocol::postgres::sql::{Verdict, verdict};

/// Statements between lines of `-- ####`, under headings of `-- #### CLIENT`.
const CLIENTS: &str = include_str!("clients.sql");

#[test]
fn what_psql_and_pg_dump_and_drivers_send_is_no_write() {
    let mut refused = Vec::new();
    let mut count = 0;
    for statement in
        CLIENTS.split("-- ####").map(|part| part.split_once('\n').unwrap_or_default().1)
    {
        if statement.trim().is_empty() {
            continue;
        }
        count += 1;
        if let Verdict::Write(reason) = verdict(statement) {
            refused.push(format!("{reason}\n{statement}"));
        }
    }
    assert!(count > 200, "{count}");
    assert!(refused.is_empty(), "{} of {count}:\n{}", refused.len(), refused.join("\n----\n"));
}

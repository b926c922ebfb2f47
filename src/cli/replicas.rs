//! `palisade replicas`: who shares the ledger, and how the ledger is.

use std::process::ExitCode;
use std::time::Duration;

use super::client::{Client, Connect};
use super::text::{columns, plain, print, show};
use crate::admin::{self, view};
use crate::ledger::Replica;

/// Longer than the listener takes for it.
const TIMEOUT: Duration = admin::READ_TIMEOUT.saturating_add(Duration::from_secs(5));

/// Arguments of `palisade replicas`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    palisade replicas\n  \
    palisade replicas --json | jq '.replicas[].session'")]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    /// Print JSON, as the admin listener answers it
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    show(&runtime.block_on(execute(&args))?)
}

async fn execute(args: &Args) -> anyhow::Result<Vec<u8>> {
    let client = Client::new(&args.connect, TIMEOUT)?;
    let told: view::Replicas = client.get("/api/replicas").await?;
    let mut output = Vec::new();
    print(&mut output, args.json, &told, table)?;
    Ok(output)
}

fn table(told: &view::Replicas) -> String {
    if !told.shared {
        return "this Palisade has the embedded ledger, which serves one process\n".to_owned();
    }
    let mut text = format!("ledger: {}\n", plain(&told.detail));
    if let Some(loses) = &told.loses {
        text.push_str(&format!("a failover of the ledger can lose marks: {}\n", plain(loses)));
    }
    if let Some(problem) = &told.problem {
        text.push_str(&format!("the replicas cannot be told: {}\n", plain(problem)));
        return text;
    }
    let heads = ["SESSION", "STATE", "VERSION", "AGE", "GRANTS", "LAG", "SEEN", ""];
    let mut rows = vec![heads.map(String::from)];
    rows.extend(told.replicas.iter().map(row));
    text + &columns(&rows)
}

fn row(replica: &Replica) -> [String; 8] {
    let Replica { session, is_this, version, age_seconds, grants, lag_ms, seen_ms_ago, state } =
        replica;
    [
        plain(session),
        plain(state),
        plain(version),
        age(*age_seconds),
        grants.to_string(),
        format!("{lag_ms} ms"),
        format!("{:.1} s ago", Duration::from_millis(*seen_ms_ago).as_secs_f64()),
        if *is_this { "this one".to_owned() } else { String::new() },
    ]
}

/// In the two largest units that it has.
fn age(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::admin::tests::rig::Rig;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[tokio::test]
    async fn one_process_is_told_so() {
        let rig = Rig::start().await;
        let admin = format!("http://{}", rig.address);
        let line = Line::parse_from(["replicas", "--admin", &admin]);
        let text = String::from_utf8(execute(&line.args).await.unwrap()).unwrap();
        assert!(text.contains("serves one process"), "{text}");
        let line = Line::parse_from(["replicas", "--admin", &admin, "--json"]);
        let told: view::Replicas =
            serde_json::from_slice(&execute(&line.args).await.unwrap()).unwrap();
        assert_eq!((told.shared, &*told.condition, told.replicas.len()), (false, "serving", 0));
    }

    #[test]
    fn several_are_a_table() {
        let replica = |session: &str, is_this, age_seconds| Replica {
            session: session.to_owned(),
            is_this,
            version: "0.1.0".to_owned(),
            age_seconds,
            grants: 3,
            lag_ms: 12,
            seen_ms_ago: 1_250,
            state: "serving".to_owned(),
        };
        let told = view::Replicas {
            shared: true,
            session: Some("r1#7".to_owned()),
            condition: "serving".to_owned(),
            detail: "in reach, session r1#7".to_owned(),
            loses: Some("a second".to_owned()),
            replicas: vec![replica("r1#7", true, 59), replica("r\u{1b}2#9", false, 90_061)],
            problem: None,
        };
        let expected = "\
ledger: in reach, session r1#7
a failover of the ledger can lose marks: a second
SESSION  STATE    VERSION  AGE    GRANTS  LAG    SEEN
r1#7     serving  0.1.0    59s    3       12 ms  1.2 s ago  this one
r\u{fffd}2#9    serving  0.1.0    1d 1h  3       12 ms  1.2 s ago
";
        assert_eq!(table(&told), expected);
        let text = table(&view::Replicas { problem: Some("no answer".to_owned()), ..told });
        assert!(text.ends_with("the replicas cannot be told: no answer\n"), "{text}");
        for (seconds, shown) in [(0, "0s"), (61, "1m 1s"), (3_660, "1h 1m"), (864_000, "10d 0h")] {
            assert_eq!(age(seconds), shown);
        }
    }
}

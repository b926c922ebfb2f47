//! The rows held against a running server: its list, and where it finds the keys of each line.

use std::collections::BTreeSet;

use redis::{Connection, Value};

use super::rig::{Server, ask, text};
use super::rows::{Row, rows};
use crate::protocol::redis::commands::{Access, Command, Commands, Finding, Kind, ServerCommand};

fn listed(protocol: u8) -> Vec<ServerCommand> {
    let reply = ask(&mut Server::shared().connect(protocol), &["COMMAND"]).expect("it answers");
    ServerCommand::parse(&reply).expect("it can be read")
}

/// All commands and subcommands, with the names that they have here.
fn flat(listed: &[ServerCommand]) -> Vec<(String, &ServerCommand)> {
    let all = listed.iter().flat_map(|top| std::iter::once(top).chain(&top.subcommands));
    all.map(|said| (said.name.replace('|', " ").to_ascii_uppercase(), said)).collect()
}

#[test]
fn each_command_of_the_server_has_a_row() {
    let listed = listed(2);
    let commands = Commands::shipped();
    let rows = rows();
    let have: BTreeSet<&str> =
        rows.iter().filter_map(|row| row.command(&commands)).map(|found| &*found.name).collect();
    let missing: Vec<String> = flat(&listed)
        .into_iter()
        .filter(|(_, said)| said.subcommands.is_empty())
        .map(|(name, _)| name)
        .filter(|name| !have.contains(&**name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(flat(&listed).len() > 300, "{}", listed.len());
}

#[test]
fn the_table_and_the_server_agree() {
    let (resp2, resp3) = (listed(2), listed(3));
    let sorted = |mut listed: Vec<ServerCommand>| {
        for top in &mut listed {
            top.subcommands.sort_by(|one, other| one.name.cmp(&other.name));
        }
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        listed
    };
    let (commands, differences) = Commands::checked(&resp2);
    assert_eq!(differences, [], "{differences:?}");
    assert_eq!(sorted(resp2), sorted(resp3));
    // What this server has counts as the document says, too.
    let version = Server::shared().version();
    for row in rows().iter().filter(|row| row.is_in(version)) {
        assert_eq!(row.judged(&commands), (row.counts_as.clone(), row.touches.clone()));
    }
}

/// What the server takes must not be malformed here.
#[test]
fn no_request_that_the_server_takes_has_too_few_arguments_here() {
    let listed = listed(2);
    let shipped = Commands::shipped();
    for (name, said) in flat(&listed) {
        let (name, second) = name.split_once(' ').map_or((&*name, None), |(a, b)| (a, Some(b)));
        let known = shipped.find(name.as_bytes(), second.map(str::as_bytes)).expect("a row");
        let least = said.arity.unsigned_abs();
        let takes = |count: u64| {
            let ours = u64::from(known.arity.unsigned_abs());
            if known.arity < 0 { count >= ours } else { count == ours }
        };
        assert!(takes(least), "{name} {second:?}: {} at the server", said.arity);
        assert!(said.arity > 0 || takes(least + 7), "{name} {second:?}: {}", said.arity);
    }
}

/// Subcommands are taken as they come; only what the server does with the whole command is known.
#[test]
fn the_server_finds_the_keys_that_the_rows_name() {
    let server = Server::shared();
    let version = server.version();
    let listed = listed(2);
    let all = flat(&listed);
    let mut connection = server.connect(2);
    let commands = Commands::shipped();
    let (mut skipped, mut wrong) = (0, Vec::new());
    for row in rows() {
        let known = row.command(&commands).expect("a row of a known command");
        if !row.is_in(version) {
            skipped += 1;
            continue;
        }
        if known.name.starts_with("PALISADE") {
            continue;
        }
        let Some((_, said)) = all.iter().find(|(name, _)| **name == *known.name) else {
            wrong.push(format!("the server does not have {}", row.line));
            continue;
        };
        if let Err(why) = holds(&row, known, said, keys(&mut connection, &row)) {
            wrong.push(format!("{}: {why}", row.line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Those that came after 7.0, and Valkey's own.
    assert!((60..140).contains(&skipped), "{skipped} rows were not tried");
}

/// The keys that the server finds in a line, and what it does with them.
fn keys(connection: &mut Connection, row: &Row) -> Vec<(String, Access)> {
    let mut args = vec!["COMMAND".to_owned(), "GETKEYSANDFLAGS".to_owned()];
    args.extend(row.args.iter().cloned());
    // It refuses lines that have none.
    let Ok(Value::Array(found)) = ask(connection, &args) else { return Vec::new() };
    let key = |entry: &Value| {
        let Value::Array(entry) = entry else { panic!("a list: {entry:?}") };
        let Value::Array(flags) = &entry[1] else { panic!("a list: {entry:?}") };
        let is_read = flags.iter().any(|flag| text(flag) == "RO");
        (text(&entry[0]), if is_read { Access::Read } else { Access::Write })
    };
    found.iter().map(key).collect()
}

fn holds(
    row: &Row,
    known: &Command,
    said: &ServerCommand,
    at_server: Vec<(String, Access)>,
) -> Result<(), String> {
    let least = usize::try_from(said.arity.unsigned_abs()).expect("small");
    if row.args.len() < least || said.arity > 0 && row.args.len() != least {
        return Err(format!("the server takes {} arguments", said.arity));
    }
    if !matches!(known.kind, Kind::Data | Kind::Free | Kind::Session(_)) {
        return Ok(());
    }
    let Finding::Touches(touches, _) = known.touches(row.args.len(), |index| row.arg(index)) else {
        return Err("it is not understood".into());
    };
    let mut ours: Vec<(String, Access)> =
        touches.keys.iter().map(|key| (row.args[key.index].clone(), key.access)).collect();
    let is_channel = said.has("pubsub");
    // MOVE has one key in two databases.
    ours.dedup();
    let names = |keys: &[(String, Access)]| -> Vec<String> {
        keys.iter().map(|(name, _)| name.clone()).collect()
    };
    if !is_channel && names(&ours) != names(&at_server) {
        return Err(format!("the server finds {at_server:?}"));
    }
    let explained = !row.why.is_empty();
    for ((name, our), (_, their)) in ours.iter().zip(&at_server) {
        if our < their && row.counts_as != "script" {
            return Err(format!("the server writes {name}"));
        }
        if our > their && !explained {
            return Err(format!("the server only reads {name}, and no word why this is a write"));
        }
    }
    let is_write = touches.access() == Some(Access::Write);
    if said.has("write") && !is_write && at_server.iter().any(|(_, their)| *their == Access::Write)
    {
        return Err("the server says that it writes".into());
    }
    if said.has("write") && !is_write && !explained && !row.line.starts_with("SORT") {
        return Err("the server says that it may write, and no word why this does not".into());
    }
    if is_write && !said.has("write") && !explained {
        return Err("the server does not say that it writes, and there is no word why".into());
    }
    if said.has("blocking") && !known.is_blocking {
        return Err("the server says that it may wait".into());
    }
    Ok(())
}

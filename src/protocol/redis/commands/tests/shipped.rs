//! The rows held against the shipped table.

use std::collections::BTreeSet;

use super::rows::rows;
use crate::protocol::redis::commands::{
    Access, Command, Commands, Finding, Kind, Reach, Touches, keys::Keys,
};

#[test]
fn each_row_counts_as_it_says() {
    let commands = Commands::shipped();
    let mut wrong = Vec::new();
    for row in rows() {
        let judged = row.judged(&commands);
        if judged != (row.counts_as.clone(), row.touches.clone()) {
            wrong.push(format!("{}: {judged:?}", row.line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_command_has_a_row() {
    let commands = Commands::shipped();
    let rows = rows();
    let have: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row.command(&commands))
        .map(|command| &*command.name)
        .collect();
    let stands_alone =
        |command: &&Command| !matches!(command.keys, Keys::Container { may_be_alone: false });
    let missing: Vec<&str> = commands
        .iter()
        .filter(stands_alone)
        .map(|command| &*command.name)
        .filter(|name| !have.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let names: BTreeSet<&str> = commands.iter().map(|command| &*command.name).collect();
    assert_eq!(names.len(), commands.iter().count(), "a name stands twice in the table");
}

#[test]
fn what_is_bound_keeps_to_it() {
    let commands = Commands::shipped();
    for row in rows() {
        let command = row.command(&commands).expect("a known command");
        let (Some((most, reach)), Some(Finding::Touches(touches, _))) =
            (command.bound(), row.find(&commands))
        else {
            continue;
        };
        assert!(touches.access() <= Some(most), "{}", row.line);
        let is_far = touches.keys.iter().any(|key| key.database.is_some())
            || touches.everything.is_some_and(|(_, reach)| reach != Reach::Database(None));
        assert!(!is_far || reach == Reach::Instance, "{}", row.line);
    }
}

#[test]
fn the_only_key_is_all_that_is_touched() {
    let commands = Commands::shipped();
    let mut only = 0;
    for row in rows() {
        let command = row.command(&commands).expect("a known command");
        let Some(key) = command.only_key(row.args.len()) else { continue };
        only += 1;
        let touches = Touches { keys: [key].as_slice().into(), everything: None };
        assert_eq!(row.find(&commands), Some(Finding::Touches(touches, false)), "{}", row.line);
        assert_eq!(command.only_key(1), None);
    }
    assert!(only > 150, "{only}");
    let dump = commands.find(b"DUMP", None).expect("it is known");
    assert_eq!((dump.only_key(3), dump.only_key(2).map(|key| key.index)), (None, Some(1)));
}

#[test]
fn names_are_found_in_any_case() {
    let commands = Commands::shipped();
    let find = |name: &str, second: Option<&str>| {
        commands
            .find(name.as_bytes(), second.map(str::as_bytes))
            .map(|found| found.name.to_string())
    };
    assert_eq!(find("gEt", None).as_deref(), Some("GET"));
    assert_eq!(find("GET", Some("set")).as_deref(), Some("GET"));
    assert_eq!(find("config", Some("sEt")).as_deref(), Some("CONFIG SET"));
    assert_eq!(find("CONFIG", Some("NOSUCH")), None);
    assert_eq!(find("command", Some("nosuch")), None);
    assert_eq!(find("command", None).as_deref(), Some("COMMAND"));
    assert_eq!(find("GET\0", None), None);
    assert_eq!(find("", None), None);
    assert_eq!(find("CONFIG SET", None), None);
    assert_eq!(find("CONFIG|SET", None), None);
    assert_eq!(find(&"G".repeat(32), None), None);
    assert_eq!(find(&"G".repeat(33), None), None);
    assert_eq!(find("CONFIG", Some(&"G".repeat(99))), None);
}

/// A container of which the subcommand has not come yet.
#[test]
fn a_container_waits_for_its_subcommand() {
    let commands = Commands::shipped();
    let container = commands.find(b"client", None).expect("it is known");
    assert_eq!(container.kind, Kind::Data);
    assert_eq!(container.touches(2, |_| None), Finding::More);
    assert_eq!(container.touches(1, |_| None), Finding::Malformed);
    let command = commands.find(b"command", None).expect("it is known");
    assert_eq!(command.touches(1, |_| None), Finding::Touches(Default::default(), false));
    assert_eq!(command.touches(2, |_| None), Finding::More);
}

#[test]
fn what_the_server_refuses_is_malformed() {
    let commands = Commands::shipped();
    const LINES: &[&str] = &[
        "GET",
        "GET a b",
        "SET a",
        "EVAL x",
        "EVAL x y a",
        "EVAL x -1 a",
        "EVAL x 01 a",
        "EVAL x +1 a",
        "EVAL x 2 a",
        "EVAL x 99999999999999999999 a",
        "ZUNION 0 a",
        "ZUNION 3 a b",
        "ZUNIONSTORE dst 0 a",
        "LMPOP 3 a LEFT",
        "BLMPOP 1 3 a LEFT",
        "MSETEX 2 a 1 b",
        "MSETEX 4294967295 a 1 b",
        "XREAD STREAMS a b 0",
        "XREAD STREAMS a",
        "XREAD COUNT 2 BLOCK 1",
        "XREAD NOSUCH STREAMS a 0",
        "XREAD COUNT STREAMS a 0",
        "XREADGROUP GROUP STREAMS a 0 0 0",
        "SORT a NOSUCH",
        "SORT a STORE",
        "SORT a BY",
        "SORT a LIMIT 0",
        "SORT a LIMIT 0 STORE dst",
        "SORT_RO a STORE b",
        "GEORADIUS a 1 2 3 m STORE",
        "GEORADIUS a 1 2 3 m COUNT",
        "GEORADIUS a 1 2 3 m NOSUCH b",
        "COPY a b DB",
        "COPY a b DB x",
        "COPY a b NOSUCH",
        "MOVE a x",
        "MOVE a 4294967296",
        "SWAPDB 0 -1",
    ];
    for line in LINES {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let command = commands.find(args[0], args.get(1).copied()).expect("it is known");
        let found = command.touches(args.len(), |index| args.get(index).copied());
        assert_eq!(found, Finding::Malformed, "{line}");
    }
}

/// The last key is looked for, not each of them.
#[test]
fn a_million_keys_take_no_memory_before_they_are_there() {
    let commands = Commands::shipped();
    let command = commands.find(b"DEL", None).expect("it is known");
    let found = command.touches(1 << 20, |index| (index < 9).then_some(b"a".as_slice()));
    assert_eq!(found, Finding::More);
    let Finding::Touches(touches, false) = command.touches(1 << 20, |_| Some(b"a")) else {
        panic!("all are there")
    };
    assert_eq!(touches.keys.len(), (1 << 20) - 1);
    assert_eq!(touches.access(), Some(Access::Write));
}

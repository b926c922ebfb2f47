//! The shipped table held against lists that no server of ours has.

use crate::protocol::redis::commands::{
    Access, Commands, Difference, Finding, Kind, Reach, ServerCommand, Touches, What,
};

/// `name arity flags first last step`; a subcommand under its container's.
fn said(lines: &[&str]) -> Vec<ServerCommand> {
    let mut all: Vec<ServerCommand> = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse().expect("a number");
        let flags: Vec<String> = words[2].split(',').map(String::from).collect();
        let command = ServerCommand {
            name: words[0].into(),
            arity: number(1),
            is_movable: flags.contains(&"movablekeys".into()),
            flags,
            first: number(3),
            last: number(4),
            step: number(5),
            subcommands: Vec::new(),
        };
        match words[0].split_once('|') {
            Some((top, _)) => {
                let top = all.iter_mut().find(|said| said.name == top).expect("its container");
                top.subcommands.push(command);
            }
            None => all.push(command),
        }
    }
    all
}

const EVERYTHING: Option<(Access, Reach)> = Some((Access::Write, Reach::Instance));

struct Judged {
    kind: Option<Kind>,
    touches: Option<Touches>,
    finding: Option<Finding>,
    differences: Vec<Difference>,
}

/// One line, against a server that lists these.
fn judge(server: &[&str], line: &str) -> Judged {
    let (commands, differences) = Commands::checked(&said(server));
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let command = commands.find(args[0], args.get(1).copied());
    let finding = command.map(|found| found.touches(args.len(), |index| args.get(index).copied()));
    let touches = match &finding {
        Some(Finding::Touches(touches, _)) => Some(touches.clone()),
        _ => None,
    };
    Judged { kind: command.map(|command| command.kind), touches, finding, differences }
}

#[track_caller]
fn check(server: &[&str], line: &str, what: Option<What>, everything: bool, access: Access) {
    let judged = judge(server, line);
    let touches = judged.touches.unwrap_or_else(|| panic!("{:?}", judged.finding));
    assert_eq!(judged.kind, Some(Kind::Data), "{line}");
    assert_eq!(touches.everything.is_some(), everything, "{line}");
    assert!(!everything || touches.keys.is_empty());
    assert_eq!(touches.access(), Some(access), "{line}");
    assert_eq!(judged.differences.iter().map(|one| one.what).next(), what, "{line}");
}

#[test]
fn the_stricter_word_counts() {
    use Access::{Read, Write};
    // They agree.
    check(&["get 2 readonly,fast 1 1 1"], "GET a", None, false, Read);
    check(&["set -3 write 1 1 1"], "SET a 1", None, false, Write);
    // The server calls a write of ours a read, or says nothing.
    check(&["pfcount -2 readonly 1 -1 1"], "PFCOUNT a", None, false, Write);
    check(&["set -3 fast 1 1 1"], "SET a 1", None, false, Write);
    check(&["eval -3 noscript,movablekeys 0 0 0"], "EVAL x 1 a", None, false, Write);
    check(&["publish 3 pubsub 0 0 0"], "PUBLISH c x", None, false, Write);
    check(&["spublish 3 pubsub 1 1 1"], "SPUBLISH c x", None, false, Write);
    // The server calls a read of ours a write.
    check(&["get 2 write 1 1 1"], "GET a", Some(What::Writes), false, Write);
    check(&["zunion -3 write,movablekeys 0 0 0"], "ZUNION 1 a", Some(What::Writes), false, Write);
    check(
        &["xread -4 write,movablekeys 0 0 0"],
        "XREAD STREAMS a 0",
        Some(What::Writes),
        false,
        Write,
    );
    check(&["keys 2 write 0 0 0"], "KEYS *", Some(What::Writes), true, Write);
    check(&["ping -1 write 0 0 0"], "PING", Some(What::Writes), true, Write);
    // Its keys are elsewhere.
    check(&["get 2 readonly 2 2 1"], "GET a", Some(What::Keys), true, Write);
    check(&["get 2 readonly,movablekeys 1 1 1"], "GET a", Some(What::Keys), true, Write);
    check(&["mget -2 readonly 1 1 1"], "MGET a b", Some(What::Keys), true, Write);
    check(&["mset -3 write 1 -1 1"], "MSET a b", Some(What::Keys), true, Write);
    check(&["sinterstore -3 write 2 -1 1"], "SINTERSTORE a b", Some(What::Keys), true, Write);
    check(&["eval -3 noscript 3 3 1"], "EVAL x 1 a", Some(What::Keys), true, Write);
    check(&["sort -2 write 1 1 1"], "SORT a", Some(What::Keys), true, Write);
    check(&["keys 2 readonly 1 1 1"], "KEYS *", Some(What::Keys), true, Write);
    check(&["time 1 fast 1 1 1"], "TIME", Some(What::Keys), true, Write);
    check(
        &["time -1 fast 0 0 0", "time|set 3 write 0 0 0"],
        "TIME SET 1",
        Some(What::Keys),
        true,
        Write,
    );
    // It does not list them: the name may be another command's.
    check(&[], "GET a", None, true, Write);
    check(&[], "ECHO a", None, true, Write);
    check(&[], "OBJECT ENCODING a", None, true, Write);
    check(
        &["object -2 slow 0 0 0", "object|help 2 fast 0 0 0"],
        "OBJECT ENCODING a",
        None,
        false,
        Read,
    );
}

/// A session's own, and what is refused, count so whatever the server says.
#[test]
fn what_never_goes_on_as_it_is_stays() {
    for line in ["AUTH a", "MULTI", "SYNC", "CLIENT REPLY OFF", "PALISADE STATUS", "CONFIG GET a"] {
        let kind = judge(&[], line).kind.expect("it is known");
        assert!(!matches!(kind, Kind::Data | Kind::Free), "{line}: {kind:?}");
    }
    let watch = judge(&["watch -2 fast 2 2 1"], "WATCH a");
    assert!(matches!(watch.kind, Some(Kind::Session(_))));
    let touches = watch.touches.expect("it touches");
    assert_eq!(touches.everything, Some((Access::Read, Reach::Instance)));
}

#[test]
fn what_only_the_server_knows_is_taken_from_it() {
    use Access::{Read, Write};
    check(&["json.get -2 readonly,module 1 1 1"], "JSON.GET a", Some(What::New), false, Read);
    check(&["json.set -4 write,module 1 1 1"], "json.set a $ 1", Some(What::New), false, Write);
    check(
        &["json.mset -4 write,module 1 -1 3"],
        "JSON.MSET a $ 1 b $ 2",
        Some(What::New),
        false,
        Write,
    );
    check(&["x.both -2 write,readonly 1 1 1"], "X.BOTH a", Some(What::New), false, Write);
    check(&["ft.search -3 readonly,module 0 0 0"], "FT.SEARCH a b", Some(What::New), true, Read);
    check(&["x.odd -2 readonly 3 1 1"], "X.ODD a", Some(What::New), true, Read);
    check(&["x.odd -2 readonly 1 1 0"], "X.ODD a", Some(What::New), true, Read);
    check(&["x.all -1 write,module 0 0 0"], "X.ALL", Some(What::New), true, Write);
    check(&["x.what -1 module 0 0 0"], "X.WHAT", Some(What::Unclear), true, Write);
    check(&["x.what -1 module 1 1 1"], "X.WHAT a", Some(What::Unclear), true, Write);
    check(
        &["x.top -2 slow 0 0 0", "x.top|get 3 readonly 2 2 1"],
        "X.TOP GET a",
        Some(What::New),
        false,
        Read,
    );
    // A new subcommand of a known container.
    check(
        &["config -2 slow 0 0 0", "config|new 2 fast 0 0 0"],
        "CONFIG NEW",
        Some(What::Unclear),
        true,
        Write,
    );
    let asks = judge(&["x.move -3 readonly,movablekeys 0 0 0"], "X.MOVE 1 a");
    assert_eq!(asks.finding, Some(Finding::Ask(Read)));
    let asks = judge(&["x.move -3 write,movablekeys 0 0 0"], "X.MOVE 1 a");
    assert_eq!(asks.finding, Some(Finding::Ask(Write)));
    let admin = judge(&["x.config -3 write,admin 0 0 0"], "X.CONFIG SET a");
    assert_eq!(admin.kind, Some(Kind::Admin));
    let listens = judge(&["x.subscribe -2 pubsub 0 0 0"], "X.SUBSCRIBE a");
    assert!(matches!(listens.kind, Some(Kind::Refused(_))));
    assert_eq!(judge(&["get 2 readonly 1 1 1"], "NOSUCH a").kind, None);
    let long = format!("{} 2 readonly 1 1 1", "x".repeat(40));
    assert_eq!(judge(&[&long], &format!("{} a", "x".repeat(40))).kind, None);
}

/// Before version 7 the server listed only the containers.
#[test]
fn an_old_list_is_understood() {
    let old: &[&str] = &[
        "object -2 readonly,random 2 2 1",
        "xgroup -2 write,denyoom 2 2 1",
        "client -2 admin,noscript,random,loading,stale 0 0 0",
        "zunionstore -4 write,denyoom,movablekeys 0 0 0",
        "xread -4 readonly,blocking,movablekeys 1 1 1",
        "command -1 random,loading,stale 0 0 0",
    ];
    let touched = |line| judge(old, line).touches.expect("it is understood");
    assert_eq!(touched("OBJECT ENCODING a").access(), Some(Access::Read));
    assert_eq!(touched("XGROUP CREATE a g 0").keys.len(), 1);
    assert_eq!(touched("ZUNIONSTORE a 1 b").keys.len(), 2);
    assert_eq!(touched("XREAD STREAMS a 0").access(), Some(Access::Read));
    assert_eq!(touched("COMMAND").access(), None);
    assert_eq!(judge(old, "CLIENT ID").kind, Some(Kind::Free));
    assert_eq!(touched("XGROUP HELP").everything, EVERYTHING);
}

/// The server has said how many arguments it takes: what does not keep to it has no effect.
#[test]
fn a_wrong_number_of_arguments_is_the_servers_to_refuse() {
    let server = &["get 2 readonly 1 1 1", "set -4 write 1 1 1", "newer -2 write 1 1 1"];
    for line in ["GET", "GET a b", "SET a 1", "NEWER"] {
        assert_eq!(judge(server, line).touches, Some(Touches::default()), "{line}");
    }
    assert_eq!(judge(server, "SET a 1 2").touches.expect("it writes").keys.len(), 1);
}

#[test]
fn a_difference_is_a_line_for_a_log() {
    let differences = judge(&["get 2 write 1 1 1", "x.y 1 fast 0 0 0"], "GET a").differences;
    let lines: Vec<String> = differences.iter().map(Difference::to_string).collect();
    assert_eq!(
        lines,
        [
            "GET writes by the server's word: counted as a write",
            "X.Y is known only by the server, which does not say what it does: counted as a write \
             to everything",
        ]
    );
}

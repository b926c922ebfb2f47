//! What each command needs, by rules and identity.

use std::time::Duration;

use super::*;
use crate::fence::TokenRules;
use crate::rules::{
    CommitPoint, Covers, Globs, HolderKind, KeyPattern, Keys, Sessions, Template, Who,
};

/// A rule by its keys and resource: `w*` may write and read, `r*` may read, `ops` may administer.
fn rule(keys: &str, resource: &str, change: impl FnOnce(&mut Rule)) -> Arc<Rule> {
    let pattern = KeyPattern::parse(keys).expect("a pattern");
    let globs = |texts: &[&str]| Globs::new(texts.iter().copied()).expect("globs");
    let mut rule = Rule {
        name: keys.into(),
        resource: Template::for_keys(resource, &pattern).expect("a template"),
        covers: Covers::Keys(Keys { pattern, databases: None }),
        who: Who {
            read: globs(&["w*", "r*"]),
            write: globs(&["w*"]),
            raise: globs(&["w*"]),
            administer: globs(&["ops"]),
        },
        reads: Reads::Open,
        tokens: TokenRules::default(),
        holder: HolderKind::Identity,
        commit_point: CommitPoint::Head,
        settle_timeout: Duration::ZERO,
        takeover_timeout: Duration::from_secs(1),
        sessions: Sessions::default(),
    };
    change(&mut rule);
    Arc::new(rule)
}

fn rule_of(keys: &str, resource: &str) -> Arc<Rule> {
    rule(keys, resource, |_| ())
}

/// Judges a line of words, of which only the first `here` have come. As text: what it needs, or
/// why it is refused.
fn judged(rules: &[Arc<Rule>], identity: &str, line: &str, here: usize) -> String {
    let rules = Rules::new(rules.to_vec());
    let sole = rules.sole(Some(0)).expect("a name");
    let words: Vec<&str> = line.split(' ').collect();
    let mut place = Place {
        commands: &Commands::shipped(),
        rules: &rules,
        identity,
        database: 0,
        sole: sole.as_ref(),
        rights: &mut Rights::default(),
    };
    let arg = |at: usize| words.get(at).filter(|_| at < here).map(|word| word.as_bytes());
    let shown = |needs: &Needs| {
        let need = |need: &Need| {
            let access = if need.access == Access::Write { "w" } else { "r" };
            format!("{access} {}", need.matched.resource)
        };
        needs.iter().map(need).collect::<Vec<_>>().join(", ")
    };
    match place.judge(words.len(), arg) {
        Verdict::Forward { needs, is_blocking: true } => format!("blocking: {}", shown(&needs)),
        Verdict::Forward { needs, .. } => shown(&needs),
        Verdict::Act(act, needs) => format!("{act:?}: {}", shown(&needs)),
        Verdict::More => "more".to_owned(),
        Verdict::Ask(access) => format!("ask: {access:?}"),
        Verdict::Refuse(refused) => {
            format!("{} {}", refused.0.row().word, refused.0.row().reason)
        }
    }
}

#[test]
fn keys_decide_about_resources_and_identities_about_rights() {
    fn check(identity: &str, line: &str, expected: &str) {
        let rules = [rule_of("jobs:{queue}:*", "jobs/{queue}"), rule_of("conf", "conf")];
        let here = line.split(' ').count();
        assert_eq!(judged(&rules, identity, line, here), expected, "{identity}: {line}");
    }

    check("w", "PING", "");
    check("nobody", "PING", "");
    check("w", "SET jobs:a:1 v", "w jobs/a");
    check("w", "set jobs:a:1 v", "w jobs/a");
    check("w", "GET jobs:a:1", "r jobs/a");
    check("r", "GET jobs:a:1", "r jobs/a");
    check("r", "SET jobs:a:1 v", "NOPERM forbidden");
    check("nobody", "GET jobs:a:1", "NOPERM forbidden");
    check("w", "SET other v", "NOPERM no_rule");
    check("w", "MSET jobs:a:1 v jobs:b:1 v jobs:a:2 v", "w jobs/a, w jobs/b");
    check("w", "SMOVE jobs:a:1 jobs:b:1 m", "w jobs/a, w jobs/b");
    check("w", "COPY jobs:a:1 jobs:b:1", "r jobs/a, w jobs/b");
    check("w", "COPY jobs:a:1 jobs:a:2", "w jobs/a");
    check("w", "BLPOP jobs:a:1 jobs:b:1 0", "blocking: w jobs/a, w jobs/b");
    check("w", "EVAL x 1 jobs:a:1", "w jobs/a");
    check("w", "EVAL x 0", "NOPERM everything");
    check("w", "EVAL_RO x 1 jobs:a:1", "r jobs/a");
    check("w", "PUBLISH jobs:a:news hello", "w jobs/a");
    check("w", "SUBSCRIBE jobs:a:news", "Subscribe: r jobs/a");
    check("w", "WATCH jobs:a:1 conf", "Watch: r jobs/a, r conf");
    check("w", "FLUSHALL", "NOPERM everything");
    check("w", "NOSUCH thing", "NOPERM everything");
    check("r", "KEYS *", "");
    check("nobody", "KEYS *", "NOPERM forbidden");
    check("w", "CONFIG SET a b", "NOPERM admin");
    check("ops", "CONFIG SET a b", "NOPERM admin");
    check("w", "MULTI", "Multi: ");
    check("w", "SYNC", "NOPERM never");
    check("w", "MONITOR", "NOPERM admin");
}

#[test]
fn everything_is_written_where_its_resources_can_be_counted() {
    fn check(identity: &str, line: &str, expected: &str) {
        let rules = [rule_of("conf", "conf"), rule_of("*", "all")];
        let here = line.split(' ').count();
        assert_eq!(judged(&rules, identity, line, here), expected, "{identity}: {line}");
    }

    check("w", "FLUSHALL", "w conf, w all");
    check("w", "NOSUCH thing", "w conf, w all");
    check("r", "FLUSHALL", "NOPERM forbidden");
    check("w", "EVAL x 0", "w conf, w all");
    check("w", "KEYS *", "r conf, r all");
    check("ops", "CONFIG SET a b", "");
    check("ops", "MONITOR", "Monitor: ");
    check("ops", "SET a b", "NOPERM forbidden");
}

#[test]
fn with_one_resource_keys_need_not_be_there() {
    let rules = [rule_of("*", "all")];
    assert_eq!(judged(&rules, "w", "MSET a 1 b 2", 3), "w all");
    assert_eq!(judged(&rules, "w", "EVAL x 2 a b", 2), "w all");
    let rules = [rule_of("a", "a"), rule_of("*", "all")];
    assert_eq!(judged(&rules, "w", "MSET a 1 b 2", 3), "more");
    assert_eq!(judged(&rules, "w", "SET a 1", 2), "w a");
    assert_eq!(judged(&rules, "w", "OBJECT FREQ a", 1), "more");
}

#[test]
fn a_rule_may_refuse_scripts() {
    let rules = [rule("*", "all", |rule| rule.sessions.scripts = Scripts::Refuse)];
    assert_eq!(judged(&rules, "w", "EVAL x 1 a", 4), "NOPERM script");
    assert_eq!(judged(&rules, "w", "EVAL x 0", 3), "NOPERM script");
    assert_eq!(judged(&rules, "w", "FCALL_RO f 1 a", 4), "r all");
    assert_eq!(judged(&rules, "w", "SET a 1", 3), "w all");
}

#[test]
fn a_read_of_everything_needs_a_countable_seal_where_reads_need_a_token() {
    let open = [rule_of("jobs:{queue}:*", "jobs/{queue}"), rule_of("*", "all")];
    assert_eq!(judged(&open, "w", "DBSIZE", 1), "");
    let token = |rule: &mut Rule| rule.reads = Reads::Token;
    let sealed = [rule("jobs:{queue}:*", "jobs/{queue}", token), rule_of("*", "all")];
    assert_eq!(judged(&sealed, "w", "DBSIZE", 1), "NOPERM forbidden");
}

#[test]
fn bytes_of_clients_are_shown_short_and_in_one_line() {
    assert_eq!(shown(b"a\r\nb\xff"), "a\\r\\nb\\xff");
    assert_eq!(shown(&[b'x'; 100]), format!("{}... (100 bytes)", "x".repeat(64)));
}

#[test]
fn a_command_that_is_not_all_there_reaches_no_further_than_it_is_granted() {
    fn check(rule: &Arc<Rule>, line: &str, here: usize, expected: &str) {
        let rules = [Arc::clone(rule)];
        assert_eq!(judged(&rules, "w", line, here), expected, "{here} of {line}");
    }

    let each = rule_of("*", "db{database}");
    check(&each, "SET key value", 2, "w db0");
    check(&each, "MOVE key 1", 2, "more");
    check(&each, "MOVE key 1", 3, "w db0, w db1");
    check(&each, "COPY a b DB 1", 3, "more");
    check(&each, "EVAL body 0", 2, "more");
    let one = rule_of("*", "one");
    check(&one, "MOVE key 1", 2, "w one");
    check(&one, "EVAL body 0", 2, "w one");
    let strict = rule("*", "one", |rule| rule.sessions.scripts = Scripts::Refuse);
    check(&strict, "EVAL body 0", 2, "NOPERM script");
    check(&strict, "SET key value", 2, "w one");
}

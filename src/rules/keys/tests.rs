//! Keys: what matches, what is refused, what covers what, and what everything is.

mod properties;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::fence::TokenRules;
use crate::rules::{
    CommitPoint, Covers, Globs, HolderKind, Reads, Sessions, Template, TemplateError, Who,
};

fn pattern(text: &str) -> KeyPattern {
    KeyPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A rule by its keys, databases and resource, whose name is the pattern's text.
fn rule(keys: &str, databases: Option<&[u32]>, resource: &str) -> Arc<Rule> {
    let pattern = pattern(keys);
    let administer = Globs::new([format!("ops-of-{resource}").as_str()]).expect("a glob");
    Arc::new(Rule {
        name: keys.into(),
        resource: Template::for_keys(resource, &pattern).expect("a template"),
        covers: Covers::Keys(Keys { pattern, databases: databases.map(<[u32]>::to_vec) }),
        who: Who { administer, ..Who::default() },
        reads: Reads::Open,
        tokens: TokenRules::default(),
        holder: HolderKind::Identity,
        commit_point: CommitPoint::Head,
        settle_timeout: Duration::ZERO,
        takeover_timeout: Duration::from_secs(1),
        sessions: Sessions::default(),
    })
}

#[test]
fn keys_match_in_one_way() {
    /// `expected`: what the places hold, or `-` for no match.
    fn check(text: &str, key: &[u8], expected: &str) {
        let found = pattern(text).matches(key).map_or_else(
            || "-".to_owned(),
            |values| {
                let values: Vec<_> = values.iter().map(|v| v.escape_ascii().to_string()).collect();
                values.join(" ")
            },
        );
        assert_eq!(found, expected, "{text} on {}", key.escape_ascii());
    }

    check("*", b"", "");
    check("*", b"a:b\xff\0", "");
    check("jobs", b"jobs", "");
    check("jobs", b"jobs:", "-");
    check("jobs", b"Jobs", "-");
    check("jobs:*", b"jobs:", "");
    check("jobs:*", b"jobs:a:b", "");
    check("jobs:*", b"jobs", "-");
    check("jobs*", b"jobs", "");
    check("jobs*", b"jobs2:a", "");
    check("*:lock", b"a:b:lock", "");
    check("*:lock", b":lock", "");
    check("*:lock", b"lock", "-");
    check("*lock", b"lock", "");
    check("a*a", b"a", "-");
    check("a*a", b"aa", "");
    check("a:*:a", b"a:a", "-");
    check("a:*:a", b"a::a", "");
    check("a:", b"a:", "");
    check("a:", b"a", "-");
    check(":", b":", "");

    check("jobs:{queue}:*", b"jobs:mail:1", "mail");
    check("jobs:{queue}:*", b"jobs:mail:", "mail");
    check("jobs:{queue}:*", b"jobs:mail:1:2", "mail");
    check("jobs:{queue}:*", b"jobs:mail", "-");
    check("jobs:{queue}:*", b"jobs::1", "-");
    check("jobs:{queue}:*", b"jobs:\xff/\n:1", "\\xff/\\n");
    check("{app}:{n}", b"a:1", "a 1");
    check("{app}:{n}", b"a:1:2", "-");
    check("{app}:{n}", b"a", "-");
    check("{app}:{n}", b":1", "-");
    check("{app}:{n}", b"a:", "-");
    check("{a}:*:{b}", b"1:2", "-");
    check("{a}:*:{b}", b"1::2", "1 2");
    check("{a}:*:{b}", b"1:2:3:4", "1 4");
    check("{a}:x*y:{b}:{c}", b"1:xy:2:3", "1 2 3");
    check("{a}:x*y:{b}:{c}", b"1:x:y:2:3", "1 2 3");
    check("{a}:x*y:{b}:{c}", b"1:x:2:3", "-");
    check("q-{n}.log", b"q-1.log", "1");
    check("q-{n}.log", b"q-.log", "-");
    check("a{n}a", b"aa", "-");
    check("*:{n}", b"a:b:1", "1");
    check("*:{n}", b":1", "1");
    check("*:{n}", b"1", "-");

    check("{{{tag}}}:*", b"{7}:x", "7");
    check("{{{tag}}}:*", b"7:x", "-");
    check("{{a}}", b"{a}", "");
    check("jobs:{{{queue}}}", b"jobs:{mail}", "mail");
}

#[test]
fn what_is_no_pattern() {
    fn check(text: &str, expected: KeyPatternError) {
        assert_eq!(KeyPattern::parse(text), Err(expected), "{text:?}");
    }

    check("", KeyPatternError::Empty);
    check("a\n*", KeyPatternError::ControlCharacter);
    check("{a", KeyPatternError::Brace);
    check("a}", KeyPatternError::Brace);
    check("{{a}", KeyPatternError::Brace);
    check("{}", KeyPatternError::Name(String::new()));
    check("{A}", KeyPatternError::Name("A".into()));
    check("{a:b}", KeyPatternError::Name("a:b".into()));
    check("{database}:*", KeyPatternError::Reserved);
    check("{a}:{a}", KeyPatternError::DuplicatePlace("a".into()));
    check("{a}{b}", KeyPatternError::Ambiguous);
    check("{a}-{b}", KeyPatternError::Ambiguous);
    check("{a}*", KeyPatternError::Ambiguous);
    check("{a}x*", KeyPatternError::Ambiguous);
    check("*{a}", KeyPatternError::Ambiguous);
    check("*x{a}:b", KeyPatternError::Ambiguous);
    check("**", KeyPatternError::SecondStar);
    check("*:a:*", KeyPatternError::SecondStar);
    check(&"a".repeat(1025), KeyPatternError::TooLong);
    let places: Vec<_> = (0..17).map(|place| format!("{{p{place}}}")).collect();
    check(&places.join(":"), KeyPatternError::TooLong);
}

#[test]
fn an_earlier_rule_covers_a_later_one() {
    type Databases = Option<&'static [u32]>;
    fn check(earlier: (&str, Databases), later: (&str, Databases), expected: bool) {
        let [a, b] = [earlier, later].map(|(keys, databases)| rule(keys, databases, "r"));
        assert_eq!(a.covers.covers(&b.covers), expected, "{earlier:?} over {later:?}");
    }

    check(("*", None), ("a:{b}:*", None), true);
    check(("*", Some(&[0])), ("a", None), false);
    check(("*", Some(&[0, 1])), ("a", Some(&[1])), true);
    check(("*", Some(&[0])), ("a", Some(&[1])), false);
    check(("*", None), ("a", Some(&[1])), true);

    let check = |earlier, later, expected| check((earlier, None), (later, None), expected);
    check("a", "a", true);
    check("a", "*", false);
    check("a*", "a:{b}", true);
    check("a*", "{b}", false);
    check("a:*", "a:{b}:*", true);
    check("a:*", "a", false);
    check("a:{b}:*", "a:*", false);
    check("a:{b}:*", "a:{c}:x:*", true);
    check("a:{b}:*", "a:x*", false);
    check("a:{b}", "a:x{c}", true);
    check("a:x{b}", "a:{c}", false);
    check("a:x{b}", "a:x", false);
    check("a*a", "aa", true);
    check("a*a", "a", false);
    check("a*a", "a:{x}:a", true);
    check("a*a", "a:{x}:*a", true);
    check("a*a", "a{x}a", true);
    check("*:a", "{x}:a", true);
    check("*:{y}", "{x}:b*", false);
    check("*:{y}", "{x}:*:b", true);
    check("*", "*", true);
}

#[test]
fn names_are_made_of_keys() {
    fn check(keys: &str, resource: &str, key: &[u8], expected: Result<&str, ResourceError>) {
        let rules = Rules::new(vec![rule(keys, None, resource)]);
        let found = rules.find_key(3, key);
        let name = found.map(|found| found.expect("a match").resource.as_str().to_owned());
        assert_eq!(name.as_deref(), expected.as_ref().copied(), "{resource} of {keys}");
        let mut written = "left over".to_owned();
        let rule = rules.name_key(3, key, &mut written);
        if let Ok(expected) = expected {
            assert!(rule.expect("a name").is_some());
            assert_eq!(written, expected);
        }
    }

    check("jobs:{queue}:*", "jobs/{queue}", b"jobs:mail:1", Ok("jobs/mail"));
    check("jobs:{queue}:*", "jobs/{queue}", b"jobs:a/b%:1", Ok("jobs/a%2Fb%25"));
    check("jobs:{queue}:*", "jobs/{queue}", "jobs:é:1".as_bytes(), Ok("jobs/é"));
    check("jobs:{queue}:*", "jobs/{queue}", b"jobs:\xff:1", Err(ResourceError::NotText));
    check("jobs:{queue}:*", "jobs", b"jobs:\xff:1", Ok("jobs"));
    check("jobs:{queue}:*", "j/{queue}", b"jobs:\n:", Err(ResourceError::ControlCharacter));
    check("*", "db{database}", b"x", Ok("db3"));
    check("{a}:*", "{database}/{a}", b"x:", Ok("3/x"));
    check("{a}:{b}", "{b}:{a}", b"x:y", Ok("y:x"));
    let long = [b"a".repeat(513), b":".to_vec()].concat();
    check("{a}:*", "{a}", &long, Err(ResourceError::TooLong));
}

#[test]
fn what_is_no_template() {
    fn check(resource: &str, expected: TemplateError) {
        let found = Template::for_keys(resource, &pattern("{a}:{b}:*"));
        assert_eq!(found, Err(expected), "{resource}");
    }

    check(
        "{c}",
        TemplateError::UnknownPlace {
            name: "c".into(),
            known: vec!["a".into(), "b".into(), "database".into()],
        },
    );
    check("{a}{b}", TemplateError::Touching);
    check("{a}-{b}", TemplateError::Unparted);
    check("{a}/{b}-{database}", TemplateError::Unparted);
    check("", TemplateError::Empty);
    assert!(Template::for_keys("x{a}:y/{b}z", &pattern("{a}:{b}:*")).is_ok());
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = Rules::new(vec![
        rule("jobs:{queue}:*", Some(&[0]), "jobs/{queue}"),
        rule("jobs:*", None, "other-jobs"),
    ]);
    let check = |database, key: &str, expected: Option<&str>| {
        let found = rules.find_key(database, key.as_bytes()).expect("a name");
        let found = found.map(|found| format!("{} {}", found.rule.name, found.resource));
        assert_eq!(found.as_deref(), expected, "{database} {key}");
    };
    check(0, "jobs:a:1", Some("jobs:{queue}:* jobs/a"));
    check(0, "jobs:a", Some("jobs:* other-jobs"));
    check(1, "jobs:a:1", Some("jobs:* other-jobs"));
    check(0, "x", None);
}

#[test]
fn one_resource_for_all() {
    fn check(rules: &[Arc<Rule>], whole: Option<&str>, first: Option<&str>) {
        let rules = Rules::new(rules.to_vec());
        let name = |database| {
            let found = rules.sole(database).expect("a name");
            found.map(|found| found.resource.as_str().to_owned())
        };
        assert_eq!(name(None).as_deref(), whole);
        assert_eq!(name(Some(1)).as_deref(), first);
    }

    check(&[rule("*", None, "all")], Some("all"), Some("all"));
    check(&[rule("*", None, "db{database}")], None, Some("db1"));
    check(&[rule("*", Some(&[1]), "one")], None, Some("one"));
    check(&[rule("*", Some(&[0]), "zero")], None, None);
    check(&[rule("*", Some(&[0]), "zero"), rule("*", None, "all")], None, Some("all"));
    check(&[rule("a*", None, "a"), rule("*", None, "all")], None, None);
    check(&[], None, None);
}

#[test]
fn everything_is_counted_where_it_can_be() {
    fn check(rules: &[Arc<Rule>], database: Option<u32>, may: &str, expected: &str) {
        let all = Rules::new(rules.to_vec()).all(database);
        let names = |names: Vec<String>| names.join(" ");
        assert_eq!(names(all.rules.iter().map(|rule| rule.name.to_string()).collect()), may);
        let found = all.resources.map(|found| {
            names(found.into_iter().map(|found| found.resource.as_str().to_owned()).collect())
        });
        assert_eq!(found.unwrap_or_else(|why| why), expected);
    }

    let all = rule("*", None, "all");
    let zero = rule("*", Some(&[0, 2]), "db{database}");
    let a = rule("a*", None, "a");
    let queues = rule("jobs:{queue}", None, "jobs/{queue}");
    check(&[], None, "", "no rule covers every key of every database");
    check(std::slice::from_ref(&zero), Some(0), "*", "db0");
    check(std::slice::from_ref(&zero), Some(1), "", "no rule covers every key of database 1");
    check(std::slice::from_ref(&zero), None, "*", "no rule covers every key of every database");
    check(&[zero.clone(), all.clone()], None, "* *", "db0 db2 all");
    check(&[zero.clone(), all.clone()], Some(2), "*", "db2");
    check(&[a.clone(), all.clone(), queues.clone()], None, "a* *", "a all");
    check(
        &[queues, all.clone()],
        Some(0),
        "jobs:{queue} *",
        "rule \"jobs:{queue}\" has a resource for each {queue}",
    );
    let each = rule("*", None, "db{database}");
    check(&[each], None, "*", "rule \"*\" has a resource for each {database}");

    let rules = Rules::new(vec![zero, a, all]);
    let may = |who: &str| rules.administered(who).map(|rule| rule.name.to_string());
    assert_eq!(may("ops-of-all").as_deref(), Some("*"));
    assert_eq!(may("ops-of-a"), None, "it does not cover every key");
    assert_eq!(may("ops-of-db{database}"), None);
}

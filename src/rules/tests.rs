//! Patterns and templates: what matches, what is refused, what covers and overlaps what.

use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn paths_match_segment_by_segment() {
    /// `expected`: what the places hold, or `-` for no match.
    fn check(text: &str, path: &str, expected: &str) {
        let pattern = pattern(text);
        let found = pattern.matches(path).map_or_else(
            || "-".to_owned(),
            |captures| {
                let values = (0..pattern.names().len()).filter_map(|place| captures.at(place));
                values.collect::<Vec<_>>().join(" ")
            },
        );
        assert_eq!(found, expected, "{text} on {path:?}");
    }

    check("/orders", "/orders", "");
    check("/orders", "/orders/", "-");
    check("/orders", "/Orders", "-");
    check("/orders/", "/orders/", "");
    check("/orders/", "/orders", "-");
    check("/", "/", "");
    check("/", "/a", "-");
    check("/", "", "-");
    check("/a", "a", "-");
    check("/a//b", "/a//b", "");
    check("/a//b", "/a/b", "-");

    check("/**", "/", "");
    check("/**", "/a//b", "");
    check("/**", "", "-");
    check("/orders/**", "/orders", "");
    check("/orders/**", "/orders/", "");
    check("/orders/**", "/orders/a//b", "");
    check("/orders/**", "/orders2", "-");
    check("/orders/**", "//orders", "-");

    check("/orders/{shard}/**", "/orders/7", "7");
    check("/orders/{shard}/**", "/orders/7/", "7");
    check("/orders/{shard}/**", "/orders/7/a/b", "7");
    check("/orders/{shard}/**", "/orders//x", "-");
    check("/orders/{shard}/**", "/orders/", "-");
    check("/orders/{shard}/**", "/orders", "-");
    check("/{bucket}/{key}", "/b/k", "b k");
    check("/{bucket}/{key}", "/b/k/l", "-");
    check("/a/logs-{date}.gz", "/a/logs-2026.gz", "2026");
    check("/a/logs-{date}.gz", "/a/logs-.gz", "-");
    check("/a/{n}aa", "/a/aa", "-");
    check("/a/a{n}a", "/a/aa", "-");
    check("/a/a{n}a", "/a/a", "-");
    check("/a/{n}", "/a/%2F{é}\u{7}", "%2F{é}\u{7}");

    check("/*/x", "/a/x", "");
    check("/*/x", "//x", "-");
    check("/*/x", "/a/b/x", "-");
    check("/a*", "/a", "");
    check("/a*", "/abc", "");
    check("/a*c", "/ac", "");
    check("/a*a", "/a", "-");
}

#[test]
fn what_is_no_pattern() {
    fn check(text: &str, expected: PatternError) {
        assert_eq!(Pattern::parse(text), Err(expected), "{text:?}");
    }

    check("", PatternError::NotAbsolute);
    check("orders", PatternError::NotAbsolute);
    check("/**/a", PatternError::RestNotLast);
    check("/a**", PatternError::RestNotLast);
    check("/***", PatternError::RestNotLast);
    check("/a/../b", PatternError::DotSegment("..".into()));
    check("/.", PatternError::DotSegment(".".into()));
    check("/{a", PatternError::Brace);
    check("/a}", PatternError::Brace);
    check("/a}{b}", PatternError::Brace);
    check("/*}", PatternError::Brace);
    check("/{a}b}", PatternError::Brace);
    check("/{}", PatternError::Name(String::new()));
    check("/{A}", PatternError::Name("A".into()));
    check("/{1a}", PatternError::Name("1a".into()));
    check("/{a/b}", PatternError::Brace);
    check("/{a}{b}", PatternError::Ambiguous);
    check("/{a}*", PatternError::Ambiguous);
    check("/*a*", PatternError::Ambiguous);
    check("/*{a}", PatternError::Ambiguous);
    check("/{a}/{a}", PatternError::DuplicatePlace("a".into()));
    check("/my%20orders", PatternError::Encoded("%20".into()));
    check("/a\n", PatternError::ControlCharacter);
    check(&format!("/{}", "a".repeat(1024)), PatternError::TooLong);
    check(
        &(0..17).map(|place| format!("/{{p{place}}}")).collect::<String>(),
        PatternError::TooLong,
    );
    assert!(Pattern::parse("/100%/50%2").is_ok());
}

#[test]
fn an_earlier_pattern_covers_a_later_one() {
    fn check(earlier: &str, later: &str, expected: bool) {
        assert_eq!(pattern(earlier).covers(&pattern(later)), expected, "{earlier} over {later}");
    }

    check("/a/**", "/a/**", true);
    check("/a/**", "/a", true);
    check("/a/**", "/a/{b}/**", true);
    check("/a/{b}/**", "/a/**", false);
    check("/**", "/", true);
    check("/a", "/a/**", false);
    check("/a/{x}", "/a/{y}", true);
    check("/a/{x}", "/a/*", true);
    check("/a/{x}", "/a/", false);
    check("/a/*", "/a/b*", true);
    check("/a/b*", "/a/*", false);
    check("/a/{x}b", "/a/*b", false);
    check("/a/*b", "/a/{x}b", true);
    check("/a/a*a", "/a/a*", false);
    check("/a/a*a", "/a/aa", true);
    check("/a/a*a", "/a/a", false);
    check("/a/aa*", "/a/a*", false);
    check("/a", "/b", false);
}

#[test]
fn templates_are_filled() {
    fn check(path: &str, template: &str, request: &str, expected: &str) {
        let pattern = pattern(path);
        let template = Template::parse(template, &pattern).expect("a template");
        let captures = pattern.matches(request).expect("a match");
        assert_eq!(template.fill(&captures), expected);
    }

    check("/orders/{shard}/**", "orders/{shard}", "/orders/7/a", "orders/7");
    check("/{bucket}/{key}", "{key} in {bucket}", "/b/k", "k in b");
    check("/{bucket}/{key}", "{bucket}", "/b/k", "b");
    check("/**", "everything", "/a", "everything");
    check("/x-{a}", "{a}-{a}", "/x-1", "1-1");
}

#[test]
fn what_is_no_template() {
    fn check(template: &str, expected: TemplateError) {
        let pattern = pattern("/orders/{shard}/{part}/**");
        assert_eq!(Template::parse(template, &pattern), Err(expected), "{template:?}");
    }

    let unknown = |name: &str| TemplateError::UnknownPlace {
        name: name.into(),
        known: vec!["shard".into(), "part".into()],
    };
    check("", TemplateError::Empty);
    check("orders/{shrad}", unknown("shrad"));
    check("orders/{}", unknown(""));
    check("orders/{shard", TemplateError::Brace);
    check("orders/shard}", TemplateError::Brace);
    check("{shard}{part}", TemplateError::Touching);
    check("a\tb", TemplateError::ControlCharacter);
    check(&"a".repeat(513), TemplateError::TooLong);
    assert_eq!(unknown("x").to_string(), "there is no place `{x}`; there is `{shard}`, `{part}`");
}

#[test]
fn templates_overlap() {
    fn check(a: &str, b: &str, expected: bool) {
        let pattern = pattern("/{a}/{b}/{c}");
        let parse = |text| Template::parse(text, &pattern).expect("a template");
        assert_eq!(parse(a).overlaps(&parse(b)), expected, "{a} and {b}");
        assert_eq!(parse(b).overlaps(&parse(a)), expected, "{b} and {a}");
    }

    check("orders", "orders", true);
    check("orders", "stock", false);
    check("orders/{a}", "orders/{b}", true);
    check("orders/{a}", "stock/{a}", false);
    check("orders/{a}", "orders", false);
    check("orders/{a}", "orders/", false);
    check("orders/{a}", "orders/7", true);
    check("{a}", "orders", true);
    check("{a}", "orders/{a}", false);
    check("{a}/x", "orders/{a}", true);
    check("{a}-x", "{a}-y", false);
    check("x-{a}", "xy{a}", false);
    check("x-{a}", "x{a}", true);
    check("x-{a}", "x-", false);
    check("{a}x", "{a}yx", true);
    check("{a}.{b}", "a.b", true);
    check("{a}.{b}", "ab", false);
    check("{a}.{b}.{c}", "a..b", false);
    check("{a}.{b}.{c}", "a...b", true);
    check("{a}x{b}", "axxb", true);
}

#[test]
fn a_control_character_in_a_path_makes_no_resource() {
    let pattern = pattern("/{shard}/**");
    let rule = Rule {
        name: "r".into(),
        resource: Template::parse("{shard}", &pattern).expect("a template"),
        covers: Covers::Paths(pattern),
        who: Who::default(),
        reads: Reads::Open,
        tokens: TokenRules::default(),
        holder: HolderKind::Identity,
        commit_point: CommitPoint::LastByte,
        settle_timeout: Duration::from_secs(1),
        takeover_timeout: Duration::from_secs(1),
        sessions: crate::rules::Sessions::default(),
    };
    let rules = Rules::new(vec![Arc::new(rule)]);
    assert_eq!(rules.find("/a\nb/c").map(|_| ()), Err(ResourceError::ControlCharacter));
    assert_eq!(
        rules.find(&format!("/{}", "a".repeat(513))).map(|_| ()),
        Err(ResourceError::TooLong)
    );
    assert!(rules.find("//x").expect("no error").is_none());
    let found = rules.find("/a/b").expect("no error").expect("a match");
    assert_eq!(found.resource.as_str(), "a");
}

/// Few letters, so that what is generated often matches.
const PATTERN: &str = "(/(a|b|ab|a?\\{x\\}b?|a?\\*b?|)){0,3}(/\\*\\*)?";
const PATH: &str = "(/[ab]{0,3}){1,4}";

proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,20}", odd in "[/{}*a%2.]{0,12}", path in "[/a{}*.%]{0,12}") {
        for text in [&text, &odd] {
            if let Ok(pattern) = Pattern::parse(text) {
                prop_assert!(pattern.covers(&pattern));
                let template = Template::parse(&odd, &pattern);
                if let (Some(captures), Ok(template)) = (pattern.matches(&path), template) {
                    prop_assert!(!template.fill(&captures).is_empty());
                }
            }
        }
    }

    #[test]
    fn covering_is_never_claimed_wrongly(a in PATTERN, b in PATTERN, path in PATH) {
        if let (Ok(a), Ok(b)) = (Pattern::parse(&a), Pattern::parse(&b))
            && a.covers(&b)
            && b.matches(&path).is_some()
        {
            prop_assert!(a.matches(&path).is_some(), "{a} covers {b} but not {path}");
        }
    }

    #[test]
    fn an_overlap_is_never_missed(
        a in "([xy]|/|\\{a\\}|\\{b\\}){1,5}",
        b in "([xy]|/|\\{a\\}|\\{b\\}){1,5}",
        values in proptest::array::uniform4("[xy]{1,2}"),
    ) {
        let pattern = pattern("/{a}/{b}");
        let parsed = (Template::parse(&a, &pattern), Template::parse(&b, &pattern));
        if let (Ok(a), Ok(b)) = parsed {
            let paths = [&values[..2], &values[2..]].map(|v| format!("/{}/{}", v[0], v[1]));
            let fill = |template: &Template, path: &str| {
                template.fill(&pattern.matches(path).expect("a match"))
            };
            if fill(&a, &paths[0]) == fill(&b, &paths[1]) {
                prop_assert!(a.overlaps(&b), "{a} and {b}");
            }
        }
    }
}

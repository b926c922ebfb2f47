//! Short texts of clients and operators: tokens, patterns, templates, globs.

use crate::fence::{Resource, Token};
use crate::rules::{Globs, KeyPattern, Keys, Pattern, Template};

/// Any bytes as a token.
///
/// # Panics
/// When a token is read that its own text does not say, or its digits say another.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(token) = text.parse::<Token>() else {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let small = text.parse::<u64>().is_ok_and(|number| number > 0);
        assert!(!(is_number && small), "{text:?} is a token");
        return;
    };
    assert_eq!(token.to_string().parse(), Ok(token), "{text:?}");
    assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{text:?}");
    assert!(token > Token::ZERO, "{text:?}");
    let (incarnation, counter) = text.split_once('.').unwrap_or(("0", text));
    let number = |digits: &str| digits.parse::<u128>().expect("digits");
    let parts = (u128::from(token.incarnation()), u128::from(token.counter()));
    assert_eq!((number(incarnation), number(counter)), parts);
}

/// Lines: a pattern, a template, a glob, a path or a key, an identity.
///
/// # Panics
/// When a path matches in a way that its pattern does not say, when two readings of a glob
/// differ, or when what fills a template forges a name.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (pattern, template, glob, path, name) = (next(), next(), next(), next(), next());
    globs(glob, name);
    keys(pattern, template, path);
    let Ok(pattern) = Pattern::parse(pattern) else { return };
    assert!(pattern.covers(&pattern) || pattern.as_str().contains(['*', '{']), "{pattern:?}");
    let Ok(template) = Template::parse(template, &pattern) else { return };
    assert!(template.overlaps(&template), "{template:?}");
    let Some(captures) = pattern.matches(path) else { return };
    let filled = template.fill(&captures);
    for place in 0..pattern.names().len() {
        let value = captures.at(place).expect("each place has what it captured");
        assert!(!value.is_empty() && !value.contains('/'), "{pattern:?} {path:?}");
    }
    let slashes = |text: &str| text.matches('/').count();
    assert_eq!(slashes(&filled), slashes(template.as_str()), "{filled:?}");
    if let Ok(resource) = Resource::new(&filled) {
        assert_eq!(resource.as_str(), filled);
    }
}

/// The same of a pattern of keys.
fn keys(pattern: &str, template: &str, key: &str) {
    let Ok(pattern) = KeyPattern::parse(pattern) else { return };
    assert!(pattern.covers(&pattern), "{pattern:?}");
    let Ok(template) = Template::for_keys(template, &pattern) else { return };
    assert!(template.overlaps(&template), "{template:?}");
    let places = pattern.names().len();
    let Some(captures) = Keys { pattern, databases: None }.matches(7, key.as_bytes()) else {
        return;
    };
    for place in 0..places {
        let value = captures.at(place).expect("each place has what it captured");
        assert!(!value.is_empty() && !value.contains(&b':'), "{key:?}");
    }
    let Ok(resource) = template.of_key(&captures) else { return };
    let slashes = |text: &str| text.matches('/').count();
    assert_eq!(slashes(resource.as_str()), slashes(template.as_str()), "{resource:?}");
}

/// Most globs are matched without globset; it has to be the same.
fn globs(glob: &str, name: &str) {
    let Ok(globs) = Globs::new([glob]) else { return };
    let oracle = globset::GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .expect("it was one before")
        .compile_matcher();
    assert_eq!(globs.contains(name), oracle.is_match(name), "{glob:?} and {name:?}");
}

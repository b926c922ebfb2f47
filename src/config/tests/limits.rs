//! `docs/limits.md` has every limit, with the default that `config/palisade.toml` shows.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::examples::with_alternatives;
use crate::config::raw::ROOT;

const PAGE: &str = include_str!("../../../docs/limits.md");

/// Keys that bound something: by the ends of their names, and those that have other names.
fn is_limit(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    ["_max", "_timeout", "_delay", "_interval"].iter().any(|end| name.ends_with(end))
        || ["cache", "drain", "keep", "margin", "max_jump", "rotate", "timeout", "ttl"]
            .contains(&name)
}

/// What the example says for a key: the first of several tables that has it.
fn shown(table: &DeTable<'_>, key: &str, text: &str) -> Option<String> {
    let (first, rest) =
        key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    if first == "NAME" {
        let mut tables = table.iter().filter_map(|(_, value)| value.get_ref().as_table());
        return tables.find_map(|table| shown(table, rest?, text));
    }
    let value = table.get(first)?;
    match (value.get_ref(), rest) {
        (DeValue::Table(table), Some(rest)) => shown(table, rest, text),
        (DeValue::Array(items), Some(rest)) => {
            let mut tables = items.iter().filter_map(|item| item.get_ref().as_table());
            tables.find_map(|table| shown(table, rest, text))
        }
        _ => Some(text[value.span()].to_owned()),
    }
}

#[test]
fn the_page_of_limits_has_each_with_its_default() {
    let mut rows = BTreeMap::new();
    for line in PAGE.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, key, default, _, _] = cells[..] else { continue };
        if let Some(key) = key.strip_prefix('`') {
            let before = rows.insert(key.trim_end_matches('`'), default.trim_matches('`'));
            assert_eq!(before, None, "{key} is there twice");
        }
    }
    let known: Vec<_> = ROOT.paths("").into_iter().filter(|key| is_limit(key)).collect();
    assert!(known.len() > 20, "{known:?}");
    let mut expected = BTreeMap::new();
    let text = with_alternatives();
    let example = DeTable::parse(&text).expect("TOML");
    for key in &known {
        let default = match key.as_str() {
            // The one that has no default.
            "listeners.NAME.limits.body_bytes_max" => "none".to_owned(),
            _ => shown(example.get_ref(), key, &text)
                .unwrap_or_else(|| panic!("no {key} in the example")),
        };
        expected.insert(key.as_str(), default);
    }
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(key, text)| (*key, text.as_str())).collect();
    assert_eq!(rows, expected);
}

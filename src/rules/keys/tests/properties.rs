//! There is one way to read a key, and no two keys share a name by accident.

use proptest::prelude::*;

use super::pattern;
use crate::rules::keys::KeyCaptures;
use crate::rules::{KeyPattern, Template};

/// Every way to read a key by a pattern of these parts, tried out.
fn readings(parts: &[Part], key: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let Some((first, rest)) = parts.split_first() else {
        return if key.is_empty() { vec![Vec::new()] } else { Vec::new() };
    };
    let lens: Vec<usize> = match first {
        Part::Text(text) => {
            key.starts_with(text.as_bytes()).then_some(text.len()).into_iter().collect()
        }
        Part::Star => (0..=key.len()).collect(),
        Part::Place => (1..=key.len()).take_while(|len| key[len - 1] != b':').collect(),
    };
    let mut all = Vec::new();
    for len in lens {
        for mut reading in readings(rest, &key[len..]) {
            if matches!(first, Part::Place) {
                reading.insert(0, key[..len].to_vec());
            }
            all.push(reading);
        }
    }
    all
}

#[derive(Clone, Debug)]
enum Part {
    Text(&'static str),
    Place,
    Star,
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let text = prop_oneof![Just(":"), Just("a"), Just("b")].prop_map(Part::Text);
    let part = prop_oneof![4 => text, 2 => Just(Part::Place), 1 => Just(Part::Star)];
    proptest::collection::vec(part, 1..7)
}

fn written(parts: &[Part]) -> String {
    let part = |(at, part): (usize, &Part)| match part {
        Part::Text(text) => (*text).to_owned(),
        Part::Place => format!("{{p{at}}}"),
        Part::Star => "*".to_owned(),
    };
    parts.iter().enumerate().map(part).collect()
}

const KEY: &str = "[ab:]{0,7}";

proptest! {
    #[test]
    fn a_match_is_the_only_one(parts in parts(), keys in proptest::collection::vec(KEY, 8)) {
        if let Ok(pattern) = KeyPattern::parse(&written(&parts)) {
            for key in keys {
                let found = pattern.matches(key.as_bytes());
                let found = found.map(|values| values.iter().map(|v| v.to_vec()).collect::<Vec<_>>());
                let mut readings = readings(&parts, key.as_bytes());
                readings.dedup();
                prop_assert_eq!(Vec::from_iter(found), readings, "{} on {}", pattern, key);
            }
        }
    }

    #[test]
    fn covering_is_never_claimed_wrongly(
        a in parts(), b in parts(), keys in proptest::collection::vec(KEY, 8),
    ) {
        let parse = |parts: &[Part]| KeyPattern::parse(&written(parts));
        if let (Ok(a), Ok(b)) = (parse(&a), parse(&b)) {
            prop_assert!(a.covers(&a), "{a} is covered by itself");
            if a.covers(&b) {
                for key in keys.iter().filter(|key| b.matches(key.as_bytes()).is_some()) {
                    prop_assert!(a.matches(key.as_bytes()).is_some(), "{a} over {b}: {key}");
                }
            }
        }
    }

    /// What a template has of a key is all in the name: what differs there, differs in the name.
    #[test]
    fn one_name_comes_of_one_set_of_values(
        template in "(\\{a\\}|\\{b\\}|\\{database\\}|/|:|x|1){1,6}",
        keys in proptest::array::uniform2(("[x1/%2F]{1,3}", "[x1/%2F]{1,3}", 0..13_u32)),
    ) {
        if let Ok(template) = Template::for_keys(&template, &pattern("{a}:{b}")) {
            let name = |(a, b, database): &(String, String, u32)| {
                let key = format!("{a}:{b}");
                let values = pattern("{a}:{b}").matches(key.as_bytes()).expect("a match");
                let captures = KeyCaptures { values, database: *database };
                template.of_key(&captures).expect("a name").as_str().to_owned()
            };
            let used = |(a, b, database): &(String, String, u32)| {
                let has = |place: &str| template.as_str().contains(place);
                (has("{a}").then(|| a.clone()), has("{b}").then(|| b.clone()),
                 has("{database}").then_some(*database))
            };
            let [one, other] = &keys;
            prop_assert_eq!(name(one) == name(other), used(one) == used(other), "{}", template);
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,20}", odd in "[:{}*ab]{0,12}", key in proptest::collection::vec(any::<u8>(), 0..12)) {
        for text in [&text, &odd] {
            if let Ok(pattern) = KeyPattern::parse(text) {
                let _ = pattern.matches(&key);
                let _ = pattern.matches(odd.as_bytes());
            }
        }
    }
}

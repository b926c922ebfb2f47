//! The `options` of a start-up packet: command-line switches for the server, in one text.
//!
//! As PostgreSQL reads them (`pg_split_opts`, then `getopt`): words are split at white space, a
//! backslash takes the next character as it is, there are no quotes.

use std::fmt;

/// What C's `isspace` says.
const SPACES: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
/// The server's flags that take a value, besides `-c` and `--`.
const VALUED: &str = "BCDdfhkNprStvW";

/// All switches, in their order.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Options(Vec<Switch>);

#[derive(Debug, Eq, PartialEq)]
struct Switch {
    /// As they were given, without the escapes.
    words: Vec<String>,
    setting: Option<Setting>,
}

#[derive(Debug, Eq, PartialEq)]
struct Setting {
    /// The flags in front of it in the same word: none of them takes a value.
    before: String,
    /// With `_` for `-`.
    name: String,
    value: String,
}

impl Options {
    /// Reads any text.
    pub fn parse(text: &str) -> Self {
        let mut words = words(text).into_iter();
        let mut switches = Vec::new();
        while let Some(word) = words.next() {
            let flags = word.strip_prefix('-').unwrap_or_default();
            // The first flag that takes a value ends the flags: its value is what is behind it, or
            // else the next word. `--` alone is none.
            let valued = |(_, flag): &(usize, char)| "c-".contains(*flag) || VALUED.contains(*flag);
            let Some((at, flag)) = flags.char_indices().find(valued).filter(|_| word != "--")
            else {
                switches.push(Switch { words: vec![word], setting: None });
                continue;
            };
            let before = flags[..at].to_owned();
            let mut value = flags[at + flag.len_utf8()..].to_owned();
            let mut switch = Switch { words: vec![word], setting: None };
            if value.is_empty()
                && let Some(next) = words.next()
            {
                switch.words.push(next.clone());
                value = next;
            }
            if let ('c' | '-', Some((name, value))) = (flag, value.split_once('=')) {
                let (name, value) = (name.replace('-', "_"), value.to_owned());
                switch.setting = Some(Setting { before, name, value });
            }
            switches.push(switch);
        }
        Self(switches)
    }

    /// The settings, with their values; `None` where there are switches that set none.
    pub fn settings(&self) -> Option<Vec<(String, String)>> {
        let setting = |switch: &Switch| {
            let setting = switch.setting.as_ref().filter(|setting| setting.before.is_empty())?;
            Some((setting.name.clone(), setting.value.clone()))
        };
        self.0.iter().map(setting).collect()
    }

    /// What is left without the setting `name`, and the values that it was given.
    pub fn without(self, name: &str) -> (Self, Vec<String>) {
        let (mut kept, mut values) = (Vec::new(), Vec::new());
        for switch in self.0 {
            match switch.setting {
                Some(setting) if setting.name.eq_ignore_ascii_case(name) => {
                    values.push(setting.value);
                    if !setting.before.is_empty() {
                        let words = vec![format!("-{}", setting.before)];
                        kept.push(Switch { words, setting: None });
                    }
                }
                _ => kept.push(switch),
            }
        }
        (Self(kept), values)
    }
}

/// A text that is read as the same switches again.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().flat_map(|switch| &switch.words);
        for (at, word) in words.enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            // A backslash at the very end is the only way to say nothing.
            if word.is_empty() {
                f.write_str("\\")?;
            }
            for letter in word.chars() {
                if letter == '\\' || SPACES.contains(&letter) {
                    f.write_str("\\")?;
                }
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut is_escaped) = (Vec::new(), None::<String>, false);
    for letter in text.chars() {
        if is_escaped {
            is_escaped = false;
            word.get_or_insert_default().push(letter);
        } else if SPACES.contains(&letter) {
            words.extend(word.take());
        } else if letter == '\\' {
            is_escaped = true;
            word.get_or_insert_default();
        } else {
            word.get_or_insert_default().push(letter);
        }
    }
    words.extend(word);
    words
}

//! Names of resources with places for what a pattern captured, such as `orders/{shard}`.

use std::fmt;

use super::{Captures, Pattern};
use crate::fence::Resource;

/// A name with places. What fills a place is never empty and has no `/`, so a captured
/// value cannot forge the name of a resource with another number of segments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Literal(String),
    /// The place of that number in the pattern.
    Place(usize),
}

/// Why a text is not a template.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TemplateError {
    /// `{` without `}`, or the other way round.
    #[error("`{{` and `}}` come in pairs around the name of a place, as in `orders/{{shard}}`")]
    Brace,
    /// The name of a resource has none.
    #[error("the name of a resource has no control characters")]
    ControlCharacter,
    /// No name could come of it.
    #[error("the name of a resource is not empty")]
    Empty,
    /// No name could come of it that is short enough.
    #[error("the name of a resource has at most {} bytes", Resource::LEN_MAX_BYTES)]
    TooLong,
    /// Two places without text between them: `a` + `bc` and `ab` + `c` would be one name.
    #[error("two places need text between them, or different paths share a name by accident")]
    Touching,
    /// The pattern has no such place.
    #[error("there is no place `{{{name}}}` in the path; it has {known}", known = listed(known))]
    UnknownPlace {
        /// The name that was asked for.
        name: String,
        /// The names of the pattern's places.
        known: Vec<String>,
    },
}

impl Template {
    /// A template from its text, for what that pattern captures.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(TemplateError::ControlCharacter);
        }
        let mut parts = Vec::new();
        let mut left = text;
        while let Some(at) = left.find(['{', '}']) {
            let (literal, from_brace) = left.split_at(at);
            let inner = from_brace.strip_prefix('{').ok_or(TemplateError::Brace)?;
            let (name, after) = inner.split_once('}').ok_or(TemplateError::Brace)?;
            if literal.is_empty() && !parts.is_empty() {
                return Err(TemplateError::Touching);
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let place = pattern.names().iter().position(|known| known == name);
            parts.push(Part::Place(place.ok_or_else(|| TemplateError::UnknownPlace {
                name: name.to_owned(),
                known: pattern.names().to_vec(),
            })?));
            left = after;
        }
        if !left.is_empty() {
            parts.push(Part::Literal(left.to_owned()));
        }
        let template = Self { text: text.to_owned(), parts };
        if template.len_min_bytes() > Resource::LEN_MAX_BYTES {
            return Err(TemplateError::TooLong);
        }
        Ok(template)
    }

    /// The name with its places filled, by the pattern that the template was made for.
    pub fn fill(&self, captures: &Captures<'_>) -> String {
        let mut name = String::with_capacity(self.text.len() + 32);
        for part in &self.parts {
            name.push_str(match part {
                Part::Literal(text) => text,
                Part::Place(place) => captures.at(*place).unwrap_or_default(),
            });
        }
        name
    }

    /// Whether some values make one name of both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.segments(), other.segments());
        ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| meet(a, b))
    }

    /// Its text, as in the configuration.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn len_min_bytes(&self) -> usize {
        let len = |part: &Part| match part {
            Part::Literal(text) => text.len(),
            Part::Place(_) => 1,
        };
        self.parts.iter().map(len).sum()
    }

    /// Cut at each `/`: the literals of each segment, with a place between every two.
    fn segments(&self) -> Vec<Vec<&str>> {
        let (mut segments, mut segment, mut literal) = (Vec::new(), Vec::new(), "");
        for part in &self.parts {
            match part {
                Part::Literal(text) => {
                    for (at, piece) in text.split('/').enumerate() {
                        if at > 0 {
                            segment.push(literal);
                            segments.push(std::mem::take(&mut segment));
                        }
                        literal = piece;
                    }
                }
                Part::Place(_) => segment.push(std::mem::take(&mut literal)),
            }
        }
        segment.push(literal);
        segments.push(segment);
        segments
    }
}

/// Whether two segments can be the same text, a place being any text but the empty one.
fn meet(a: &[&str], b: &[&str]) -> bool {
    match (a, b) {
        ([text], parts) | (parts, [text]) => fits(text, parts),
        // Between the first and the last literal each has a place, which takes whatever the
        // other one wants there.
        ([a_first, .., a_last], [b_first, .., b_last]) => {
            (a_first.starts_with(b_first) || b_first.starts_with(a_first))
                && (a_last.ends_with(b_last) || b_last.ends_with(a_last))
        }
        _ => false,
    }
}

/// Whether a text is these literals with at least one character between every two.
fn fits(text: &str, parts: &[&str]) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts == [text];
    };
    let Some(mut left) = text.strip_prefix(first) else {
        return false;
    };
    for literal in middle {
        // The earliest place for a literal leaves most to those behind it.
        let Some(found) = after_first_char(left).and_then(|tail| tail.split_once(literal)) else {
            return false;
        };
        left = found.1;
    }
    after_first_char(left).is_some_and(|tail| tail.ends_with(last))
}

fn after_first_char(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().map(|_| chars.as_str())
}

/// Whether a text can name a place.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => names.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", "),
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

//! Names of resources with places for what a pattern captured, such as `orders/{shard}`.

use std::fmt::{self, Write};

use smallvec::SmallVec;

use super::keys::{DATABASE, KeyCaptures, KeyPattern};
use super::{Captures, Pattern};
use crate::fence::{Resource, ResourceError};

/// A name with places. What fills a place is never empty and has no `/`, so a captured
/// value cannot forge the name of a resource with another number of segments. What a key has
/// there may have a `/`: it is written as `%2F`, and a `%` as `%25`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    /// The one name of a template without places.
    sole: Option<Resource>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Literal(String),
    /// The place of that number in the pattern; behind the last one is a key's database.
    Place(usize),
}

/// The name of a key's resource while it is made: mostly no memory is asked for.
#[derive(Default)]
struct Name(SmallVec<[u8; 128]>);

impl Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
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
    #[error("there is no place `{{{name}}}`; there is {known}", known = listed(known))]
    UnknownPlace {
        /// The name that was asked for.
        name: String,
        /// The names of the pattern's places.
        known: Vec<String>,
    },
    /// What fills a place of a key has neither, so that one name comes of one set of values.
    #[error(
        "two places of a key need a `/` or a `:` between them, or different keys share a name by accident"
    )]
    Unparted,
}

impl Template {
    /// A template from its text, for what that pattern captures.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, TemplateError> {
        Self::with_places(text, pattern.names())
    }

    /// A template from its text, for what that pattern captures of a key, and its `{database}`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn for_keys(text: &str, pattern: &KeyPattern) -> Result<Self, TemplateError> {
        let mut names = pattern.names().to_vec();
        names.push(DATABASE.to_owned());
        let template = Self::with_places(text, &names)?;
        let between = template.parts.split(|part| matches!(part, Part::Place(_)));
        let between: Vec<_> = between.collect();
        let is_parted = |parts: &[Part]| {
            let has =
                |part: &Part| matches!(part, Part::Literal(text) if text.contains(['/', ':']));
            parts.iter().any(has)
        };
        let inner = between.get(1..between.len() - 1).unwrap_or_default();
        inner
            .iter()
            .all(|parts| is_parted(parts))
            .then_some(template)
            .ok_or(TemplateError::Unparted)
    }

    fn with_places(text: &str, places: &[String]) -> Result<Self, TemplateError> {
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
            let place = places.iter().position(|known| known == name);
            parts.push(Part::Place(place.ok_or_else(|| TemplateError::UnknownPlace {
                name: name.to_owned(),
                known: places.to_vec(),
            })?));
            left = after;
        }
        if !left.is_empty() {
            parts.push(Part::Literal(left.to_owned()));
        }
        let is_sole = !parts.iter().any(|part| matches!(part, Part::Place(_)));
        let sole = is_sole.then(|| Resource::new(text).ok()).flatten();
        let template = Self { text: text.to_owned(), parts, sole };
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

    /// The resource of a path, by the pattern that the template was made for.
    pub(super) fn of_path(&self, captures: &Captures<'_>) -> Result<Resource, ResourceError> {
        match &self.sole {
            Some(sole) => Ok(sole.clone()),
            None => Resource::new(&self.fill(captures)),
        }
    }

    /// The resource of a key, by the pattern that the template was made for.
    ///
    /// # Errors
    /// When no valid name comes of it.
    pub fn of_key(&self, captures: &KeyCaptures<'_>) -> Result<Resource, ResourceError> {
        if let Some(sole) = &self.sole {
            return Ok(sole.clone());
        }
        let mut name = Name::default();
        self.write_key(captures, &mut name)?;
        Resource::new(std::str::from_utf8(&name.0).map_err(|_| ResourceError::NotText)?)
    }

    /// Appends the name for a key; an error when it would not be text.
    pub(super) fn write_key(
        &self,
        captures: &KeyCaptures<'_>,
        name: &mut impl Write,
    ) -> Result<(), ResourceError> {
        // Writing to memory cannot fail.
        let mut push = |text: &str| name.write_str(text).unwrap_or_default();
        for part in &self.parts {
            let value = match part {
                Part::Literal(text) => {
                    push(text);
                    continue;
                }
                Part::Place(place) => captures.at(*place),
            };
            let Some(value) = value else {
                push(itoa::Buffer::new().format(captures.database()));
                continue;
            };
            let mut left = std::str::from_utf8(value).map_err(|_| ResourceError::NotText)?;
            while let Some(at) = left.bytes().position(|byte| matches!(byte, b'/' | b'%')) {
                push(&left[..at]);
                push(if left.as_bytes()[at] == b'/' { "%2F" } else { "%25" });
                left = &left[at + 1..];
            }
            push(left);
        }
        Ok(())
    }

    /// The first of these places of its pattern that it has.
    pub(super) fn first_of<'n>(&self, names: &'n [String]) -> Option<&'n str> {
        self.parts.iter().find_map(|part| match part {
            Part::Literal(_) => None,
            Part::Place(place) => names.get(*place).map(String::as_str),
        })
    }

    /// Whether there is a name for each database.
    pub(super) fn has_database(&self) -> bool {
        self.text.contains("{database}")
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

//! Path patterns such as `/orders/{shard}/**`.

use std::fmt;

use smallvec::SmallVec;

/// The longest pattern, in bytes.
const LEN_MAX_BYTES: usize = 1024;
/// How many places a pattern has at most.
const PLACES_MAX: usize = 16;

/// A path pattern, matched segment by segment against a decoded path, which is taken as
/// it is: nothing is normalised, so `/a//b` has an empty segment and `/a` is not `/a/`.
///
/// - plain text is itself;
/// - `{name}` is what a segment has there: at least one byte, never a `/`;
/// - `*` is any text within a segment, also none, but alone it is no empty segment;
/// - `**` is the rest, also nothing: `/orders/**` matches `/orders` and `/orders/a//b`.
///
/// A segment has at most one of `{name}` and `*`, with text around it, so that there is
/// only one way to read a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
    /// Ends in `**`.
    rest: bool,
    names: Vec<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Segment {
    Literal(String),
    Hole { prefix: String, suffix: String, len_min: usize, captured: bool },
}

/// What the places of a pattern matched, in their order. Borrowed from the path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Captures<'p>(SmallVec<[&'p str; 4]>);

/// Why a text is not a pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// Two places in one segment could be split in several ways.
    #[error("a segment has at most one of `{{name}}` and `*`")]
    Ambiguous,
    /// `{` without `}`, or the other way round.
    #[error("`{{` and `}}` come in pairs around the name of a place, as in `/orders/{{shard}}`")]
    Brace,
    /// Control characters never reach a rule.
    #[error("a path has no control characters")]
    ControlCharacter,
    /// A path with these is refused before any rule is asked.
    #[error("a path with the segment `{0}` is always refused, so this never matches")]
    DotSegment(String),
    /// One name for two places.
    #[error("the place `{{{0}}}` is there twice; give each its own name")]
    DuplicatePlace(String),
    /// Paths are decoded before they are matched.
    #[error("paths are decoded before they are matched; write the character instead of `{0}`")]
    Encoded(String),
    /// The name in braces is not a name.
    #[error("`{{{0}}}` is not a place; names are made of a-z, 0-9 and _, and begin with a letter")]
    Name(String),
    /// Paths begin with a slash.
    #[error("a pattern begins with `/`")]
    NotAbsolute,
    /// `**` somewhere else than alone at the end.
    #[error("`**` stands alone and at the end, as in `/orders/**`")]
    RestNotLast,
    /// A bound was passed.
    #[error("a pattern has at most {LEN_MAX_BYTES} bytes and {PLACES_MAX} places")]
    TooLong,
}

impl Pattern {
    /// A pattern from its text.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > LEN_MAX_BYTES {
            return Err(PatternError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(PatternError::ControlCharacter);
        }
        let Some(relative) = text.strip_prefix('/') else {
            return Err(PatternError::NotAbsolute);
        };
        let mut names = Vec::new();
        let mut segments = Vec::new();
        let mut rest = false;
        for segment in relative.split('/') {
            if rest {
                return Err(PatternError::RestNotLast);
            }
            if segment == "**" {
                rest = true;
            } else {
                segments.push(Segment::parse(segment, &mut names)?);
            }
        }
        if names.len() > PLACES_MAX {
            return Err(PatternError::TooLong);
        }
        Ok(Self { text: text.to_owned(), segments, rest, names })
    }

    /// What a decoded path has at the pattern's places; `None` where it does not match.
    pub fn matches<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let mut captures = SmallVec::new();
        for segment in &self.segments {
            let middle = segment.matches(parts.next()?)?;
            if segment.is_captured() {
                captures.push(middle);
            }
        }
        (self.rest || parts.next().is_none()).then_some(Captures(captures))
    }

    /// Whether every path that `other` matches is matched by this one too. May say no
    /// where a closer look would say yes.
    pub fn covers(&self, other: &Self) -> bool {
        let lengths_fit = if self.rest {
            other.segments.len() >= self.segments.len()
        } else {
            !other.rest && other.segments.len() == self.segments.len()
        };
        lengths_fit && self.segments.iter().zip(&other.segments).all(|(a, b)| a.covers(b))
    }

    /// Whether it matches a path of at least that many segments, none of which is empty.
    pub fn fits(&self, segments_min: usize) -> bool {
        let is_empty = |segment: &Segment| *segment == Segment::Literal(String::new());
        (self.rest || self.segments.len() >= segments_min) && !self.segments.iter().any(is_empty)
    }

    /// The names of its places, in their order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Its text, as in the configuration.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Segment {
    fn parse(text: &str, names: &mut Vec<String>) -> Result<Self, PatternError> {
        if text.contains("**") {
            return Err(PatternError::RestNotLast);
        }
        if matches!(text, "." | "..") {
            return Err(PatternError::DotSegment(text.to_owned()));
        }
        if let Some(encoded) = encoded(text) {
            return Err(PatternError::Encoded(encoded.to_owned()));
        }
        let (prefix, suffix, captured) = if let Some((prefix, after)) = text.split_once('{') {
            let (name, suffix) = after.split_once('}').ok_or(PatternError::Brace)?;
            add_name(name, names)?;
            (prefix, suffix, true)
        } else if let Some((prefix, suffix)) = text.split_once('*') {
            (prefix, suffix, false)
        } else if text.contains('}') {
            return Err(PatternError::Brace);
        } else {
            return Ok(Self::Literal(text.to_owned()));
        };
        if prefix.contains('}') || suffix.contains('}') && !suffix.contains('{') {
            return Err(PatternError::Brace);
        }
        if [prefix, suffix].iter().any(|text| text.contains(['*', '{'])) {
            return Err(PatternError::Ambiguous);
        }
        let len_min = usize::from(captured || (prefix.is_empty() && suffix.is_empty()));
        Ok(Self::Hole { prefix: prefix.to_owned(), suffix: suffix.to_owned(), len_min, captured })
    }

    /// What the hole has of this part of a path; all of it without a hole.
    fn matches<'p>(&self, part: &'p str) -> Option<&'p str> {
        match self {
            Self::Literal(text) => (text == part).then_some(part),
            Self::Hole { prefix, suffix, len_min, .. } => part
                .strip_prefix(prefix.as_str())?
                .strip_suffix(suffix.as_str())
                .filter(|middle| middle.len() >= *len_min),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Literal(text)) => self.matches(text).is_some(),
            (Self::Literal(_), Self::Hole { .. }) => false,
            (
                Self::Hole { prefix, suffix, len_min, .. },
                Self::Hole { prefix: p, suffix: s, len_min: l, .. },
            ) => {
                p.starts_with(prefix.as_str())
                    && s.ends_with(suffix.as_str())
                    && p.len() + s.len() + l >= prefix.len() + suffix.len() + len_min
            }
        }
    }

    fn is_captured(&self) -> bool {
        matches!(self, Self::Hole { captured: true, .. })
    }
}

fn add_name(name: &str, names: &mut Vec<String>) -> Result<(), PatternError> {
    if !super::template::is_name(name) {
        return Err(PatternError::Name(name.to_owned()));
    }
    if names.iter().any(|known| known == name) {
        return Err(PatternError::DuplicatePlace(name.to_owned()));
    }
    names.push(name.to_owned());
    Ok(())
}

/// The first percent-encoded byte in a text.
fn encoded(text: &str) -> Option<&str> {
    text.match_indices('%').find_map(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3)?;
        digits.iter().all(u8::is_ascii_hexdigit).then(|| &text[at..at + 3])
    })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'p> Captures<'p> {
    /// What the place of that number matched.
    pub fn at(&self, place: usize) -> Option<&'p str> {
        self.0.get(place).copied()
    }
}

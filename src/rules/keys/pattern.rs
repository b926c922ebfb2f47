//! Patterns of keys and channels such as `jobs:{queue}:*`.

use std::fmt;

use smallvec::SmallVec;

use crate::rules::template::is_name;

/// The longest pattern, in bytes.
const LEN_MAX_BYTES: usize = 1024;
/// How many places a pattern has at most.
const PLACES_MAX: usize = 16;
/// What every template over keys has besides the places of its pattern.
pub(in crate::rules) const DATABASE: &str = "database";

/// A pattern of keys, matched byte by byte: a key is no text and is not normalised. Channels
/// are matched as if they were keys.
///
/// - plain text is itself;
/// - `{name}` is one or more bytes other than `:`;
/// - `*` is anything, also nothing, also `:`;
/// - `{{` and `}}` are braces that a key has, as the hash tags of a cluster.
///
/// There is only one way to read a key: a pattern has at most one `*`, and between two `:` (or
/// an end of the pattern) at most one of `{name}` and `*`. So what stands before the `*` is found
/// from the front, what stands behind it from the back, and a place ends where a `:` is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyPattern {
    text: String,
    /// Each with a `:` behind it, but for the last one of a pattern without `*`.
    head: Vec<Segment>,
    star: Option<Star>,
    names: Vec<String>,
}

/// `*`, and what is around it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Star {
    before: Vec<u8>,
    after: Vec<u8>,
    /// Each with a `:` before it.
    tail: Vec<Segment>,
}

/// What is between two `:`.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Segment {
    Literal(Vec<u8>),
    Place { prefix: Vec<u8>, suffix: Vec<u8> },
}

/// Why a text is not a pattern of keys.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyPatternError {
    /// Two places in one segment could be split in several ways.
    #[error("between two `:` there is at most one of `{{name}}` and `*`")]
    Ambiguous,
    /// `{` without `}`, or the other way round.
    #[error(
        "`{{` and `}}` come in pairs around the name of a place, as in `jobs:{{queue}}:*`; write \
         `{{{{` and `}}}}` for those that a key has"
    )]
    Brace,
    /// Nobody could see it in the file.
    #[error("a pattern has no control characters; let `*` stand for them")]
    ControlCharacter,
    /// One name for two places.
    #[error("the place `{{{0}}}` is there twice; give each its own name")]
    DuplicatePlace(String),
    /// Hardly what was meant.
    #[error("write `*` for every key")]
    Empty,
    /// The name in braces is not a name.
    #[error("`{{{0}}}` is not a place; names are made of a-z, 0-9 and _, and begin with a letter")]
    Name(String),
    /// A place that is always there.
    #[error("`{{{DATABASE}}}` is the number of the database; give the place another name")]
    Reserved,
    /// A key could be read in several ways.
    #[error("a pattern has at most one `*`")]
    SecondStar,
    /// A bound was passed.
    #[error("a pattern has at most {LEN_MAX_BYTES} bytes and {PLACES_MAX} places")]
    TooLong,
}

/// What the places of a pattern matched, in their order. Borrowed from the key.
pub(super) type Values<'k> = SmallVec<[&'k [u8]; 4]>;

/// A segment that is being read.
#[derive(Default)]
struct Open {
    prefix: Vec<u8>,
    suffix: Option<Vec<u8>>,
}

impl KeyPattern {
    /// A pattern from its text.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, KeyPatternError> {
        if text.is_empty() {
            return Err(KeyPatternError::Empty);
        }
        if text.len() > LEN_MAX_BYTES {
            return Err(KeyPatternError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(KeyPatternError::ControlCharacter);
        }
        let mut names = Vec::new();
        let (mut head, mut tail) = (Vec::new(), None);
        let mut open = Open::default();
        let mut left = text;
        while let Some(c) = left.chars().next() {
            left = &left[c.len_utf8()..];
            match c {
                '{' | '}' if left.starts_with(c) => {
                    left = &left[1..];
                    open.push(c);
                }
                '{' => {
                    let (name, after) = left.split_once('}').ok_or(KeyPatternError::Brace)?;
                    add_name(name, &mut names)?;
                    if open.suffix.replace(Vec::new()).is_some() {
                        return Err(KeyPatternError::Ambiguous);
                    }
                    left = after;
                }
                '}' => return Err(KeyPatternError::Brace),
                '*' if tail.is_some() => return Err(KeyPatternError::SecondStar),
                '*' => {
                    let before = std::mem::take(&mut open).literal()?;
                    tail = Some((before, Vec::new()));
                }
                ':' => {
                    let done = std::mem::take(&mut open);
                    tail.as_mut().map_or(&mut head, |(_, tail)| tail).push(done);
                }
                c => open.push(c),
            }
        }
        if names.len() > PLACES_MAX {
            return Err(KeyPatternError::TooLong);
        }
        let star = match tail {
            Some((before, mut segments)) => {
                segments.push(open);
                let after = segments.remove(0).literal()?;
                let tail = segments.into_iter().map(Open::close).collect();
                Some(Star { before, after, tail })
            }
            None => {
                head.push(open);
                None
            }
        };
        let head = head.into_iter().map(Open::close).collect();
        Ok(Self { text: text.to_owned(), head, star, names })
    }

    /// What a key has at the pattern's places; `None` where it does not match.
    pub(super) fn matches<'k>(&self, key: &'k [u8]) -> Option<Values<'k>> {
        let mut values = Values::new();
        let mut rest = key;
        let Some(star) = &self.star else {
            let (last, complete) = self.head.split_last()?;
            for segment in complete {
                rest = segment.take_front(rest, &mut values)?;
            }
            let is_last = memchr::memchr(b':', rest).is_none();
            return (is_last && last.take(rest, &mut values)).then_some(values);
        };
        for segment in &self.head {
            rest = segment.take_front(rest, &mut values)?;
        }
        rest = rest.strip_prefix(star.before.as_slice())?;
        let of_head = values.len();
        for segment in star.tail.iter().rev() {
            let at = memchr::memrchr(b':', rest)?;
            if !segment.take(&rest[at + 1..], &mut values) {
                return None;
            }
            rest = &rest[..at];
        }
        values[of_head..].reverse();
        rest.ends_with(&star.after).then_some(values)
    }

    /// Whether it matches every key.
    pub fn is_all(&self) -> bool {
        self.head.is_empty()
            && self.star.as_ref().is_some_and(|star| {
                star.before.is_empty() && star.after.is_empty() && star.tail.is_empty()
            })
    }

    /// Whether every key that `other` matches is matched by this one too. May say no where a
    /// closer look would say yes.
    pub fn covers(&self, other: &Self) -> bool {
        let each = |ours: &[Segment], theirs: &[Segment]| {
            ours.iter().zip(theirs).all(|(ours, theirs)| ours.covers(theirs))
        };
        let Some(star) = &self.star else {
            let is_fit = other.star.is_none() && self.head.len() == other.head.len();
            return is_fit && each(&self.head, &other.head);
        };
        let (front, back) = (self.head.len(), star.tail.len());
        match &other.star {
            Some(theirs) => {
                if other.head.len() < front || theirs.tail.len() < back {
                    return false;
                }
                let (head, next) = other.head.split_at(front);
                let (previous, tail) = theirs.tail.split_at(theirs.tail.len() - back);
                let before = next.first().map_or(theirs.before.as_slice(), Segment::prefix);
                let after = previous.last().map_or(theirs.after.as_slice(), Segment::suffix);
                each(&self.head, head)
                    && before.starts_with(&star.before)
                    && after.ends_with(&star.after)
                    && each(&star.tail, tail)
            }
            None => {
                if other.head.len() <= front + back {
                    return false;
                }
                let (head, others) = other.head.split_at(front);
                let (middle, tail) = others.split_at(others.len() - back);
                let holds = match middle {
                    [one] => one.holds(&star.before, &star.after),
                    [first, .., last] => {
                        first.prefix().starts_with(&star.before)
                            && last.suffix().ends_with(&star.after)
                    }
                    [] => false,
                };
                holds && each(&self.head, head) && each(&star.tail, tail)
            }
        }
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

impl Open {
    fn push(&mut self, c: char) {
        let text = self.suffix.as_mut().unwrap_or(&mut self.prefix);
        text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Where a `*` is, a place may not be.
    fn literal(self) -> Result<Vec<u8>, KeyPatternError> {
        self.suffix.is_none().then_some(self.prefix).ok_or(KeyPatternError::Ambiguous)
    }

    fn close(self) -> Segment {
        match self.suffix {
            Some(suffix) => Segment::Place { prefix: self.prefix, suffix },
            None => Segment::Literal(self.prefix),
        }
    }
}

impl Segment {
    /// What is behind it and its `:`, if a key begins with it.
    fn take_front<'k>(&self, key: &'k [u8], values: &mut Values<'k>) -> Option<&'k [u8]> {
        match self {
            // Most patterns begin with plain text, which needs no search for its end.
            Self::Literal(text) => key.strip_prefix(text.as_slice())?.strip_prefix(b":"),
            Self::Place { .. } => {
                let at = memchr::memchr(b':', key)?;
                self.take(&key[..at], values).then(|| &key[at + 1..])
            }
        }
    }

    /// Whether it is all of this, which has no `:`.
    fn take<'k>(&self, part: &'k [u8], values: &mut Values<'k>) -> bool {
        match self {
            Self::Literal(text) => text == part,
            Self::Place { prefix, suffix } => {
                let value = part
                    .strip_prefix(prefix.as_slice())
                    .and_then(|rest| rest.strip_suffix(suffix.as_slice()))
                    .filter(|value| !value.is_empty());
                value.map(|value| values.push(value)).is_some()
            }
        }
    }

    fn prefix(&self) -> &[u8] {
        match self {
            Self::Literal(text) => text,
            Self::Place { prefix, .. } => prefix,
        }
    }

    fn suffix(&self) -> &[u8] {
        match self {
            Self::Literal(text) => text,
            Self::Place { suffix, .. } => suffix,
        }
    }

    /// Whether it always begins and ends so, one behind the other.
    fn holds(&self, before: &[u8], after: &[u8]) -> bool {
        let len_min = match self {
            Self::Literal(text) => text.len(),
            Self::Place { prefix, suffix } => prefix.len() + 1 + suffix.len(),
        };
        self.prefix().starts_with(before)
            && self.suffix().ends_with(after)
            && before.len() + after.len() <= len_min
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Literal(text)) => self.take(text, &mut Values::new()),
            (Self::Literal(_), Self::Place { .. }) => false,
            (
                Self::Place { prefix, suffix },
                Self::Place { prefix: their_prefix, suffix: their_suffix },
            ) => their_prefix.starts_with(prefix) && their_suffix.ends_with(suffix),
        }
    }
}

fn add_name(name: &str, names: &mut Vec<String>) -> Result<(), KeyPatternError> {
    if !is_name(name) {
        return Err(KeyPatternError::Name(name.to_owned()));
    }
    if name == DATABASE {
        return Err(KeyPatternError::Reserved);
    }
    if names.iter().any(|known| known == name) {
        return Err(KeyPatternError::DuplicatePlace(name.to_owned()));
    }
    names.push(name.to_owned());
    Ok(())
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

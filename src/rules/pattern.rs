//! Path patterns such as `/orders/{shard}/**`.

/// A path pattern, matched against a decoded path segment by segment.
#[derive(Clone, Debug)]
pub struct Pattern {}

/// What the places of a pattern matched.
#[derive(Clone, Debug)]
pub struct Captures {}

/// Why a text is not a pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a pattern")]
pub struct PatternError;

impl Pattern {
    /// What a decoded path has at the pattern's places; `None` where it does not match.
    pub fn matches(&self, path: &str) -> Option<Captures> {
        let _ = path;
        None
    }
}

//! Which identities may read, write and raise: by glob, nobody by default.

use globset::GlobMatcher;

use crate::fence::Action;

/// Globs on identity names. `*` does not cross a `/`, `**` does. Empty matches nobody.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    globs: Vec<Glob>,
}

#[derive(Clone, Debug)]
struct Glob {
    matcher: GlobMatcher,
    shape: Shape,
}

/// Most globs are of a shape that needs no regular expression, and are asked for each request.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Plain text.
    Name,
    /// Plain text and then a single `*`.
    Prefix,
    Other,
}

/// Who may do what under one rule.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// Who may see the resource.
    pub read: Globs,
    /// Who may change the resource, with the token that is current.
    pub write: Globs,
    /// Who may bring a larger token than the mark.
    pub raise: Globs,
    /// Who may administer a server of Redis. No token is asked for.
    pub administer: Globs,
}

impl Globs {
    /// Globs from their texts.
    ///
    /// # Errors
    /// The first text that is not a glob.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, globset::Error> {
        let globs = texts
            .into_iter()
            .map(|text| {
                let glob = globset::GlobBuilder::new(text)
                    .literal_separator(true)
                    .backslash_escape(true)
                    .build()?;
                Ok(Glob { matcher: glob.compile_matcher(), shape: Shape::of(text) })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { globs })
    }

    /// Whether any of them matches the whole name.
    pub fn contains(&self, name: &str) -> bool {
        self.matching(name).is_some()
    }

    /// The first of them that matches the whole name.
    pub fn matching(&self, name: &str) -> Option<&str> {
        self.globs.iter().find(|glob| glob.is_match(name)).map(|glob| glob.matcher.glob().glob())
    }

    /// Whether nobody can match.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }
}

impl Glob {
    fn is_match(&self, name: &str) -> bool {
        let text = self.matcher.glob().glob();
        match self.shape {
            Shape::Name => name == text,
            Shape::Prefix => {
                let rest = name.strip_prefix(&text[..text.len() - 1]);
                rest.is_some_and(|rest| !rest.contains('/'))
            }
            Shape::Other => self.matcher.is_match(name),
        }
    }
}

impl Shape {
    fn of(text: &str) -> Self {
        let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '{', '}', '\\']);
        match text.strip_suffix('*') {
            _ if is_plain(text) => Self::Name,
            Some(prefix) if is_plain(prefix) => Self::Prefix,
            _ => Self::Other,
        }
    }
}

impl Who {
    /// Whether the identity of that name may do that.
    pub fn may(&self, name: &str, action: Action) -> bool {
        self.globs(action).contains(name)
    }

    /// Who may do that.
    pub fn globs(&self, action: Action) -> &Globs {
        match action {
            Action::Raise => &self.raise,
            Action::Read => &self.read,
            Action::Write => &self.write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_match_what_the_glob_itself_does() {
        let texts = ["", "a", "a/b", "*", "a*", "a/*", "*a", "a/**", "**", "a\\*", "a?", "{a,b}*"];
        let names = ["", "a", "b", "ab", "a/", "a/b", "a/b/c", "a*", "/", "ba", "a\\b"];
        for text in texts {
            let globs = Globs::new([text]).unwrap();
            for name in names {
                let expected = globs.globs[0].matcher.is_match(name);
                assert_eq!(globs.contains(name), expected, "{text:?} and {name:?}");
            }
        }
    }
}

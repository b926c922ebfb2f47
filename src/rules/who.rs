//! Which identities may read, write and raise: by glob, nobody by default.

use globset::GlobMatcher;

use crate::fence::Action;

/// Globs on identity names. `*` does not cross a `/`, `**` does. Empty matches nobody.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    globs: Vec<GlobMatcher>,
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
                Ok(glob.compile_matcher())
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
        self.globs.iter().find(|glob| glob.is_match(name)).map(|glob| glob.glob().glob())
    }

    /// Whether nobody can match.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
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

//! What a request does, as far as fencing is concerned.

use crate::fence::Action;

/// A request after classification.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// Its name for people: `PutObject`, or the method.
    pub name: &'static str,
    /// Everything it reads or writes. Never empty. It has to be admitted for each.
    pub targets: Vec<Target>,
}

/// One path that a request touches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Decoded, absolute: `/bucket/key`, or the path of a generic request.
    pub path: String,
    /// [`Action::Read`] or [`Action::Write`].
    pub action: Action,
}

impl Operation {
    /// Whether any target is written.
    pub fn is_write(&self) -> bool {
        self.targets.iter().any(|target| target.action == Action::Write)
    }
}

//! Names of resources with places for what a pattern captured, such as `orders/{shard}`.

use super::Captures;

/// A name with places.
#[derive(Clone, Debug)]
pub struct Template {}

/// Why a text is not a template.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a template")]
pub struct TemplateError;

impl Template {
    /// The name with its places filled.
    pub fn fill(&self, captures: &Captures) -> String {
        let _ = captures;
        String::new()
    }
}

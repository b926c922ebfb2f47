//! Keys that stand where they mean nothing.

use super::section::Section;

/// Reports keys that are for others, each with its mend; an empty mend is to leave it out.
pub(super) fn refuse(section: &Section<'_>, whose: &str, keys: &[(&str, &str)]) {
    for (key, mend) in keys.iter().filter(|(key, _)| section.has(key)) {
        let mend = if mend.is_empty() { "leave it out" } else { mend };
        section.error_at(key, format!("`{key}` is for {whose} only"), mend);
    }
}

/// Warns of keys that nobody will look at, and says why.
pub(super) fn warn(section: &Section<'_>, why: &str, keys: &[&str], mend: &str) {
    for key in keys.iter().filter(|key| section.has(key)) {
        let message = format!("`{key}` has no effect: {why}");
        section.report().warn(&section.span_of(key), message, mend);
    }
}

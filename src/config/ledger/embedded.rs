//! `[ledger.embedded]`: a file, for one process.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::config::files;
use crate::config::section::Section;
use crate::ledger::embedded::Settings;

/// What the ledger's cache may have. Less is no cache.
const CACHE_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

pub(super) fn read(section: &Section<'_>) -> Option<(PathBuf, Settings)> {
    section.require("path", "\"palisade.redb\"");
    let default = Settings::default();
    let settings = Settings {
        verify_on_open: section.boolean("verify_on_open").unwrap_or(default.verify_on_open),
        cache_bytes: cache_bytes(section).unwrap_or(default.cache_bytes),
        commit_stall_timeout: section
            .duration("commit_stall_timeout")
            .unwrap_or(default.commit_stall_timeout),
        ..default
    };
    files::writable(section, "path").map(|path| (path, settings))
}

fn cache_bytes(section: &Section<'_>) -> Option<usize> {
    let bytes = section.size("cache")?;
    if !CACHE_BYTES.contains(&bytes) {
        section.error_at("cache", "`cache` is out of bounds", "from 1MiB to 1TiB");
        return None;
    }
    usize::try_from(bytes).ok()
}

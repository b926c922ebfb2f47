//! What only listeners for Redis have.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Common;
use crate::config::foreign;
use crate::config::section::Section;
use crate::protocol::redis::upstream::Upstream;
use crate::protocol::redis::{Limits, Listener};

/// What `command_bytes_max` may be: a command is held until all of its keys are there.
const COMMAND_BYTES: RangeInclusive<u64> = 1 << 10..=64 << 20;

const FOREIGN: &[(&str, &str)] = &[
    (
        "token_header",
        "leave it out: a client brings its token as the user name `token=42`, or by `PALISADE \
         TOKEN 42`",
    ),
    ("prefix", "leave it out: a client asks for its mark by `PALISADE STATUS`"),
    ("domains", ""),
    ("unmatched", "leave it out: a key that no rule covers is refused"),
];

const FOREIGN_LIMITS: &[(&str, &str)] = &[
    ("streams_max", ""),
    ("header_bytes_max", ""),
    ("headers_max", ""),
    ("header_timeout", ""),
    ("body_stall_timeout", ""),
    ("body_bytes_max", "leave it out: values are passed on as they come, never held"),
    ("startup_timeout", "leave it out: a client may say nothing as long as it likes"),
    ("statement_bytes_max", "write `command_bytes_max`"),
    ("prepared_max", ""),
];

/// As far as it could be read.
pub(super) struct Own {
    pub(super) upstream: Option<Arc<Upstream>>,
    limits: Limits,
}

impl Own {
    pub(super) fn read(section: &Section<'_>, upstream: Option<Arc<Upstream>>) -> Self {
        let whose = "other protocols";
        foreign::refuse(section, whose, FOREIGN);
        let table = section.table("limits");
        foreign::refuse(&table, whose, FOREIGN_LIMITS);
        Self { upstream, limits: limits(&table) }
    }

    pub(super) fn finish(self, common: Common) -> Option<Listener> {
        Some(Listener {
            name: common.name,
            addresses: common.addresses,
            tls: common.tls,
            upstream: self.upstream?,
            rules: common.rules,
            limits: self.limits,
        })
    }
}

fn limits(section: &Section<'_>) -> Limits {
    let default = Limits::default();
    let connections = (default.connections_max, default.connections_per_identity_max);
    let (connections_max, connections_per_identity_max) = super::connections(section, connections);
    let command_bytes = section.size("command_bytes_max").map(|bytes| {
        if !COMMAND_BYTES.contains(&bytes) {
            let message = "`command_bytes_max` is out of bounds";
            section.error_at("command_bytes_max", message, "from 1KiB to 64MiB");
        }
        usize::try_from(bytes).unwrap_or(default.command_bytes_max)
    });
    Limits {
        connections_max,
        connections_per_identity_max,
        handshake_timeout: section
            .duration("handshake_timeout")
            .unwrap_or(default.handshake_timeout),
        command_bytes_max: command_bytes.unwrap_or(default.command_bytes_max),
        resources_max: section.count("resources_max", 1..=100_000).unwrap_or(default.resources_max),
        unread_timeout: section.duration("unread_timeout").unwrap_or(default.unread_timeout),
    }
}

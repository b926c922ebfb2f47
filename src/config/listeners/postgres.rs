//! What only listeners for PostgreSQL have.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Common;
use crate::config::foreign;
use crate::config::section::Section;
use crate::protocol::postgres::upstream::Upstream;
use crate::protocol::postgres::{Limits, Listener};

/// What `statement_bytes_max` may be: a statement is held while it is understood.
const STATEMENT_BYTES: RangeInclusive<u64> = 1 << 10..=16 << 20;

const FOREIGN: &[(&str, &str)] = &[
    ("token_header", "leave it out: a session brings its token as `palisade.token`"),
    ("prefix", "leave it out: a session asks for its mark by `SHOW palisade.mark`"),
    ("domains", ""),
    ("unmatched", "leave it out: a session that no rule matches is refused"),
];

const FOREIGN_LIMITS: &[(&str, &str)] = &[
    ("streams_max", ""),
    ("header_bytes_max", "leave it out: a start-up packet has at most 10000 bytes"),
    ("headers_max", ""),
    ("header_timeout", "leave it out: the start-up packet has `startup_timeout`"),
    ("body_stall_timeout", ""),
    ("body_bytes_max", ""),
];

const REDIS_LIMITS: &[(&str, &str)] = &[
    ("command_bytes_max", "write `statement_bytes_max`"),
    ("resources_max", ""),
    ("unread_timeout", ""),
];

/// As far as it could be read.
pub(super) struct Own {
    pub(super) upstream: Option<Arc<Upstream>>,
    limits: Limits,
}

impl Own {
    pub(super) fn read(section: &Section<'_>, upstream: Option<Arc<Upstream>>) -> Self {
        let whose = "`protocol = \"http\"` and `\"s3\"`";
        foreign::refuse(section, whose, FOREIGN);
        let table = section.table("limits");
        foreign::refuse(&table, whose, FOREIGN_LIMITS);
        foreign::refuse(&table, "`protocol = \"redis\"`", REDIS_LIMITS);
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
    let statement_bytes = section.size("statement_bytes_max").map(|bytes| {
        if !STATEMENT_BYTES.contains(&bytes) {
            let message = "`statement_bytes_max` is out of bounds";
            section.error_at("statement_bytes_max", message, "from 1KiB to 16MiB");
        }
        usize::try_from(bytes).unwrap_or(default.statement_bytes_max)
    });
    Limits {
        connections_max,
        connections_per_identity_max,
        handshake_timeout: section
            .duration("handshake_timeout")
            .unwrap_or(default.handshake_timeout),
        startup_timeout: section.duration("startup_timeout").unwrap_or(default.startup_timeout),
        statement_bytes_max: statement_bytes.unwrap_or(default.statement_bytes_max),
        prepared_max: section.count("prepared_max", 1..=1_000_000).unwrap_or(default.prepared_max),
    }
}

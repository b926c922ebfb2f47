//! Every surface of untrusted bytes as a plain function that asserts what has to hold: for
//! coverage-guided fuzzing at length (`fuzz/`) and for brief runs among the tests.
//!
//! See docs/fuzzing.md.

mod admin;
#[cfg(test)]
mod brief;
mod files;
mod texts;

use crate::protocol::http::fuzzing as http;
use crate::protocol::postgres::fuzzing as postgres;
use crate::protocol::postgres::sql;
use crate::protocol::redis::fuzzing as redis;

/// A surface.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its program in `fuzz/` and of its folder of examples.
    pub name: &'static str,
    /// Panics when a property does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "admin", run: admin::http },
    Target { name: "aws_chunked", run: http::chunked::aws_chunked },
    Target { name: "certificate", run: files::certificate },
    Target { name: "config", run: files::config },
    Target { name: "connection_http1", run: http::connection::http1 },
    Target { name: "connection_http2", run: http::connection::http2 },
    Target { name: "delete_objects", run: http::xml::delete_objects },
    Target { name: "front_ends", run: http::connection::front_ends },
    Target { name: "head", run: http::head::head },
    Target { name: "ledger_file", run: files::ledger_file },
    Target { name: "path", run: http::texts::path },
    Target { name: "postgres_frames", run: postgres::bytes::frames },
    Target { name: "postgres_session", run: postgres::play::session },
    Target { name: "postgres_startup", run: postgres::bytes::startup },
    Target { name: "postgres_sql", run: sql::fuzzing::statements },
    Target { name: "redis_inline", run: redis::bytes::line },
    Target { name: "redis_reply", run: redis::bytes::reply },
    Target { name: "redis_request", run: redis::bytes::request },
    Target { name: "refusal_document", run: http::xml::refusal_document },
    Target { name: "rules", run: texts::rules },
    Target { name: "s3_address", run: http::texts::s3_address },
    Target { name: "store_answer", run: http::store::answer },
    Target { name: "tls_files", run: files::tls_files },
    Target { name: "token", run: texts::token },
];

/// Runs one by its name.
///
/// # Panics
/// When a property does not hold, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a name of TARGETS");
    (target.run)(data);
}

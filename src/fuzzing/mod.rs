//! Every surface of untrusted bytes as a plain function that asserts what has to hold: for
//! coverage-guided fuzzing at length (`fuzz/`) and for brief runs among the tests.
//!
//! See docs/fuzzing.md.

#[cfg(test)]
mod brief;

use crate::protocol::http::fuzzing as http;

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
    Target { name: "connection_http1", run: http::connection::http1 },
    Target { name: "connection_http2", run: http::connection::http2 },
    Target { name: "store_answer", run: http::store::answer },
];

/// Runs one by its name.
///
/// # Panics
/// When a property does not hold, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a name of TARGETS");
    (target.run)(data);
}

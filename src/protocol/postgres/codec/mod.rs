//! PostgreSQL's messages as bytes: pure, bounded, both ways.
//!
//! Version 3 of the protocol, <https://www.postgresql.org/docs/current/protocol.html>. Bodies are
//! never held here; what reads one is given it whole by a caller that bounds it.

pub mod frame;
pub mod message;
pub mod startup;

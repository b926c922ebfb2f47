//! What a leader is told to do, and what it tells.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::rig::postgres::Door;

/// The variable of the environment with what a leader has to do.
pub const ERRAND: &str = "PALISADE_LEADER";
/// What it has to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Errand {
    pub way: Way,
    pub resource: u32,
    pub token: u64,
    pub seed: u64,
    /// Writes before it stops itself.
    pub after: u32,
    /// Where it stops itself.
    pub point: Option<Point>,
    /// With SIGKILL rather than SIGSTOP.
    pub is_fatal: bool,
    /// When this file is there, it has done enough.
    pub enough: PathBuf,
    /// How long it tries to get in.
    pub patience_ms: u64,
}

/// How it gets to the database.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Way {
    /// One of several Palisades, another one each time.
    Palisade {
        addresses: Vec<std::net::SocketAddr>,
        door: Door,
    },
    Socket(PathBuf),
}

/// A point of a write.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Point {
    Idle,
    StatementHalfSent,
    StatementSent,
    InTransaction,
    CommitSent,
    InCopy,
    CopySent,
    InPipeline,
    Prepared,
    CommitPreparedSent,
}

pub const POINTS: [Point; 10] = [
    Point::Idle,
    Point::StatementHalfSent,
    Point::StatementSent,
    Point::InTransaction,
    Point::CommitSent,
    Point::InCopy,
    Point::CopySent,
    Point::InPipeline,
    Point::Prepared,
    Point::CommitPreparedSent,
];

/// What it tells, one line each.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Line {
    /// It is in, and has read the clock and the counter.
    Opened { seen: u64, counter: u64 },
    /// From now on the write may land.
    Begun { write: String },
    /// What it was told of it.
    Told { write: String, fate: Fate },
    /// It stops here.
    At { point: Point },
    /// It was told something that nobody may be told.
    Complaint { what: String },
    /// It ends, for that reason.
    Ended { why: String },
}

/// What has become of a write.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Fate {
    Applied,
    NotApplied,
    Unknown,
}

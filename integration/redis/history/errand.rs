//! What a leader is told to do, and what it tells.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::rig::redis::Door;

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

/// How it gets to the server.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Way {
    /// One of several Palisades, another one each time.
    Palisade {
        addresses: Vec<std::net::SocketAddr>,
        door: Door,
    },
    Naive(PathBuf),
    /// The server itself.
    Direct(PathBuf),
}

/// A point of a leader's life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Point {
    /// It is connected, and has said nothing.
    BeforeToken,
    /// Its token is there and it has read; it has written nothing.
    Sealed,
    /// Half of the bytes of a command are sent.
    HalfSent,
    /// A command is sent.
    Sent,
    /// Its answer has been read.
    Answered,
    /// Between GET and SET.
    HasRead,
    /// Half of the commands are sent.
    InPipeline,
    PipelineSent,
    /// Everything is queued, EXEC is not sent.
    InMulti,
    ExecSent,
    /// The script runs.
    InScript,
    InPop,
    InMove,
}

pub const POINTS: [Point; 13] = [
    Point::BeforeToken,
    Point::Sealed,
    Point::HalfSent,
    Point::Sent,
    Point::Answered,
    Point::HasRead,
    Point::InPipeline,
    Point::PipelineSent,
    Point::InMulti,
    Point::ExecSent,
    Point::InScript,
    Point::InPop,
    Point::InMove,
];

/// What it tells, one line each.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Line {
    /// It is in, and has read how long the lists are.
    Opened { log: u64, taken: u64 },
    /// From now on the write may land.
    Begun { write: String },
    /// What it was told of it.
    Told { write: String, fate: Fate },
    /// What it got by it.
    Popped { write: String, item: String },
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

/// A key of a resource.
pub fn key(resource: u32, name: &str) -> String {
    format!("jobs:r{resource}:{name}")
}

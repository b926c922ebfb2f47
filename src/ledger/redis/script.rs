//! The scripts, and what they answer. Each is one transaction; Redis runs nothing beside it.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use redis::{Cmd, Value};

/// A script, and the name under which Redis remembers it.
pub(super) struct Script {
    text: &'static str,
    sha: LazyLock<String>,
}

macro_rules! script {
    ($name:ident, $file:literal, $head:literal) => {
        pub(super) static $name: Script = Script {
            text: concat!($head, include_str!("lua/prelude.lua"), include_str!($file)),
            sha: LazyLock::new(|| sha($name.text)),
        };
    };
    ($name:ident, $file:literal) => {
        script!($name, $file, "local is_judge = false\n");
    };
}

script!(BEGIN, "lua/begin.lua");
script!(CONFIRM, "lua/confirm.lua", "local is_judge = true\n");
script!(END, "lua/end.lua");
script!(JUDGE, "lua/judge.lua", "local is_judge = true\n");
script!(KEEP, "lua/keep.lua");
script!(LIST, "lua/list.lua");
script!(READ, "lua/read.lua");
script!(SESSIONS, "lua/sessions.lua");
script!(SWAP, "lua/swap.lua");

/// SHA-1, by which Redis names scripts.
fn sha(text: &str) -> String {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().iter().fold(
        String::new(),
        |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        },
    )
}

/// What a script is called with.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub(super) keys: Vec<String>,
    pub(super) args: Vec<Vec<u8>>,
}

impl Script {
    /// `is_known`: by its name alone, which a server that does not know it refuses.
    pub(super) fn command(&self, call: &Call, is_known: bool) -> Cmd {
        let mut command = redis::cmd(if is_known { "EVALSHA" } else { "EVAL" });
        command.arg(if is_known { self.sha.as_str() } else { self.text });
        command.arg(call.keys.len()).arg(&call.keys).arg(&call.args);
        command
    }
}

/// What every script answers: see `answer` in `lua/prelude.lua`.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    /// The newest change in the ledger.
    pub(super) generation: u64,
    /// The newest change that this call made; 0: none.
    pub(super) made: u64,
    /// Why nothing may be raised.
    pub(super) frozen: Option<String>,
    pub(super) rest: Vec<Value>,
}

/// How a script ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    Done,
    /// Nothing was done: something that this process had acknowledged is not there.
    Behind,
    /// Nothing was done: another process can tell whether all is there.
    Wait,
}

impl Answer {
    pub(super) fn read(answer: Value) -> Option<Self> {
        let Value::Array(parts) = answer else { return None };
        let [status, generation, made, frozen, Value::Array(rest)] =
            <[Value; 5]>::try_from(parts).ok()?
        else {
            return None;
        };
        let status = match bytes(&status)? {
            b"ok" => Status::Done,
            b"behind" => Status::Behind,
            b"wait" => Status::Wait,
            _ => return None,
        };
        let frozen = String::from_utf8_lossy(bytes(&frozen)?).into_owned();
        Some(Self {
            status,
            generation: number(&generation)?,
            made: number(&made)?,
            frozen: Some(frozen).filter(|why| !why.is_empty()),
            rest,
        })
    }
}

/// The bytes of a text.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::Okay => Some(b"OK"),
        _ => None,
    }
}

/// A text.
pub(super) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(value)?).ok()
}

/// A number that was put out as a text.
pub(super) fn number(value: &Value) -> Option<u64> {
    text(value)?.parse().ok()
}

/// The parts of a list.
pub(super) fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Array(parts) => parts,
        _ => &[],
    }
}

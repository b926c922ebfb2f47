//! Hostile clients: requests that two servers could read in two ways, that hide one request in
//! another, or that carry the token so that it might not count. Each has the answer that it
//! must get, and the store's own record is the proof that it saw nothing of it.
//!
//! The cases are from what is known in public: CL.TE, TE.CL, TE.TE, CL.0 and their kin, HTTP/2
//! downgrades, and the places where S3 has two ways to say one thing.

mod frames;
mod framing;
mod http2;
mod meaning;
mod recorder;
mod s3;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::rig::{Client, Options, Rig};
use crate::wire::Wire;
use recorder::{ECHO, Recorder};

/// Where the rule of the cases says its path.
const FENCED: &str = "path = \"/fenced/{shard}/**\"";

/// What comes after the answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// The connection ends: nobody could say where the next request begins.
    Closes,
    /// The next request on the same connection is answered.
    GoesOn,
}

/// A request on a connection of its own.
#[derive(Debug)]
pub struct Case {
    /// `@` stands for a path of its own under a fenced rule.
    pub bytes: String,
    /// The statuses of the answers.
    pub told: &'static [u16],
    pub then: Then,
    /// What the store gets whole, with the same `@`; nothing of the others.
    pub sent: &'static [&'static str],
    /// Whether the store may see the beginning of a write that was cut before its commit point.
    pub may_be_cut: bool,
}

/// Refused, and the connection ended.
pub fn refused(status: &'static [u16], bytes: impl Into<String>) -> Case {
    let bytes = bytes.into();
    Case { bytes, told: status, then: Then::Closes, sent: &[], may_be_cut: false }
}

/// Refused, and the next request is read from where this one ends.
pub fn passed_over(status: &'static [u16], bytes: impl Into<String>) -> Case {
    Case { then: Then::GoesOn, ..refused(status, bytes) }
}

/// Legal, and made unambiguous.
pub fn taken(sent: &'static [&'static str], then: Then, bytes: impl Into<String>) -> Case {
    let told: &[u16] = if sent.len() == 1 { &[200] } else { &[200, 200] };
    Case { told, then, sent, ..refused(&[], bytes) }
}

/// Admitted by its head; its body turns out to be broken before the commit point.
pub fn cut(status: &'static [u16], bytes: impl Into<String>) -> Case {
    Case { may_be_cut: true, ..refused(status, bytes) }
}

/// Plays cases one after the other against one Palisade.
struct Stage {
    rig: Rig,
    recorder: Recorder,
    /// The bucket, which is also the folder.
    root: &'static str,
}

impl Stage {
    async fn http() -> Self {
        let edits = vec![
            ("protocol = \"s3\"", "protocol = \"http\"".to_owned()),
            ("domains = [\"localhost\"]\n", String::new()),
            // So that what is broken behind its head can be undone with certainty.
            (FENCED, format!("{FENCED}\ncommit_point = \"last-byte\"")),
        ];
        Self::with(edits).await
    }

    async fn with(edits: Vec<(&'static str, String)>) -> Self {
        let recorder = Recorder::start().await;
        let options = Options { upstream: Some(recorder.address), edits, ..Options::default() };
        let rig = Rig::with(options).await;
        let stage = Self { rig, recorder, root: "/fenced/hostile" };
        // The mark is there, and so is a connection to the store.
        assert_eq!(stage.client().token(33).put("/fenced/hostile/first", "x").await.status, 200);
        stage.recorder.requests();
        stage
    }

    fn client(&self) -> Client {
        self.rig.client("leader-a")
    }

    async fn play(&self, number: usize, case: &Case) {
        let path = format!("{}/{number}", self.root);
        let bytes = case.bytes.replace('@', &path);
        let before = self.recorder.len();
        let mut wire = Wire::open(&self.client()).await;
        wire.say(&bytes).await;
        for status in case.told {
            let answer = wire.answer().await;
            let told = answer.as_ref().map_or(0, |answer| answer.status.as_u16());
            assert_eq!(told, *status, "{number} {bytes:?}: {answer:?}");
        }
        match case.then {
            Then::Closes => {
                let rest = wire.rest().await;
                assert!(rest.is_empty(), "{bytes:?}: {:?}", String::from_utf8_lossy(&rest));
            }
            Then::GoesOn => {
                wire.say(format!("GET {path}/same HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
                let same = wire.answer().await.unwrap_or_else(|| panic!("closed after {bytes:?}"));
                assert_eq!(same.header(ECHO), format!("{path}/same"), "{bytes:?}: {same:?}");
            }
        }
        let then =
            if case.then == Then::GoesOn { vec![format!("GET {path}/same")] } else { vec![] };
        self.prove(&path, &format!("{bytes:?}"), case.sent, then, before, case.may_be_cut).await;
    }

    /// The store got exactly that since, and the next client its own answer.
    async fn prove(
        &self,
        path: &str,
        case: &str,
        sent: &[&str],
        then: Vec<String>,
        before: usize,
        may_be_cut: bool,
    ) {
        let next = self.client().token(33).put(&format!("{path}/next"), "n").await;
        assert_eq!((next.status.as_u16(), next.header(ECHO)), (200, &*format!("{path}/next")));
        let mut expected: Vec<_> = sent.iter().map(|sent| sent.replace('@', path)).collect();
        expected.extend(then);
        expected.push(format!("PUT {path}/next n"));
        let log = self.recorder.since(before);
        assert_eq!(self.recorder.requests(), expected, "{case}: {log}");
        // Not a byte more than these: heads in the log are those of whole requests.
        let heads = log.matches(" HTTP/1.1\r\n").count();
        let is_all = if may_be_cut { heads <= expected.len() + 1 } else { heads == expected.len() };
        assert!(is_all, "{case}: {log}");
    }
}

/// All cases, and then everything that did not hold.
async fn play(stage: Stage, cases: Vec<Case>) {
    let mut failed = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let played = AssertUnwindSafe(stage.play(number, case)).catch_unwind().await;
        failed.extend(played.err().map(|_| number));
    }
    assert!(failed.is_empty(), "cases {failed:?} of {}: see above", cases.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_over_http_1() {
    let cases = framing::cases().into_iter().chain(meaning::cases()).collect();
    play(Stage::http().await, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_over_http_2() {
    http2::play(Stage::http().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_to_s3() {
    play(Stage::with(Vec::new()).await, s3::cases()).await;
}

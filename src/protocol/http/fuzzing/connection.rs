//! Whole connections: a client's bytes in, the store's requests and the answers out.

use super::rig::{Exchange, Rig, Script, Serve};
use super::{front, judge};

/// The first byte says which service and in what pieces, the others are the client's.
///
/// # Panics
/// When something of [`judge::http1`] does not hold, or the next client does not get its answer.
pub fn http1(data: &[u8]) {
    let Some(script) = script(data) else { return };
    with_rig(|rig| {
        let exchange = rig.play(front::http1, &script);
        judge::http1(script.bytes, &exchange, script.service);
        next_is_served(rig, &script);
    });
}

/// The same for HTTP/2, behind its preface. There is no second reader for it, so the store
/// judges alone.
///
/// # Panics
/// When the store sees what is no request.
pub fn http2(data: &[u8]) {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let Some(script) = script(data) else { return };
    let bytes = [PREFACE, script.bytes].concat();
    let script = Script { bytes: &bytes, ..script };
    with_rig(|rig| {
        let exchange = rig.play(front::http2, &script);
        assert!(exchange.faults.is_empty(), "{script:?}: the store saw {:?}", exchange.faults);
        let headers = exchange.seen.len();
        assert!(headers <= script.bytes.len() / 9, "more requests than frames: {exchange:?}");
        for seen in &exchange.seen {
            judge::check_sent(&seen.message, script.service, &|| format!("{script:?}"));
        }
        next_is_served(rig, &script);
    });
}

/// The HTTP/1.1 that is served beside hyper's, over the same bytes.
///
/// # Panics
/// When they differ.
pub fn front_ends(data: &[u8]) {
    if let Some(difference) = differ(data, front::http1, front::hyper_http1) {
        panic!("{difference}");
    }
}

/// What refuses a request and reads no further.
const REFUSED: &str = "refused, and no further";

/// Plays the same bytes through two front ends and tells how they differ: in what the store
/// saw, or in the status and the reason of an answer. Ours may be the stricter one, and refuse
/// what the oracle takes; up to there they have to be the same.
pub fn differ(data: &[u8], ours: Serve, oracle: Serve) -> Option<String> {
    let script = script(data)?;
    with_rig(|rig| {
        let (a, b) = (rig.play(ours, &script), rig.play(oracle, &script));
        judge::http1(script.bytes, &a, script.service);
        let (one, other) = (shown(script.bytes, &a), shown(script.bytes, &b));
        let is_fine = match one.answers.split_last() {
            Some((last, before)) if last == REFUSED => {
                other.answers.starts_with(before) && other.sent.starts_with(&one.sent)
            }
            // A head that is broken before it is whole need not be answered.
            _ => {
                one.sent == other.sent
                    && (one.answers == other.answers
                        || other
                            .answers
                            .split_last()
                            .is_some_and(|(last, before)| last == REFUSED && before == one.answers))
            }
        };
        let text = script.bytes.escape_ascii();
        (!is_fine).then(|| format!("{script:?} {text}\nours   {one:#?}\noracle {other:#?}"))
    })
}

/// What two front ends have to agree about.
#[derive(Debug, Eq, PartialEq)]
struct Shown {
    sent: Vec<String>,
    answers: Vec<String>,
}

fn shown(bytes: &[u8], exchange: &Exchange) -> Shown {
    // The store's serials and the signature's time are different each time.
    let volatile = ["authorization", "x-amz-date"];
    // How much of a request that is cut gets out before is a matter of time.
    let whole = exchange.seen.iter().filter(|seen| seen.message.is_whole);
    let sent = whole.map(|seen| {
        let message = &seen.message;
        let mut headers: Vec<_> =
            message.headers.iter().filter(|(name, _)| !volatile.contains(&name.as_str())).collect();
        headers.sort();
        format!("{:?} {headers:?} {:?}", message.line, message.body)
    });
    let sent = sent.collect();
    let answers = judge::answers(&exchange.answers, &judge::requests(bytes));
    let answers = answers.unwrap_or_else(|why| panic!("{why}: {exchange:?}"));
    let answers = answers.into_iter().map(|answer| {
        let of = |name| answer.one(name).map(String::from_utf8_lossy).unwrap_or_default();
        let is_final = of("connection") == "close";
        // hyper says little about what it cannot read; that it cannot has to be the same.
        match answer.line[1].as_str() {
            "400" | "414" | "431" | "505" if is_final => REFUSED.to_owned(),
            status => format!("{status} {}", of("fencing-refusal")),
        }
    });
    let answers = answers.collect();
    Shown { sent, answers }
}

fn script(data: &[u8]) -> Option<Script<'_>> {
    let (&first, bytes) = data.split_first()?;
    let piece_bytes = [0, 1, 2, 3, 7, 16, 61, 256][usize::from(first >> 2 & 7)];
    Some(Script { service: usize::from(first & 3), bytes, piece_bytes })
}

/// Another client, over the same connections to the store, gets its own answer.
pub fn next_is_served(rig: &Rig, before: &Script<'_>) {
    let bytes = b"GET /data/next HTTP/1.1\r\nHost: s\r\n\r\n";
    let script = Script { service: before.service, bytes, piece_bytes: 0 };
    let exchange = rig.play(front::http1, &script);
    judge::http1(bytes, &exchange, script.service);
    let status = judge::answers(&exchange.answers, &judge::requests(bytes));
    let status = status.unwrap_or_default().first().map(|answer| answer.line[1].clone());
    let seen = exchange.seen.len();
    assert_eq!((status.as_deref(), seen), (Some("200"), 1), "{exchange:?} after {before:?}");
}

/// One rig a thread, made once: what is left of one run is what the next one finds.
pub fn with_rig<T>(work: impl FnOnce(&Rig) -> T) -> T {
    thread_local! {
        static RIG: Rig = Rig::new();
    }
    RIG.with(work)
}

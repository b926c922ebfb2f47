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

/// Ours and hyper's over the same bytes.
///
/// # Panics
/// When [`differ`] finds something.
pub fn front_ends(data: &[u8]) {
    if let Some(difference) = differ(data, front::http1, front::hyper_http1) {
        panic!("{difference}");
    }
}

/// Plays the same bytes through two front ends. Ours may be stricter, never looser: what the
/// store saw through it is where the oracle's store began, byte for byte, and where it ends before
/// that, there is an answer that says so.
pub fn differ(data: &[u8], ours: Serve, oracle: Serve) -> Option<String> {
    let script = script(data)?;
    with_rig(|rig| {
        let (a, b) = (rig.play(ours, &script), rig.play(oracle, &script));
        judge::http1(script.bytes, &a, script.service);
        // Where the store answers early, it is a matter of time what else is sent.
        if [&a, &b].iter().any(|exchange| answers_early(exchange)) {
            return None;
        }
        let (one, other) = (seen(&a), seen(&b));
        let agree = other.starts_with(&one)
            && (one.len() == other.len() || answered(script.bytes, &a) > one.len());
        (!agree).then(|| format!("{script:?}\nours   {one:#?} {a:?}\noracle {other:#?} {b:?}"))
    })
}

/// How many answers there were.
fn answered(bytes: &[u8], exchange: &Exchange) -> usize {
    judge::answers_cut(&exchange.answers, &judge::requests(bytes)).map_or(0, |(all, _)| all.len())
}

fn answers_early(exchange: &Exchange) -> bool {
    exchange.seen.iter().any(|seen| seen.message.line[1].contains("early"))
}

/// What the store saw to its end, without what is another each time. How far a request came that
/// was cut is a matter of time.
fn seen(exchange: &Exchange) -> Vec<String> {
    // The store's serials and the signature's time are different each time.
    let volatile = ["authorization", "x-amz-date"];
    let whole = exchange.seen.iter().map(|seen| &seen.message).filter(|message| message.is_whole);
    let of_store = whole.map(|message| {
        let mut headers: Vec<_> =
            message.headers.iter().filter(|(name, _)| !volatile.contains(&name.as_str())).collect();
        headers.sort();
        format!("{:?} {headers:?} {:?}", message.line, message.body)
    });
    of_store.collect()
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

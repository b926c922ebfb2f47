//! A store's bytes: whatever it answers, the client gets answers to its own requests and
//! nothing else.

use super::connection::with_rig;
use super::rig::{Script, TOKEN};
use super::{front, judge};

/// The first byte says which request is asked and whether the store hangs up after its bytes;
/// the others are the store's answer to it.
///
/// # Panics
/// When the client gets what is no answer, or the next client gets another's.
pub fn answer(data: &[u8]) {
    let Some((&first, answer)) = data.split_first() else { return };
    let (method, body) = match first & 3 {
        0 => ("GET", ""),
        1 => ("HEAD", ""),
        2 => ("PUT", "content-length: 3\r\n\r\nabc"),
        _ => ("DELETE", "\r\n"),
    };
    let body = if body.is_empty() { "\r\n" } else { body };
    let bytes = format!(
        "{method} /data/play HTTP/1.1\r\nhost: s\r\nfencing-token: {TOKEN}\r\n{body}\
         GET /data/behind HTTP/1.1\r\nhost: s\r\n\r\n"
    );
    let script =
        Script { service: usize::from(first >> 2 & 3), bytes: bytes.as_bytes(), piece_bytes: 0 };
    with_rig(|rig| {
        rig.record.lock().play = Some((answer.to_vec(), first & 16 != 0));
        let exchange = rig.play(front::http1, &script);
        rig.record.lock().play = None;
        assert!(exchange.faults.is_empty(), "the store saw {:?}", exchange.faults);
        // The bytes may not be a whole answer; then the client's is cut short as well, and its
        // connection with it.
        let asked = judge::requests(script.bytes);
        let told = || {
            let got = String::from_utf8_lossy(&exchange.answers).into_owned();
            format!("store {:?}\nclient {got:?}", String::from_utf8_lossy(answer))
        };
        let answers = judge::answers_cut(&exchange.answers, &asked);
        let (answers, _) = answers.unwrap_or_else(|why| panic!("{why}\n{}", told()));
        assert!(answers.len() <= 2, "more answers than requests\n{}", told());
        for answer in &answers {
            for name in ["keep-alive", "upgrade", "proxy-connection"] {
                assert!(answer.one(name).is_none(), "{name}\n{}", told());
            }
        }
        if let [_, second] = &answers[..] {
            // The second can be no part of the first: the store gives it a serial.
            let serial = second.one("x-serial").map(<[u8]>::to_vec);
            let expected = exchange.seen.last().map(|seen| seen.serial.to_string().into_bytes());
            assert_eq!(serial, expected, "{}", told());
        }
        super::connection::next_is_served(rig, &script);
    });
}

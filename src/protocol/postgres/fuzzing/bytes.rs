//! Bytes as they come: first packets, and messages of both sides.

use super::super::codec::frame::{HEADER_BYTES, Header, Side, header};
use super::super::codec::message::read::{self, ErrorFields};
use super::super::codec::message::write;
use super::super::codec::startup::{self, First};
use super::super::track::Tracker;

/// The tags of protocol 3.
const CLIENT: &[u8] = b"QPBDECSHXFdcfp";
const SERVER: &[u8] = b"RKSNEZTDCInt123sAGHWVdcv";

/// A first packet, with its length field.
///
/// # Panics
/// When what is understood is not what a server would understand of what it gets.
pub(crate) fn startup(data: &[u8]) {
    let Ok(Some(len)) = startup::len(data) else { return };
    let Some(body) = data.get(4..4 + len) else { return };
    let Ok(First::Startup(mut startup)) = startup::first(body) else { return };
    let before = startup.clone();
    for name in ["palisade.token", "palisade.resource"] {
        if startup.take(name).is_err() {
            return assert_eq!(startup, before, "an error changes nothing");
        }
        assert_eq!(startup.take(name), Ok(None), "{startup:?}");
    }
    if startup.parameters.len() == before.parameters.len() {
        let is_same = startup == before || startup.parameter("options").is_some();
        assert!(is_same, "{startup:?} of {before:?}");
    }
    let mut out = Vec::new();
    write::startup(&mut out, &startup.parameters);
    // Escapes can make it longer than what came.
    if let Ok(First::Startup(again)) = startup::first(&out[4..]) {
        assert_eq!(again.parameters, startup.parameters);
    } else {
        assert!(out.len() > startup::STARTUP_BYTES_MAX, "{startup:?}");
    }
}

/// One byte that says where to cut; what a client sends is before, what a server sends behind.
///
/// # Panics
/// When headers are read in another way than by the letter, or the tracker takes for answered
/// what is not.
pub(crate) fn frames(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let (mut client, mut server) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let mut tracker = Tracker::new();
    let (mut asked, mut answered) = (0, 0);
    let mut is_clients = true;
    loop {
        let message = match is_clients {
            true => next(Side::Client, CLIENT, &mut client),
            false => next(Side::Server, SERVER, &mut server),
        };
        match (message, is_clients) {
            (Some((tag, _)), true) => {
                asked += usize::from(matches!(tag, b'Q' | b'F'));
                tracker.client(tag);
            }
            (Some((tag, body)), false) => {
                answered += usize::from(tag == b'Z');
                tracker.server(tag, body.first().copied());
            }
            (None, true) => {}
            (None, false) => return,
        }
        assert!(!tracker.is_quiet() || asked <= answered, "{tracker:?}");
        assert!(!(tracker.is_quiet() && tracker.is_copying_in()), "{tracker:?}");
        is_clients = !is_clients;
    }
}

/// The next message, if it is whole.
fn next<'a>(side: Side, tags: &[u8], bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let found = header(side, bytes);
    let Some(tag) = bytes.first() else {
        assert_eq!(found, Ok(None));
        return None;
    };
    if !tags.contains(tag) || bytes.len() < HEADER_BYTES {
        assert_eq!(found.is_err(), !tags.contains(tag));
        return None;
    }
    let length = bytes[1..HEADER_BYTES].iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte));
    let Ok(Some(Header { tag, len })) = found else { return None };
    assert_eq!((tag, len + 4), (bytes[0], length));
    let body = bytes.get(HEADER_BYTES..HEADER_BYTES + len)?;
    *bytes = &bytes[HEADER_BYTES + len..];
    understand(side, tag, body);
    Some((tag, body))
}

fn understand(side: Side, tag: u8, body: &[u8]) {
    match (side, tag) {
        (Side::Client, b'Q') => drop(read::query_text(body)),
        (Side::Client, b'P') => drop(read::parse_text(body)),
        (Side::Client, b'B') => drop(read::bind(body)),
        (Side::Client, b'D' | b'C') => drop(read::target(body)),
        (Side::Client, b'E') => drop(read::execute(body)),
        (Side::Server, b'E' | b'N') => drop(ErrorFields::parse(body)),
        (Side::Server, b'C') => drop(read::command_complete(body)),
        (Side::Server, b'K') => drop(read::backend_key(body)),
        (Side::Server, b'S') => {
            let Ok((name, value)) = read::parameter_status(body) else { return };
            let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) else {
                return;
            };
            let mut out = Vec::new();
            write::parameter_status(&mut out, name, value);
            assert_eq!(&out[HEADER_BYTES..], body);
        }
        (Side::Server, b'D') => {
            let Ok(values) = read::data_row(body) else { return };
            let texts = values.iter().map(|it| it.map(str::from_utf8).transpose());
            let Ok(texts) = texts.collect::<Result<Vec<_>, _>>() else { return };
            let mut out = Vec::new();
            write::data_row(&mut out, &texts);
            assert_eq!(&out[HEADER_BYTES..], body);
        }
        _ => {}
    }
}

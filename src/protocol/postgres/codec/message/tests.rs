//! What is written is read again; what is broken is refused.

use super::super::frame::{FrameError, HEADER_BYTES, Side, header};
use super::read::{self, ErrorFields, Status, Target};
use super::write::{self, Report, Severity};

/// The body of the one message of `side` that `build` writes, behind bytes that are there already.
#[track_caller]
fn body(side: Side, tag: u8, build: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = b"before".to_vec();
    build(&mut out);
    let bytes = out.strip_prefix(b"before").unwrap();
    let found = header(side, bytes).unwrap().unwrap();
    assert_eq!((found.tag, found.len), (tag, bytes.len() - HEADER_BYTES));
    bytes[HEADER_BYTES..].to_vec()
}

fn server(tag: u8, build: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    body(Side::Server, tag, build)
}

#[test]
fn errors_and_notices() {
    let report = Report {
        severity: Severity::Fatal,
        sqlstate: "PF001",
        message: "the token is stale\0CXX000",
        detail: Some("42 < 43"),
        hint: None,
    };
    let bytes = server(b'E', |out| write::error(out, &report));
    assert_eq!(bytes, b"SFATAL\0VFATAL\0CPF001\0Mthe token is stale\0D42 < 43\0\0");
    let fields = ErrorFields::parse(&bytes).unwrap();
    assert!(fields.is_fatal());
    assert_eq!((&*fields.code, &*fields.message), ("PF001", "the token is stale"));
    assert_eq!((&*fields.detail, &*fields.hint), ("42 < 43", ""));
    let report = Report { severity: Severity::Warning, hint: Some("h"), ..report };
    let bytes = server(b'N', |out| write::notice(out, &report));
    let fields = ErrorFields::parse(&bytes).unwrap();
    assert!(!fields.is_fatal());
    assert_eq!((&*fields.severity, &*fields.hint), ("WARNING", "h"));
    let german = ErrorFields::parse(b"SFEHLER\0VERROR\0Mk\xe4se\0Xnew\0\0").unwrap();
    assert_eq!((&*german.severity, &*german.message), ("ERROR", "k\u{fffd}se"));
    for broken in [&b""[..], b"S", b"SERROR", b"SERROR\0", b"\0\0"] {
        assert!(ErrorFields::parse(broken).is_err(), "{broken:?}");
    }
}

#[test]
fn a_session_begins() {
    let bytes = server(b'S', |out| write::parameter_status(out, "a", "b c"));
    assert_eq!(read::parameter_status(&bytes), Ok((&b"a"[..], &b"b c"[..])));
    assert_eq!(server(b'R', write::authentication_ok), [0; 4]);
    for len in [4, 32, 256] {
        let secret = vec![9; len];
        let bytes = server(b'K', |out| write::backend_key(out, 77, &secret));
        assert_eq!(read::backend_key(&bytes), Ok((77, &secret[..])));
    }
    for status in [Status::Idle, Status::InTransaction, Status::Failed] {
        let bytes = server(b'Z', |out| write::ready(out, status));
        assert_eq!(bytes.first().copied().and_then(Status::from_byte), Some(status));
    }
    assert_eq!(Status::from_byte(b'X'), None);
    let options = ["_pq_.a".to_owned(), "_pq_.b".to_owned()];
    let bytes = server(b'v', |out| write::negotiate(out, 2, &options));
    assert_eq!(bytes, b"\0\x03\0\x02\0\0\0\x02_pq_.a\0_pq_.b\0");
}

#[test]
fn rows() {
    let bytes = server(b'T', |out| write::row_description(out, &["palisade.token"]));
    assert_eq!(bytes, b"\0\x01palisade.token\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
    let bytes = server(b'D', |out| write::data_row(out, &[Some("42"), None, Some("")]));
    assert_eq!(read::data_row(&bytes), Ok(vec![Some(&b"42"[..]), None, Some(b"")]));
    assert!(read::data_row(&bytes[..bytes.len() - 1]).is_err());
    assert!(read::data_row(&[&bytes[..], b"x"].concat()).is_err());
    assert!(read::data_row(b"\xff\xff").is_err());
    let bytes = server(b'C', |out| write::command_complete(out, "SHOW"));
    assert_eq!(read::command_complete(&bytes), Ok(&b"SHOW"[..]));
    assert!(server(b'1', write::parse_complete).is_empty());
    assert!(server(b'2', write::bind_complete).is_empty());
    assert!(server(b'3', write::close_complete).is_empty());
    assert!(server(b'n', write::no_data).is_empty());
    assert_eq!(server(b't', write::parameter_description_none), [0, 0]);
}

#[test]
fn what_clients_say() {
    let bytes = body(Side::Client, b'Q', |out| write::query(out, "SELECT 1"));
    assert_eq!(read::query_text(&bytes), Ok(&b"SELECT 1"[..]));
    assert!(body(Side::Client, b'S', write::sync).is_empty());
    assert!(body(Side::Client, b'X', write::terminate).is_empty());
    assert!(read::query_text(b"SELECT 1").is_err() && read::query_text(b"a\0b\0").is_err());
    assert_eq!(read::parse_text(b"s\0SELECT 1\0\0\0"), Ok((&b"s"[..], &b"SELECT 1"[..])));
    assert_eq!(read::bind(b"p\0s\0\0\0\0\0\0\0"), Ok((&b"p"[..], &b"s"[..])));
    assert_eq!(read::target(b"Sx\0"), Ok(Target::Statement(b"x")));
    assert_eq!(read::target(b"P\0"), Ok(Target::Portal(b"")));
    assert!(read::target(b"Tx\0").is_err());
    assert_eq!(read::execute(b"p\0\0\0\0\0"), Ok(&b"p"[..]));
    let told = read::execute(b"p\0\0\0").unwrap_err();
    assert_eq!(told, FrameError::Body { message: "Execute", what: "it is too short" });
}

#[test]
fn first_packets() {
    use super::super::startup::{First, first, len};
    let packet = |build: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        build(&mut out);
        assert_eq!(len(&out), Ok(Some(out.len() - 4)));
        first(&out[4..]).unwrap()
    };
    assert_eq!(packet(&write::ssl_request), First::Ssl);
    let cancel = First::Cancel { pid: 77, secret: vec![1; 32] };
    assert_eq!(packet(&|out| write::cancel(out, 77, &[1; 32])), cancel);
    let parameters =
        [("user".to_owned(), "ann".to_owned()), ("a".to_owned(), "b\0c\0d".to_owned())];
    let First::Startup(startup) = packet(&|out| write::startup(out, &parameters)) else { panic!() };
    assert_eq!(startup.parameter("a"), Some("b"));
    assert_eq!(startup.parameters.len(), 2);
}

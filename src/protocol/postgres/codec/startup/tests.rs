//! First packets as drivers send them, broken ones, and `options` in every spelling.

use proptest::prelude::*;

use super::options::Options;
use super::*;

fn body(code: u32, rest: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), rest].concat()
}

fn startup(parameters: &[(&str, &str)]) -> Startup {
    let mut rest = Vec::new();
    for (name, value) in parameters {
        rest.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    rest.push(0);
    match first(&body(VERSION_3, &rest)) {
        Ok(First::Startup(startup)) => startup,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_a_session() {
    assert_eq!(first(&body(SSL_CODE, b"")), Ok(First::Ssl));
    assert_eq!(first(&body(GSS_CODE, b"")), Ok(First::Gss));
    assert!(first(&body(SSL_CODE, b"\0")).is_err());
    for secret in [4, 32, 256] {
        let secret = vec![7; secret];
        let rest = [&[0, 0, 1, 2], &secret[..]].concat();
        assert_eq!(first(&body(CANCEL_CODE, &rest)), Ok(First::Cancel { pid: 258, secret }));
    }
    for len in [0, 3, 4, 7, 261] {
        assert_eq!(first(&body(CANCEL_CODE, &vec![7; len])), Err(StartupError::Cancel));
    }
    let shown = format!("{:?}", first(&body(CANCEL_CODE, &[9; 8])));
    assert_eq!(shown, "Ok(Cancel { pid: 151587081, .. })");
}

#[test]
fn versions() {
    let rest = b"user\0ann\0_pq_.command_queue\0on\0database\0d\0\0";
    for minor in [0, 2, 9999] {
        let Ok(First::Startup(startup)) = first(&body(VERSION_3 + minor, rest)) else { panic!() };
        assert_eq!(u32::from(startup.version.minor), minor);
        assert_eq!(startup.parameter("user"), Some("ann"));
        assert_eq!(startup.parameter("database"), Some("d"));
        assert_eq!(startup.unknown_options, ["_pq_.command_queue"]);
    }
    for (code, told) in [(0x0002_0000, "protocol 2.0 is"), (0x0004_0001, "protocol 4.1 is")] {
        let told_is = first(&body(code, rest)).unwrap_err().to_string();
        assert!(told_is.starts_with(told), "{told_is}");
    }
    let http = u32::from_be_bytes(*b"GET ");
    assert!(matches!(first(&body(http, b"/")), Err(StartupError::Version { .. })));
}

#[test]
fn lengths() {
    assert_eq!(len(&[0, 0, 0]), Ok(None));
    assert_eq!(len(&[0, 0, 0, 8, 4, 210]), Ok(Some(4)));
    assert_eq!(len(&10_004_u32.to_be_bytes()), Ok(Some(STARTUP_BYTES_MAX)));
    for length in [0_u32, 7, 10_005, u32::MAX, u32::from_be_bytes(*b"GET ")] {
        assert_eq!(len(&length.to_be_bytes()), Err(StartupError::Length { length }));
    }
    assert!(matches!(first(b"\0\x03\0"), Err(StartupError::Length { length: 7 })));
    assert!(first(&body(VERSION_3, &vec![0; STARTUP_BYTES_MAX])).is_err());
}

#[test]
fn broken_parameters() {
    for rest in
        [&b""[..], b"user", b"user\0", b"user\0ann", b"user\0ann\0", b"\0\0", b"a\0\xff\0\0"]
    {
        let found = first(&body(VERSION_3, rest));
        assert!(matches!(found, Err(StartupError::Malformed(_))), "{rest:?}: {found:?}");
    }
    let twice = b"user\0ann\0User\0eve\0\0";
    assert_eq!(first(&body(VERSION_3, twice)), Err(StartupError::Twice("User".into())));
    assert!(first(&body(VERSION_3, b"_pq_.a\0\0_pq_.a\0\0\0")).is_err());
    assert!(!format!("{:?}", startup(&[("palisade.token", "7321")])).contains("7321"));
}

/// What is found for `palisade.token`, and the options that are left (`None`: no longer there).
#[track_caller]
fn check(options: &str, expected: Option<&str>, left: Option<&str>) {
    let mut startup = startup(&[("user", "ann"), ("options", options), ("datestyle", "iso")]);
    assert_eq!(startup.take("palisade.token").unwrap().as_deref(), expected, "{options}");
    assert_eq!(startup.parameter("options"), left, "{options}");
    assert_eq!(startup.parameters.len(), 2 + usize::from(left.is_some()));
    assert_eq!(startup.take("palisade.token"), Ok(None));
}

#[test]
fn settings_are_taken_from_options() {
    check("-c palisade.token=42", Some("42"), None);
    check("-cpalisade.token=42", Some("42"), None);
    check("--palisade.token=42", Some("42"), None);
    check("--Palisade.TOKEN=42", Some("42"), None);
    check("  -c \t palisade.token=1.3\n", Some("1.3"), None);
    check("-c palisade.token=", Some(""), None);
    check(r"-c palisade.token=4\ 2\\", Some(r"4 2\"), None);
    check("-c a=b -c palisade.token=42 --work-mem=1", Some("42"), Some("-c a=b --work-mem=1"));
    check(r"-c a=b\ c\\d --palisade.token=4 -e", Some("4"), Some(r"-c a=b\ c\\d -e"));
    check("-ec palisade.token=42 -d3", Some("42"), Some("-e -d3"));
    check("-e-palisade.token=42", Some("42"), Some("-e"));
    // The trailing backslash is an argument without a letter.
    check(r"-c palisade.token=42 -B \", Some("42"), Some(r"-B \"));
}

#[test]
fn what_is_no_setting_stays_as_it_was() {
    for options in [
        "",
        "  ",
        "-c palisade.tokens=42",
        "-c palisade.token",
        "-c",
        "-",
        "--",
        "palisade.token=42",
        "-B --palisade.token=42",
        "-S-cpalisade.token=42",
        r"-c a=\  -c\ palisade.token=42",
        r"--a=-c\ palisade.token=42   -x \",
    ] {
        check(options, None, Some(options));
    }
}

#[test]
fn parameters_are_taken_too_but_never_twice() {
    let mut both = startup(&[("Palisade.Token", "42"), ("options", "-c a=b"), ("user", "ann")]);
    assert_eq!(both.take("palisade.token").unwrap().as_deref(), Some("42"));
    assert_eq!(both.parameters.len(), 2);
    for parameters in [
        &[("palisade.token", "42"), ("options", "-c palisade.token=42")][..],
        &[("options", "-c palisade.token=42 --palisade.token=42")],
    ] {
        let mut twice = startup(parameters);
        let before = twice.clone();
        let told = twice.take("palisade.token").unwrap_err();
        assert_eq!(told, StartupError::Twice("palisade.token".into()));
        assert_eq!(twice, before);
    }
}

/// PostgreSQL's own way of splitting, letter by letter as its source has it.
fn split_as_postgresql(text: &str) -> Vec<String> {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let (bytes, mut at, mut words, mut is_escaped) = (text.as_bytes(), 0, Vec::new(), false);
    while at < bytes.len() {
        while at < bytes.len() && is_space(bytes[at]) {
            at += 1;
        }
        if at == bytes.len() {
            break;
        }
        let mut word = Vec::new();
        while at < bytes.len() && (is_escaped || !is_space(bytes[at])) {
            if !is_escaped && bytes[at] == b'\\' {
                is_escaped = true;
            } else {
                is_escaped = false;
                word.push(bytes[at]);
            }
            at += 1;
        }
        words.push(String::from_utf8(word).unwrap());
    }
    words
}

const WORD: &str = r"(-c ?|--|-[ecB]?)?(palisade\.token|a-b|é)?=?([a-c]|\\ |\\\\){0,3}";

proptest! {
    #[test]
    fn what_is_left_reads_the_same(parts in proptest::collection::vec(WORD, 0..6), tail in r"\\?", soup in r"[-\\ \tce=B.é]{0,12}") {
        for text in [parts.join(" ") + &tail, soup] {
            let words = split_as_postgresql(&text);
            let options = Options::parse(&text);
            let shown = options.to_string();
            prop_assert_eq!(&Options::parse(&shown), &options, "{:?}", text);
            prop_assert_eq!(split_as_postgresql(&shown), words, "{:?}", text);
            let (left, values) = options.without("palisade.token");
            let again = Options::parse(&left.to_string());
            prop_assert_eq!(&again, &left, "{:?}", text);
            prop_assert!(again.without("palisade.token").1.is_empty());
            if values.is_empty() {
                prop_assert_eq!(left.to_string(), shown);
            }
        }
    }

    #[test]
    fn any_packet_is_read_or_refused(code in prop_oneof![Just(VERSION_3), Just(CANCEL_CODE), any::<u32>()], rest: Vec<u8>) {
        if let Ok(First::Startup(mut startup)) = first(&body(code, &rest)) {
            let _ = startup.take("palisade.token");
        }
        let _ = len(&rest);
    }
}

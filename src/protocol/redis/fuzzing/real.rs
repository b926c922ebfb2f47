//! A Redis server against the same bytes: the model of it, the splitting of lines, its replies.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use redis::parse_redis_value;

use super::super::codec::inline;
use super::super::codec::reply::Replies;
use super::super::codec::request::Request;
use super::super::codec::write::{self, Protocol};
use super::bytes;
use super::peers::{self, Heard};

/// Starts the program that its arguments say, in the folder `$0`; ends it by its id and removes
/// the folder when its own standard input ends, also when the tests were killed.
const GUARD: &str = r#"cd -- "$0" && { "$@" & } && read -r _; kill $!; wait; rm -rf -- "$0""#;
const PATIENCE: Duration = Duration::from_secs(20);
/// A script that answers with its arguments.
const ARGUMENTS: &str = "return ARGV";

struct Server {
    port: u16,
    _child: Child,
    _guard: ChildStdin,
}

impl Server {
    /// One for all tests of this process.
    fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = free.local_addr().expect("it has one").port();
        drop(free);
        let folder = tempfile::Builder::new().prefix("palisade-redis-").tempdir();
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD]).arg(folder.expect("a folder").keep()).arg("redis-server");
        guard.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        guard.args(["--appendonly", "no", "--enable-debug-command", "yes"]);
        guard.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = guard.spawn().expect("there is a shell");
        let guard = child.stdin.take().expect("it is a pipe");
        let server = Self { port, _child: child, _guard: guard };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "no redis-server: install it (Debian: redis-server)"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        stream
    }

    /// All that it answers to these bytes and their end, in values.
    fn answers(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("it listens");
        stream.shutdown(Shutdown::Write).expect("a socket");
        let mut said = Vec::new();
        // It may close before it has read all.
        let _ = stream.read_to_end(&mut said);
        let (mut values, mut replies, mut at) = (Vec::new(), Replies::new(), 0);
        while at < said.len() {
            let step = replies.advance(&said[at..]).expect("a server");
            assert!(step.is_end, "{}", said.escape_ascii());
            values.push(said[at..at + step.bytes].to_vec());
            at += step.bytes;
        }
        values
    }
}

/// So many values, which end where both our walk and the redis crate say. Nothing is behind them.
fn values(stream: &mut TcpStream, count: usize) -> Vec<Vec<u8>> {
    let (mut replies, mut said) = (Replies::new(), vec![Vec::new()]);
    let mut piece = [0; 4096];
    while said.len() <= count {
        let count = stream.read(&mut piece).expect("it answers");
        assert!(count > 0, "it goes on");
        let mut at = 0;
        while at < count {
            let step = replies.advance(&piece[at..count]).expect("a server");
            let value = said.last_mut().expect("there is one");
            value.extend_from_slice(&piece[at..at + step.bytes]);
            at += step.bytes;
            if step.is_end {
                assert!(parse_redis_value(value).is_ok(), "{}", value.escape_ascii());
                assert!(parse_redis_value(&value[..value.len() - 1]).is_err());
                said.push(Vec::new());
            }
        }
    }
    assert_eq!((said.len(), said.pop()), (count + 1, Some(Vec::new())));
    said
}

fn value(stream: &mut TcpStream) -> Vec<u8> {
    values(stream, 1).remove(0)
}

/// The reply that an array of these is.
fn array(of: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let of: Vec<&[u8]> = of.iter().map(|it| &it[..]).collect();
    write::command(&mut out, &of);
    out
}

/// What is answered to a request, if its answer tells how it was read.
fn due(arguments: &[Vec<u8>]) -> Option<Vec<u8>> {
    let is_known = arguments.len() >= 3
        && arguments[0].eq_ignore_ascii_case(b"EVAL")
        && arguments[1] == ARGUMENTS.as_bytes()
        && arguments[2] == b"0";
    is_known.then(|| array(&arguments[3..]))
}

/// What the model makes of the bytes is what the server answers.
#[track_caller]
fn check(server: &Server, bytes: &[u8]) {
    bytes::request(&[&[7], bytes].concat());
    let answers = server.answers(bytes);
    let (mut at, mut answered) = (0, answers.iter());
    let shown = answers.iter().map(|it| it.escape_ascii().to_string());
    let told = format!("{} was answered {:?}", bytes.escape_ascii(), shown.collect::<Vec<_>>());
    loop {
        match peers::server(&bytes[at..]) {
            Heard::More => break,
            Heard::Refused => {
                let answer = answered.next().unwrap_or_else(|| panic!("no refusal: {told}"));
                assert!(answer.starts_with(b"-ERR Protocol error"), "{told}");
                break;
            }
            Heard::Request(arguments, len) => {
                at += len;
                if arguments.is_empty() {
                    continue;
                }
                let answer = answered.next().unwrap_or_else(|| panic!("no answer: {told}"));
                if let Some(due) = due(&arguments) {
                    assert_eq!(*answer, due, "{told}");
                }
                assert!(!answer.starts_with(b"-ERR Protocol error"), "{told}");
            }
        }
    }
    assert_eq!(answered.next(), None, "{told}");
}

/// A request whose answer tells how it was read.
fn asking(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut all: Vec<&[u8]> = vec![b"EVAL", ARGUMENTS.as_bytes(), b"0"];
    all.extend(arguments.iter().map(|it| &it[..]));
    let mut out = Vec::new();
    write::command(&mut out, &all);
    out
}

/// A line that asks the same; `words` are split by the server.
fn asking_line(words: &[u8]) -> Vec<u8> {
    [b"eval 'return ARGV' 0 ", words, b"\r\n"].concat()
}

#[test]
fn requests_that_are_not_by_the_letter() {
    let server = Server::shared();
    let whole = asking(&[b"a".to_vec(), b"\r\n$1\r\n".to_vec()]);
    for at in 0..=whole.len() {
        check(server, &whole[..at]);
        for with in ["\r", "\n", "\r\n", "0", "1", "-", "+", " ", "$", "*", "\0", "\"", "a"] {
            let mut bytes = whole.clone();
            bytes.splice(at..at, with.bytes());
            bytes.extend_from_slice(&whole);
            check(server, &bytes);
            if at < whole.len() {
                bytes.remove(at + with.len());
                check(server, &bytes);
            }
        }
    }
    for front in
        ["*0\r\n", "*-1\r\n", "*-7\r\n", "\r\n", "\n", " \t\n", "*-0\r\n", "*2147483648\r\n"]
    {
        check(server, &[front.as_bytes(), &whole].concat());
    }
    for len in ["536870912", "536870913", "-1", "9223372036854775808"] {
        check(server, format!("*1\r\n${len}\r\nab\r\n").as_bytes());
    }
}

/// What the splitter cares for.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"\"", b"'", b"\\", b" ", b"\t", b"\x0b", b"\x0c", b"\r", b"x", b"\\x", b"\\x4", b"\\x41",
        b"\\n", b"\\\"", b"\\'", b"\\\\", b"a", b"f", b"0", b"\xff", b"\x01", b"\" ", b" '",
    ];
    let piece = prop_oneof![6 => select(pieces).prop_map(<[u8]>::to_vec), 1 => any_byte()];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn any_byte() -> impl Strategy<Value = Vec<u8>> {
    (1..=u8::MAX).prop_filter("it ends a line", |byte| *byte != b'\n').prop_map(|byte| vec![byte])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The line is read as the server reads it; and what is sent on for it is as well.
    #[test]
    fn lines_are_split_as_the_server_splits_them(words in words()) {
        let server = Server::shared();
        let answers = server.answers(&asking_line(&words));
        match inline::arguments(&words) {
            Ok(arguments) => {
                prop_assert_eq!(&answers, &[array(&arguments)]);
                prop_assert_eq!(server.answers(&asking(&arguments)), answers);
            }
            Err(_) => {
                prop_assert_eq!(answers.len(), 1);
                prop_assert!(answers[0].starts_with(b"-ERR Protocol error: unbalanced quotes"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn requests_are_read_as_the_server_reads_them(
        requests in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..5)
                    .prop_map(|arguments| asking(&arguments)),
                words().prop_map(|words| asking_line(&words)),
            ],
            1..4,
        ),
        changes in prop::collection::vec(
            (any::<Index>(), 0_usize..3, select(&b"\r\n$*0123-+ \"'\0a"[..])),
            0..4,
        ),
    ) {
        let server = Server::shared();
        let mut bytes = requests.concat();
        for (at, removed, byte) in changes {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..bytes.len().min(at + removed), [byte]);
        }
        check(server, &bytes);
    }
}

#[test]
fn replies_end_where_the_server_ends_them() {
    let server = Server::shared();
    for hello in ["2", "3"] {
        let mut stream = server.connect();
        let lines = [
            format!("HELLO {hello}"),
            format!("SET key-{hello} {}", "v".repeat(300)),
            format!("GET key-{hello}"),
            format!("LPUSH key-{hello} a"),
            "GET nothing".into(),
            "RPUSH list 1 2 3".into(),
            "DEL list".into(),
            "NOSUCHCOMMAND a b".into(),
            "COMMAND".into(),
            "COMMAND DOCS".into(),
            "CONFIG GET *".into(),
            "INFO".into(),
            "CLIENT LIST".into(),
            "LATENCY DOCTOR".into(),
            "ZADD zset 1.5 a 2 b".into(),
            "ZRANGE zset 0 -1 WITHSCORES".into(),
            "XADD stream * f v".into(),
            "XRANGE stream - +".into(),
            "BLPOP nothing 0.01".into(),
            "EVAL 'return {1,{2,{3,{ok=\"a\"}}},{err=\"ERR b\"},false}' 0".into(),
            "MULTI".into(),
            "PING".into(),
            "INCR key-n".into(),
            "EXEC".into(),
        ];
        let kinds = "string integer double null array set map attrib verbatim true false bignum";
        let debug = kinds.split(' ').map(|kind| format!("DEBUG PROTOCOL {kind}"));
        for line in lines.into_iter().chain(debug) {
            let arguments = inline::arguments(line.as_bytes()).unwrap();
            stream.write_all(&array(&arguments)).unwrap();
            let said = value(&mut stream);
            let is_error = matches!(said[0], b'-' | b'!');
            let is_wrong = line.starts_with("NOSUCH") || line.starts_with("LPUSH");
            assert_eq!(is_error, is_wrong, "{line}: {}", said.escape_ascii());
        }
    }
}

/// A push stands between replies.
#[test]
fn what_a_server_sends_unasked() {
    let server = Server::shared();
    let mut stream = server.connect();
    stream.write_all(b"HELLO 3\r\n").unwrap();
    value(&mut stream);
    stream.write_all(b"DEBUG PROTOCOL push\r\n").unwrap();
    let said = values(&mut stream, 2);
    assert_eq!((said[0][0], &said[1][..1]), (b'>', &b"$"[..]), "{said:?}");
    stream.write_all(b"SUBSCRIBE channel\r\n").unwrap();
    assert_eq!(value(&mut stream), b">3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n");
}

/// What Palisade says reads as it was meant, in both protocols.
#[test]
fn commands_written_are_understood() {
    let server = Server::shared();
    let mut out = Vec::new();
    write::command(&mut out, &[b"SET", b"written\0\xff", b"\r\n"]);
    write::command(&mut out, &[b"GET", b"written\0\xff"]);
    let (mut ok, mut bulk, mut null) = (Vec::new(), Vec::new(), Vec::new());
    write::simple(&mut ok, "OK");
    write::bulk(&mut bulk, b"\r\n");
    write::null(&mut null, Protocol::Resp2);
    write::command(&mut out, &[b"GET", b"no such key"]);
    assert_eq!(server.answers(&out), [ok, bulk, null]);
    let mut request = Request::default();
    assert_eq!(request.read(&out), Ok(true));
}

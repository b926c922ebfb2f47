//! The brief runs: the examples in `fuzz/seeds`, and seeded changes of them for a moment.
//!
//! `PALISADE_FUZZ_MS` and `PALISADE_FUZZ_SEED` make a run longer and another one.

use std::path::Path;
use std::time::{Duration, Instant};

use super::TARGETS;

/// How long each target is tried, unless the environment says otherwise.
const MOMENT: Duration = Duration::from_millis(700);
const SEED: u64 = 3;
/// The largest input that is tried, in bytes.
const INPUT_MAX_BYTES: usize = 4096;

/// What parsers care for.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"/",
    b"//",
    b"..",
    b"%2F",
    b"%00",
    b"%",
    b"?",
    b"&",
    b"=",
    b"+",
    b";",
    b",",
    b"0",
    b"7",
    b"-1",
    b"\xff",
    b"{",
    b"}",
    b"*",
    b"**",
    b"<",
    b">",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: s\r\n",
    b"Fencing-Token: 7\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.1",
    b"GET ",
    b"PUT ",
    b"/data/",
    b"18446744073709551616",
    b"ffffffffffffffff",
    b"x-amz-",
    b"aws-chunked",
    b"'",
    b"\"",
    b"$$",
    b"E'\\'",
    b"U&'",
    b"/*",
    b"*/",
    b"--",
    b"(",
    b")",
    b"select ",
    b"palisade.token",
    b"::",
    b"*1\r\n",
    b"$1\r\n",
    b"$-1\r\n",
    b"|1\r\n",
    b"%1\r\n",
    b"\\x",
    b"\\",
];

/// A generator that is the same everywhere (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }
}

fn changed(examples: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut data = examples[chance.below(examples.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(data.len() + 1);
        let end = (at + 1 + chance.below(16)).min(data.len());
        match chance.below(7) {
            0 if at < data.len() => data[at] ^= 1 << chance.below(8),
            1 if at < data.len() => data[at] = u8::try_from(chance.below(256)).unwrap(),
            2 if at < end => drop(data.drain(at..end)),
            3 if at < end => {
                let again = data[at..end].to_vec();
                data.splice(at..at, again);
            }
            4 => {
                let other = &examples[chance.below(examples.len())];
                let from = chance.below(other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            5 if chance.below(4) == 0 => data.truncate(at),
            _ => drop(data.splice(at..at, WORDS[chance.below(WORDS.len())].iter().copied())),
        }
    }
    data.truncate(INPUT_MAX_BYTES);
    data
}

/// Tells the input when a target panics over it.
struct Tell<'d>(&'static str, &'d [u8]);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} over {:?}", self.0, self.1.escape_ascii().to_string());
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn brief(name: &'static str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(match name {
        // The same bytes.
        "front_ends" => "connection_http1",
        name => name,
    });
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let examples: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!examples.is_empty(), "{} has no examples", folder.display());
    for (file, example) in files.iter().zip(&examples) {
        let _tell = Tell(name, example);
        eprintln!("{}", file.display());
        (target.run)(example);
    }
    let moment = number("PALISADE_FUZZ_MS").map_or(MOMENT, Duration::from_millis);
    let mut chance = Chance(number("PALISADE_FUZZ_SEED").unwrap_or(SEED));
    let (begun, mut runs) = (Instant::now(), 0_u64);
    while begun.elapsed() < moment {
        let data = changed(&examples, &mut chance);
        let _tell = Tell(name, &data);
        (target.run)(&data);
        runs += 1;
    }
    eprintln!("{name}: {} examples, {runs} changes", examples.len());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { brief(stringify!($name)); })*

        #[test]
        fn every_target_is_tried() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    admin
    aws_chunked
    certificate
    config
    connection_http1
    connection_http2
    delete_objects
    front_ends
    head
    ledger_file
    path
    postgres_frames
    postgres_session
    postgres_startup
    postgres_sql
    redis_inline
    redis_reply
    redis_request
    refusal_document
    rules
    s3_address
    store_answer
    tls_files
    token
}

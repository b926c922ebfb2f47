//! Redis's bytes: what it takes to read a request and to walk a reply.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use palisade::protocol::redis::codec::reply::Replies;
use palisade::protocol::redis::codec::request::Request;
use palisade::protocol::redis::codec::write;

/// Commands that come together, as of `redis-benchmark -P 16`.
const PIPELINE: usize = 16;
const ELEMENTS: usize = 100_000;

/// Runs it.
pub fn run() {
    let mut criterion = Criterion::default();
    requests(&mut criterion);
    replies(&mut criterion);
    criterion.final_summary();
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("redis request");
    let get = command(&[b"GET", b"key:000000000042"]);
    let set = command(&[b"SET", b"key:000000000042", b"xxx"]);
    let many: Vec<&[u8]> = vec![b"key:000000000042"; 1_000];
    let mget = command(&[&[&b"MGET"[..]], &many[..]].concat());
    for (name, bytes, count) in [
        ("GET", get.repeat(PIPELINE), PIPELINE),
        ("SET", set.repeat(PIPELINE), PIPELINE),
        ("MGET of 1000 keys", mget, 1),
        ("a line", b"set key:000000000042 'xxx'\r\n".repeat(PIPELINE), PIPELINE),
    ] {
        group.throughput(Throughput::Elements(count as u64));
        let mut request = Request::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(&bytes[..]);
                while let Some(len) = read(&mut request, rest) {
                    rest = &rest[len..];
                }
                rest.len()
            });
        });
    }
    let large = command(&[b"SET", b"key", &vec![b'x'; 1 << 20]]);
    group.throughput(Throughput::Bytes(large.len() as u64));
    group.bench_function("1 MiB that passes in pieces of 64 KiB", |bencher| {
        bencher.iter_batched(
            || Request::default().passing(),
            |mut passing| {
                let pieces = black_box(&large).chunks(64 << 10);
                pieces.map(|piece| passing.advance(piece).expect("it is one")).sum::<usize>()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("redis reply");
    let mut array = Vec::new();
    write::array_header(&mut array, ELEMENTS);
    array.extend(b"$3\r\nabc\r\n".repeat(ELEMENTS));
    for (name, bytes, count) in [
        ("+OK", b"+OK\r\n".repeat(PIPELINE), PIPELINE),
        ("a short value", b"$3\r\nxxx\r\n".repeat(PIPELINE), PIPELINE),
        ("a number", b":1234567\r\n".repeat(PIPELINE), PIPELINE),
        ("elements of a flat array", array, ELEMENTS),
    ] {
        group.throughput(Throughput::Elements(count as u64));
        let mut replies = Replies::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(&bytes[..]);
                while !rest.is_empty() {
                    let step = replies.advance(rest).expect("they are replies");
                    rest = &rest[step.bytes..];
                }
                replies.is_between()
            });
        });
    }
    group.finish();
}

fn command(arguments: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    write::command(&mut out, arguments);
    out
}

/// What a session does with each: its name, its key, its end.
fn read(request: &mut Request, bytes: &[u8]) -> Option<usize> {
    let is_read = request.read(bytes).expect("they are requests");
    black_box((request.arg(bytes, 0), request.arg(bytes, 1)));
    request.len().filter(|_| is_read)
}

//! Commands by chance, in pieces by chance: the server itself and Palisade before it answer alike.

use std::time::Duration;

use crate::rig::redis::{Choice, Front, Layout, PASSWORD, Wire, send, words};

const ROUNDS: u64 = 8;
const STEPS: usize = 60;
const MARK: &str = "that is all";

/// What leaves the connection as it was.
const PLAIN: [&str; 40] = [
    "SET a 1",
    "SET b 'two words'",
    "GET a",
    "GET none",
    "INCR n",
    "INCR b",
    "APPEND a x",
    "MSET a 1 b 2 c 3",
    "MGET a b none",
    "DEL a",
    "RPUSH l 1 2 3",
    "LPOP l",
    "LRANGE l 0 -1",
    "LPOP a",
    "HSET h f v g w",
    "HGETALL h",
    "ZADD z 1.5 m",
    "ZSCORE z m",
    "SADD s x",
    "SMEMBERS s",
    "TYPE a",
    "EXISTS a b l",
    "SET",
    "NOSUCH x",
    "ECHO hello",
    "PING",
    "PING back",
    "DBSIZE",
    "BLPOP none 0.002",
    "BLPOP l 0.002",
    "BLMOVE l m LEFT LEFT 0.002",
    "EVAL 'return {KEYS[1], redis.call(\"INCR\", KEYS[1])}' 1 n",
    "EVAL 'return redis.error_reply(\"MINE\")' 1 n",
    "EVAL_RO 'return redis.call(\"GET\", KEYS[1])' 1 n",
    "CLIENT GETNAME",
    "CLIENT SETNAME mine",
    "FLUSHDB",
    "WATCH a",
    "UNWATCH",
    "PUBLISH elsewhere x",
];
/// What is allowed only where no error of the other kind is awaited.
const AROUND: [&str; 6] = [
    "SUBSCRIBE c",
    "PSUBSCRIBE p*",
    "UNSUBSCRIBE c",
    "PUNSUBSCRIBE",
    "SSUBSCRIBE t",
    "SUNSUBSCRIBE",
];

struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*, by Vigna.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % end
    }

    fn of<'a>(&mut self, lines: &[&'a str]) -> &'a str {
        lines[self.below(lines.len())]
    }
}

/// A round: `AUTH` stands for the way in, which is another one on each side.
fn round(chance: &mut Chance) -> Vec<&'static str> {
    let mut lines = Vec::new();
    let (mut is_resp3, mut is_subscribed) = (false, false);
    for _ in 0..STEPS {
        let is_free = is_resp3 || !is_subscribed;
        match chance.below(20) {
            0 if is_free => {
                is_resp3 = !is_resp3;
                lines.push(if is_resp3 { "HELLO 3" } else { "HELLO 2" });
            }
            1 | 2 => {
                is_subscribed = true;
                lines.push(chance.of(&AROUND));
            }
            3 if is_subscribed => {
                is_subscribed = false;
                lines.extend(["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"]);
            }
            4 if is_free => lines.push(chance.of(&["SELECT 1", "SELECT 0", "SELECT 99"])),
            5 => {
                (is_resp3, is_subscribed) = (false, false);
                lines.extend(["RESET", "AUTH"]);
            }
            6 | 7 if is_free => {
                lines.push("MULTI");
                for _ in 0..chance.below(4) {
                    lines.push(chance.of(&PLAIN[..34]));
                }
                lines.push(chance.of(&["EXEC", "EXEC", "EXEC", "DISCARD"]));
            }
            8 if is_resp3 => {
                lines.push(chance.of(&[
                    "CLIENT TRACKING on",
                    "CLIENT TRACKING off",
                    "PUBLISH c x",
                ]));
            }
            _ => lines.push(chance.of(&PLAIN)),
        }
    }
    lines.extend(["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"]);
    lines
}

/// What is heard, when the lines are sent in those pieces.
async fn heard(wire: Wire, lines: &[String], way_in: &str, mut chance: Chance) -> Vec<String> {
    let mut bytes = Vec::new();
    for line in lines.iter().map(String::as_str).chain(["ECHO 'that is all'"]) {
        let line = if line == "AUTH" { way_in } else { line };
        match chance.below(8) == 0 && !line.contains('\'') {
            true => bytes.extend(format!("{line}\r\n").bytes()),
            false => bytes.extend(words(line)),
        }
    }
    let (mut reading, mut writing) = wire.apart();
    let sending = tokio::spawn(async move {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let most = [3, 40, 600, rest.len()][chance.below(4)].min(rest.len());
            let (piece, more) = rest.split_at(1 + chance.below(most));
            send(&mut writing, piece).await;
            rest = more;
            if chance.below(6) == 0 {
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
        }
        writing
    });
    let mut heard = Vec::new();
    while let Some(value) = reading.next().await {
        let text = value.to_string();
        let is_last = text == MARK;
        heard.push(super::same::steady(text));
        if is_last {
            break;
        }
    }
    drop(sending.await.unwrap());
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_any_order_and_in_any_pieces_is_answered_the_same() {
    alike(Layout::Whole, str::to_owned).await;
}

/// Where the keys have to be seen, and lie in several resources.
#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_keys_tell_the_resource() {
    let elsewhere = |word: &str| match word {
        "a" | "b" | "l" | "n" => format!("jobs:{word}:1"),
        // Such as write everything are refused there.
        "FLUSHDB" | "NOSUCH" => "PING".to_owned(),
        word => word.to_owned(),
    };
    let moved = |line: &str| line.split(' ').map(elsewhere).collect::<Vec<_>>().join(" ");
    alike(Layout::QueuesAndRest, moved).await;
}

async fn alike(layout: Layout, moved: impl Fn(&str) -> String) {
    let front = Front::with(Choice { layout, ..Choice::default() }).await;
    for seed in 1..=ROUNDS {
        let lines: Vec<_> = round(&mut Chance(seed)).into_iter().map(&moved).collect();
        let mut sides = Vec::new();
        for is_direct in [true, false] {
            assert_eq!(front.server.ask("FLUSHALL").await, "OK");
            let (wire, way_in) = match is_direct {
                true => (front.server.session().await, format!("AUTH {PASSWORD}")),
                false => (front.leader("leader-a", 33).await, "AUTH token=33 x".to_owned()),
            };
            sides.push(heard(wire, &lines, &way_in, Chance(seed)).await);
        }
        let (expected, got) = (&sides[0], &sides[1]);
        // After RESET nobody is logged in for a moment, and newer servers let such clients owe
        // them nothing: no fault of Palisade's, which has nothing outstanding then.
        if expected.last().is_none_or(|last| last != MARK) {
            continue;
        }
        let differs =
            (0..expected.len().max(got.len())).find(|at| match (expected.get(*at), got.get(*at)) {
                (Some(expected), Some(got)) => {
                    expected != got && !super::same::is_own(expected, got)
                }
                _ => true,
            });
        if let Some(at) = differs {
            let from = at.saturating_sub(4);
            let part = |side: &[String]| {
                side[from.min(side.len())..].iter().take(9).cloned().collect::<Vec<_>>()
            };
            panic!(
                "seed {seed}, answer {at}: expected {:#?}, got {:#?}, to {lines:#?}",
                part(expected),
                part(got)
            );
        }
    }
}

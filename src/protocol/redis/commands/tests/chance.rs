//! Commands whose keys are among options, put together by chance and run on a real server: what has
//! changed there must be what was said to be written, and what the server takes must be understood.

use std::collections::BTreeSet;

use redis::{Connection, Value};

use super::rig::{Server, ask, quiet};
use crate::protocol::redis::commands::{Access, Commands, Finding};

/// How each line begins, and the words of which the rest is made. Words are keys, too: a key may
/// have the name of an option.
const LINES: &[(&str, &str)] = &[
    ("SORT list", "ASC DESC alpha LIMIT 0 1 BY GET STORE Store # w_* nosort dst list2"),
    ("SORT_RO list", "ASC alpha LIMIT 0 1 BY GET STORE # w_* nosort dst"),
    ("GEORADIUS geo 13 38 200 km", "WITHDIST ASC COUNT ANY 1 2 STORE storedist dst DESC geo"),
    ("GEORADIUSBYMEMBER geo a 200 km", "WITHCOORD ASC COUNT ANY 1 STORE STOREDIST dst store"),
    ("XREADGROUP GROUP group reader", "COUNT 1 BLOCK noack STREAMS stream stream2 > 0-0 GROUP"),
    ("XREADGROUP GROUP STREAMS", "COUNT 1 STREAMS stream stream2 > 0-0 reader NOACK"),
    ("XREAD", "COUNT 1 BLOCK STREAMS stream stream2 0-0 streams"),
    ("COPY string", "dst DB 1 0 REPLACE replace other db"),
    ("MOVE string", "0 1 01 x"),
    ("ZUNIONSTORE dst", "1 2 3 zset zset2 WEIGHTS AGGREGATE MAX dst"),
    ("ZDIFFSTORE zset", "1 2 3 zset zset2 dst"),
    ("ZUNION", "1 2 3 zset zset2 WITHSCORES"),
    ("SINTERCARD", "1 2 set set2 LIMIT 0"),
    ("LMPOP", "1 2 3 list list2 LEFT right COUNT"),
    ("BLMPOP 0.001", "1 2 list list2 LEFT COUNT nosuch"),
    ("ZMPOP", "1 2 zset zset2 MIN COUNT"),
    ("BITOP", "AND NOT string other dst"),
    ("MSET", "string other dst x"),
    ("EVAL return(redis.call('SET',KEYS[1]or'dst',ARGV[1]or'x'))", "1 2 string other 01"),
    ("SMOVE set", "set2 a b set"),
    ("PFMERGE hll", "hll2 dst hll"),
    ("RENAME string", "dst other string"),
    ("LMOVE list", "list2 LEFT RIGHT dst list"),
];

/// Lines of each kind.
const TRIES: usize = 250;

/// Words behind the start of a line.
const WORDS_MAX: usize = 7;

/// The same sequence in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("small") % limit
    }
}

/// What is in each key, in two databases.
fn contents(observers: &mut [Connection; 2], keys: &[&str]) -> Vec<Value> {
    let args: Vec<&str> = ["DEBUG", "DIGEST-VALUE"].iter().chain(keys).copied().collect();
    let answers = observers.iter_mut().flat_map(|observer| {
        let Value::Array(digests) = ask(observer, &args).expect("it answers") else {
            panic!("a list of digests")
        };
        digests
    });
    answers.collect()
}

#[test]
fn what_changes_was_said_to_be_written() {
    let server = Server::shared();
    let _alone = quiet();
    server.reset();
    let commands = Commands::shipped();
    let mut observers = [server.connect(2), server.connect(2)];
    ask(&mut observers[1], &["SELECT", "1"]).expect("it works");
    let mut connection = server.connect(2);
    let mut chance = Chance(42);
    let (mut taken, mut changed, mut wrong) = (0, 0, Vec::new());
    for (start, words) in LINES {
        let words: Vec<&str> = words.split(' ').collect();
        let keys: BTreeSet<&str> = start.split(' ').chain(words.iter().copied()).collect();
        let keys: Vec<&str> = keys.into_iter().collect();
        let mut before = contents(&mut observers, &keys);
        for _ in 0..TRIES {
            let mut args: Vec<&str> = start.split(' ').collect();
            let more = 1 + chance.below(WORDS_MAX);
            args.extend((0..more).map(|_| words[chance.below(words.len())]));
            let arg = |index: usize| args.get(index).map(|arg: &&str| arg.as_bytes());
            let command = commands.find(args[0].as_bytes(), arg(1)).expect("it is known");
            let found = command.touches(args.len(), arg);
            let answer = ask(&mut connection, &args);
            let after = contents(&mut observers, &keys);
            let is_taken = answer.is_ok();
            taken += usize::from(is_taken);
            if is_taken && found == Finding::Malformed {
                wrong.push(format!("the server takes it: {args:?} {answer:?}"));
            }
            if before == after {
                continue;
            }
            changed += 1;
            for (place, (one, other)) in before.iter().zip(&after).enumerate() {
                let (database, key) = (place / keys.len(), keys[place % keys.len()]);
                if one != other && !is_written(&found, &args, database, key) {
                    wrong.push(format!("{key} of database {database}: {args:?} {found:?}"));
                }
            }
            server.reset();
            before = contents(&mut observers, &keys);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(taken > 600 && changed > 400, "{taken} taken, {changed} changed something");
}

fn is_written(found: &Finding, args: &[&str], database: usize, key: &str) -> bool {
    let Finding::Touches(touches, _) = found else { return *found == Finding::Malformed };
    let is_here = |place: Option<u32>| place.unwrap_or(0) as usize == database;
    touches.everything.is_some_and(|(access, _)| access == Access::Write)
        || touches.keys.iter().any(|found| {
            found.access == Access::Write && args[found.index] == key && is_here(found.database)
        })
}

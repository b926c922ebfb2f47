//! The same commands to the server itself and through Palisade: they are answered alike.

use crate::rig::redis::{Front, Server, Value, Wire};

/// Each line is a command; `>` before it sends it inline. `&` before it lets another client, around
/// Palisade, do it when all so far has been answered; `&cmd=blpop&` before it, when the server has a
/// client of which it says that; `&heard=2&` before it, when that many answers have been heard (for
/// a session that may not say ECHO, to which Palisade itself answers).
type Script = [&'static str];

/// Ends what has to be answered first.
const MARK: &str = "that is all";

/// Palisade before a server, and a leader with a token that speaks that protocol.
async fn two(front: &Front, protocol: u8) -> [Wire; 2] {
    let (mut direct, mut through) =
        (front.server.session().await, front.leader("leader-a", 33).await);
    for wire in [&mut direct, &mut through] {
        let hello = wire.call(&["HELLO", &protocol.to_string()]).await;
        assert_eq!(hello.under("proto"), Some(&Value::Integer(protocol.into())), "{hello}");
    }
    [direct, through]
}

/// All that a session hears.
async fn heard(wire: &mut Wire, server: &Server, script: &Script) -> Vec<String> {
    for line in ["FLUSHALL", "FUNCTION FLUSH", "SCRIPT FLUSH"] {
        assert_eq!(server.ask(line).await, "OK");
    }
    let mut heard = Vec::new();
    for line in script {
        if let Some(line) = line.strip_prefix('&') {
            let line = match line.split_once('&') {
                Some((told, line)) => {
                    match told.strip_prefix("heard=") {
                        Some(count) => so_many(wire, &mut heard, count.parse().unwrap()).await,
                        None => server.has_client(told).await,
                    }
                    line
                }
                None => {
                    up_to_here(wire, &mut heard).await;
                    heard.pop();
                    line
                }
            };
            server.ask(line).await;
            continue;
        }
        match line.strip_prefix('>') {
            Some(line) => wire.send(format!("{line}\r\n").as_bytes()).await,
            None => wire.tell(line).await,
        }
    }
    up_to_here(wire, &mut heard).await;
    heard
}

async fn so_many(wire: &mut Wire, heard: &mut Vec<String>, count: usize) {
    while heard.len() < count {
        let value = wire.next().await.unwrap_or_else(|| panic!("cut after {heard:?}"));
        heard.push(steady(value.to_string()));
    }
}

async fn up_to_here(wire: &mut Wire, heard: &mut Vec<String>) {
    wire.tell(&format!("ECHO '{MARK}'")).await;
    loop {
        let value = wire.next().await.unwrap_or_else(|| panic!("cut after {heard:?}"));
        let text = steady(value.to_string());
        let is_last = text == MARK;
        heard.push(text);
        if is_last {
            return;
        }
    }
}

/// What Palisade refuses itself as the server would have, with its own words.
pub fn is_own(expected: &str, got: &str) -> bool {
    let word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let is_own = got.contains("palisade: ") || got.contains("are allowed in this context");
    is_own && got.starts_with('-') && word(got) == word(expected)
}

/// The answer to HELLO, without the number of the connection.
pub fn steady(text: String) -> String {
    match (text.contains("server"), text.find(" id"), text.find(" mode")) {
        (true, Some(from), Some(to)) => text[..from].to_owned() + &text[to..],
        _ => text,
    }
}

/// Runs each script both ways, by both protocols, and returns what was heard by RESP2.
async fn same(scripts: &[&Script]) -> Vec<Vec<String>> {
    let front = Front::start().await;
    let mut all = Vec::new();
    for protocol in [2, 3] {
        for script in scripts {
            let [mut direct, mut through] = two(&front, protocol).await;
            let expected = heard(&mut direct, &front.server, script).await;
            drop(direct);
            let got = heard(&mut through, &front.server, script).await;
            assert_eq!(expected.len(), got.len(), "by RESP{protocol}: {script:#?}: {got:#?}");
            for (expected, got) in expected.iter().zip(&got) {
                let is_same = expected == got || is_own(expected, got);
                assert!(is_same, "{expected:?}, {got:?} by RESP{protocol}: {script:#?}");
            }
            if protocol == 2 {
                all.push(got);
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_all_types() {
    let all = same(&[
        &["SET a 1", "GET a", "INCR a", "INCRBYFLOAT a 0.5", "GET none", "SET b ''", "GET b"],
        &["HSET h f v g w", "HGETALL h", "SADD s x", "SMEMBERS s", "SISMEMBER s x"],
        &["ZADD z 1.5 m 2 n", "ZSCORE z m", "ZRANGE z 0 -1 WITHSCORES", "ZADD z INCR 1 m"],
        &["RPUSH l 1 2 3", "LRANGE l 0 -1", "LPOP l 2", "LPOS l 3", "LINDEX l 7"],
        &["XADD x 1-1 f v", "XRANGE x - +", "XREAD COUNT 1 STREAMS x 0", "XINFO STREAM x"],
        &["GEOADD g 13.36 38.11 p", "GEOPOS g p q", "PFADD p a b", "PFCOUNT p"],
        &["LPOP", "NOSUCH a b", "SET a", "SET a 1", "LPOP a", "GET a"],
        &["get a", "gEt a", "SeT a 1", "GET a"],
        &["SET a 'of several\r\nlines\r\n'", "GET a", "SET 'a key' 'a value'", "GET 'a key'"],
        &["OBJECT ENCODING a", "SET a 1", "OBJECT ENCODING a", "OBJECT HELP", "TYPE a", "TTL a"],
        &["COMMAND COUNT", "COMMAND GETKEYS SET a 1", "COMMAND INFO get set", "LASTSAVE"],
        &["EVAL 'return {1, {2, false}, \"x\", redis.status_reply(\"FINE\")}' 1 a"],
        &["EVAL 'redis.setresp(3); return {double=1.5}' 1 a", "GET a"],
        &["EVAL 'return {map={k=1}}' 1 a", "EVAL 'redis.setresp(3); return {set={x=true}}' 1 a"],
        &["EVAL 'redis.setresp(3); return true' 1 a", "EVAL 'return {big_number=\"12\"}' 1 a"],
        &["EVAL 'return {verbatim_string={string=\"x\", format=\"txt\"}}' 1 a", "GET a"],
        &["EVAL 'return redis.error_reply(\"MINE it is\")' 1 a", "EVAL 'syntax error' 1 a"],
    ])
    .await;
    assert_eq!(all[0][..5], ["OK", "1", ":2", "2.5", "nil"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions() {
    let all = same(&[
        &["MULTI", "SET a 1", "GET a", "EXEC", "GET a"],
        &["MULTI", "SET a 1", "DISCARD", "GET a"],
        &["MULTI", "EXEC", "EXEC", "DISCARD", "MULTI", "MULTI", "EXEC"],
        &["MULTI", "SET a", "SET a 1", "EXEC", "GET a"],
        &["MULTI", "NOSUCH a", "SET a 1", "EXEC", "GET a"],
        &["MULTI", "SET a x", "LPOP a", "SET b 1", "EXEC", "GET b"],
        &["WATCH a b", "MULTI", "SET a 1", "EXEC", "UNWATCH", "UNWATCH"],
        &["WATCH a", "SET a 2", "MULTI", "SET a 1", "EXEC", "GET a", "MULTI", "EXEC"],
        &["WATCH a", "SET a 2", "UNWATCH", "MULTI", "SET a 1", "EXEC", "GET a"],
        &["MULTI", "WATCH a", "SET a 1", "EXEC", "GET a"],
        &["MULTI", "BLPOP q 0", "BRPOP q 0", "PING", "ECHO x", "EXEC"],
        &["MULTI", "EVAL 'return redis.call(\"SET\", KEYS[1], 1)' 1 a", "EXEC", "GET a"],
        &["MULTI", "HGETALL h", "HSET h f v", "HGETALL h", "EXEC"],
        &["MULTI", "EXEC now", "DISCARD now", "EXEC", "GET a", "MULTI now", "DISCARD"],
        &["MULTI", ">SET a 1", "exec", "GET a"],
    ])
    .await;
    assert_eq!(all[0][..5], ["OK", "QUEUED", "QUEUED", "[OK, 1]", "1"]);
    assert!(all[3][3].starts_with("-EXECABORT"), "{all:?}");
    assert_eq!(all[7][4..6], ["nil", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_and_functions() {
    const LIBRARY: &str = "FUNCTION LOAD '#!lua name=mine\nredis.register_function{function_name=\
        \"put\", callback=function(k, a) return redis.call(\"SET\", k[1], a[1]) end}\n\
        redis.register_function{function_name=\"look\", callback=function(k, a) return \
        redis.call(\"GET\", k[1]) end, flags={\"no-writes\"}}'";
    let all = same(&[
        &["EVAL 'return redis.call(\"SET\", KEYS[1], ARGV[1])' 1 a 5", "GET a"],
        &["SCRIPT LOAD 'return 7'", "EVALSHA a3e6fe3dc7fd9a2fdcf0a1f3d2d2d7f1c2d0b2a1 0"],
        &["SCRIPT LOAD 'return 1'", "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 a"],
        &["SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "SCRIPT HELP"],
        &["SET a 3", "EVAL_RO 'return redis.call(\"GET\", KEYS[1])' 1 a"],
        &["EVAL_RO 'return redis.call(\"SET\", KEYS[1], 1)' 1 a", "GET a"],
        &["EVAL 'return 1' x a", "EVAL 'return 1' -1", "EVAL 'return 1' 7 a", "EVAL 'return 1'"],
        &["EVAL 'return redis.call(\"SET\", \"hidden\", 1)' 0", "GET hidden"],
        &[LIBRARY, "FCALL put 1 a 9", "FCALL_RO look 1 a", "FCALL_RO put 1 a 9"],
        &[LIBRARY, LIBRARY, "FUNCTION LIST", "FUNCTION DELETE mine", "FCALL put 1 a 9"],
    ])
    .await;
    assert_eq!(all[0][..2], ["OK", "5"]);
    assert_eq!(all[8][..3], ["mine", "OK", "9"]);
    assert!(all[5][0].starts_with("-ERR Write commands are not allowed"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_and_the_shape_of_commands() {
    let all = same(&[
        &["SET a 0", "SELECT 1", "GET a", "SET a 1", "SELECT 0", "GET a"],
        &["SELECT 99", "SELECT x", "SELECT", "SET a 1", "GET a"],
        &["SET a 1", "MOVE a 1", "GET a", "SELECT 1", "GET a", "COPY a b DB 0", "SWAPDB 0 1"],
        &[">SET a 1", ">GET a", ">  GET   a  ", ">", ">PING \"a b\"", ">set \"a\" 'x y'", "GET a"],
        &[">SET a \"\\x41\\n\\\"\"", "GET a", ">GET a"],
        &["PING", "PING hello", "PING a b", "ECHO x"],
        &["CLIENT GETNAME", "CLIENT SETNAME mine", "CLIENT GETNAME"],
        &["CLIENT SETNAME mine", "CLIENT SETNAME ''", "CLIENT GETNAME", "CLIENT NOSUCH"],
        &["CLIENT NO-TOUCH on", "CLIENT SETINFO LIB-NAME x", "CLIENT HELP", "CLIENT GETREDIR"],
        &["HELLO 2", "HELLO 4", "HELLO x", "HELLO 2 SETNAME", "HELLO 2 WHAT", "GET a"],
        &["SET a 1", "KEYS *", "DBSIZE", "RANDOMKEY x", "EXISTS a b", "DEL a b"],
        &["SORT l", "RPUSH l 3 1 2", "SORT l", "SORT l DESC STORE m", "LRANGE m 0 -1"],
    ])
    .await;
    assert_eq!(all[0][..6], ["OK", "OK", "nil", "OK", "OK", "0"]);
    assert_eq!(all[3].len(), 7, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocking_commands() {
    let all = same(&[
        &["BLPOP q r 0", "&cmd=blpop&RPUSH q one two", "BLPOP q 0"],
        &["BLPOP q 0.1", "BRPOP q 0.1", "BLMOVE q r LEFT LEFT 0.1", "BZPOPMIN z 0.1"],
        &["BLMOVE q r LEFT RIGHT 0", "&cmd=blmove&RPUSH q one", "LRANGE r 0 -1"],
        &["BRPOPLPUSH q r 0", "PING", "&cmd=brpoplpush&RPUSH q one", "BLMPOP 0.1 1 q LEFT"],
        &["BZPOPMIN z 0", "SET a 1", "&cmd=bzpopmin&ZADD z 1 m", "BZMPOP 0.1 1 z MIN"],
        &["XREAD BLOCK 0 STREAMS x $", "GET a", "&cmd=xread&XADD x 7-1 f v", "XLEN x"],
        &[
            "XGROUP CREATE x g $ MKSTREAM",
            "XREADGROUP GROUP g c BLOCK 0 STREAMS x >",
            "&cmd=xreadgroup&XADD x 7-1 f v",
            "XACK x g 7-1",
            "XREADGROUP GROUP g c BLOCK 50 STREAMS x >",
        ],
        &["BLPOP q -1", "BLPOP q x", "BLPOP", "SET q 1", "BLPOP q 0", "WAIT 0 10"],
    ])
    .await;
    assert_eq!(all[0][..2], ["[q, one]", "[q, two]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published() {
    let all = same(&[
        &["SUBSCRIBE a b", "&sub=2&PUBLISH a paper", "UNSUBSCRIBE", "GET x"],
        &["PSUBSCRIBE n.*", "&psub=1&PUBLISH n.1 paper", "PUNSUBSCRIBE n.*", "SET x 1"],
        &["SSUBSCRIBE s", "&ssub=1&SPUBLISH s paper", "SUNSUBSCRIBE s", "GET x"],
        &["UNSUBSCRIBE", "UNSUBSCRIBE a b", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "GET x"],
        &[
            "SUBSCRIBE a",
            "SUBSCRIBE a",
            "PSUBSCRIBE a",
            "PING",
            "PING x",
            "UNSUBSCRIBE a",
            "PUNSUBSCRIBE",
        ],
        &["SUBSCRIBE a", "GET x", "SET x 1", "UNSUBSCRIBE", "PUNSUBSCRIBE", "GET x"],
        &["PUBLISH a nobody", "SUBSCRIBE", "PUBSUB CHANNELS", "PUBSUB NUMSUB a"],
        &["SUBSCRIBE a", "&sub=1&PUBLISH a one", "UNSUBSCRIBE a", "SUBSCRIBE b", "UNSUBSCRIBE"],
        &["SUBSCRIBE a", "ECHO x", "PING", "UNSUBSCRIBE"],
        // Out of RESP3 with a subscription: messages are arrays from then on.
        &["SUBSCRIBE a", "HELLO 2", "&heard=2&PUBLISH a one", "PING", "UNSUBSCRIBE", "GET x"],
    ])
    .await;
    assert_eq!(all[0][..3], ["[subscribe, a, :1]", "[subscribe, b, :2]", "[message, a, paper]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tracked() {
    let front = Front::start().await;
    let script: &[&str] = &[
        "CLIENT TRACKING on",
        "GET a",
        "&SET a 2",
        "GET a",
        "CLIENT TRACKINGINFO",
        "CLIENT TRACKING off",
        "CLIENT TRACKING on BCAST PREFIX n:",
        "&SET n:1 1",
        "&SET m:1 1",
        "CLIENT TRACKING off",
        "CLIENT TRACKING on OPTIN",
        "CLIENT CACHING yes",
        "GET a",
        "GET b",
        "&MSET a 3 b 3",
    ];
    let [mut direct, mut through] = two(&front, 3).await;
    let expected = heard(&mut direct, &front.server, script).await;
    drop(direct);
    let got = heard(&mut through, &front.server, script).await;
    assert_eq!(expected, got);
    assert!(got.iter().any(|text| text == ">[invalidate, [a]]"), "{got:?}");
}

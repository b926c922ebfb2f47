//! What is explained of a command for Redis.

use super::*;

const CONFIG: &str = r#"
ledger.embedded.path = "ledger.redb"
upstreams.plain.endpoints = "http://127.0.0.1:9000"
[upstreams.server]
endpoints = "redis://127.0.0.1"
redis.password_file = "secret"
[upstreams.open]
endpoints = "unix:/run/redis/redis.sock"
[listeners.web]
protocol = "http"
listen = "127.0.0.1:9444"
upstream = "plain"
tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
[listeners.queue]
protocol = "redis"
listen = "127.0.0.1:6380"
upstream = "server"
tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
[listeners.whole]
protocol = "redis"
listen = "127.0.0.1:6381"
upstream = "open"
tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
[[resources]]
name = "jobs"
listeners = ["queue"]
keys = "jobs:{queue}:*"
resource = "jobs/{queue}"
write = ["db/*", "guest"]
raise = ["db/*"]
read = ["**"]
drain = "7s"
[[resources]]
name = "state"
listeners = ["queue"]
keys = "state*"
databases = [0]
resource = "state"
write = ["db/*"]
read = ["db/*"]
reads = "token"
scripts = "refuse"
[[resources]]
name = "whole"
listeners = ["whole"]
resource = "whole"
write = ["db/*"]
read = ["**"]
administer = ["ops"]
"#;

fn config() -> Config {
    Fixture::new().parse(CONFIG).expect("a valid configuration").0
}

#[test]
fn a_fenced_write() {
    let expected = r#"
SET jobs:mail:1 x as db/a on listener queue (redis, upstream server)
  command       SET, in database 0
  becomes       sent, and it counts from then on until the server has answered; between MULTI and EXEC it counts when EXEC is sent
  writes        jobs/mail
  rule          jobs (keys jobs:{queue}:*)
  resource      jobs/mail (from jobs/{queue})
  may read      yes, by **
  may write     yes, by db/*
  may raise     yes, by db/*
  asked         token 42 against the mark
                  below it: refused as stale, with -FENCED
                  equal: sealed, then admitted if db/a brought it first, else refused as conflict
                  above it: a takeover: the mark is raised, older writes settle, then sealed, then admitted (more than 281474976710656 above the mark: refused as implausible)
  takeover      ends it: at once when it waits for no answer, or for others (CLIENT UNBLOCK); what runs is given 7s, then the server kills it (CLIENT KILL) and is waited for; a new leader waits 10s a try
  guarantee     fenced: G1 to G4 and G6 are kept through pauses, partitions and crashes of writers and of Palisade; G5 does not arise: the embedded ledger serves one process
                the server itself says when the connections of an older leader are gone, after an unclean restart too: no time is waited out
                not kept: what the server itself loses, at a failover to a replica that lacks it or by a crash before it was on disk; it is noticed and told
                an invented token is bounded by `max_jump` (281474976710656) and by who may raise
                Palisade logs in: kept as long as nobody else can log in as a user who may write
"#;
    let text = explain(&config(), &args("SET jobs:mail:1 x", "db/a", "queue", "42")).expect("text");
    assert_eq!(text.trim(), expected.trim());
}

#[test]
fn what_decides() {
    let config = config();
    let check = |command: &str, identity: &str, token: &str, expected: &[&str]| {
        find(&config, &args(command, identity, "queue", token), expected);
    };
    let refused = "guarantee     refused: nothing reaches the server";

    check(
        "GET jobs:a:1",
        "x",
        "",
        &[
            "GET, in",
            "becomes       sent\n",
            "reads         jobs/a",
            "asked         nothing",
            "open read",
        ],
    );
    check("GET jobs:a:1", "x", "3", &["sealed, then sent", "sealed read"]);
    check(
        "SET jobs:a:1 x",
        "db/a",
        "",
        &["-NOTOKEN: a write needs a token", "concerns      jobs/a", refused],
    );
    check("GET state", "db/a", "", &["-NOTOKEN: everything under this rule needs", refused]);
    check(
        "SET jobs:a:1 x",
        "x",
        "3",
        &["-NOPERM", "concerns      jobs/a", "may write     no: no glob", refused],
    );
    check("SET jobs:a:1 x", "guest", "3", &["above it: refused as forbidden"]);
    check(
        "SET other x",
        "db/a",
        "3",
        &["-NOPERM: no rule covers \"other\" in database 0", refused],
    );
    check(
        "RENAME jobs:a:1 jobs:b:1",
        "db/a",
        "3",
        &["writes        jobs/a", "writes        jobs/b"],
    );
    check("COPY jobs:a:1 jobs:b:1", "db/a", "3", &["reads         jobs/a", "writes        jobs/b"]);
    check(
        "BLPOP jobs:a:1 0",
        "db/a",
        "3",
        &["a takeover ends the wait at once", "writes        jobs/a"],
    );
    check("EVAL x 1 state", "db/a", "3", &["-NOPERM: the rule refuses scripts", refused]);
    check("EVAL x 1 jobs:a:1", "db/a", "3", &["EVAL, in", "writes        jobs/a"]);
    check("FLUSHALL", "db/a", "3", &["-NOPERM: FLUSHALL writes to everything, and ", refused]);
    check(
        "FROBNICATE",
        "db/a",
        "3",
        &["unknown, so it counts as a write to everything", "-NOPERM"],
    );
    check("CONFIG GET x", "db/a", "3", &["CONFIG GET, in", "-NOPERM", refused]);
    check("PING", "nobody", "", &["becomes       sent\n", "no resource: nothing is asked"]);
    check("AUTH token=3 x", "nobody", "", &["a user name `token=N` brings a token"]);
    check("PALISADE STATUS", "nobody", "", &["Palisade answers it; the server"]);
    check("MULTI", "nobody", "", &["admitted when EXEC is sent"]);
    check("SET \"jobs:a b:1\" x", "db/a", "3", &["writes        jobs/a b"]);

    let whole = |command: &str, identity: &str, token: &str, expected: &[&str]| {
        find(&config, &args(command, identity, "whole", token), expected);
    };
    whole(
        "FLUSHALL",
        "db/a",
        "3",
        &["writes        whole", "nobody but Palisade reach the server"],
    );
    whole("FROBNICATE", "db/a", "3", &["unknown, so it", "writes        whole"]);
    whole("CONFIG GET x", "ops", "", &["CONFIG GET", "becomes       sent", "no resource"]);
}

#[test]
fn which_listener_is_meant() {
    let config = config();
    let of = |command: &str, database: Option<&str>| Args {
        database: database.map(str::to_owned),
        ..args(command, "db/a", "", "3")
    };
    find(&config, &of("SET state x", None), &["on listener queue", "on listener whole"]);
    find(
        &config,
        &of("SET state x", Some("2")),
        &["no rule covers \"state\" in database 2", "whole"],
    );
    find(&config, &of("GET /a", None), &["on listener web"]);
    let check = |args: Args, expected: &str| {
        let error = explain(&config, &args).expect_err("an error");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        Args { user: Some("u".to_owned()), ..of("GET a", None) },
        "no listener speaks PostgreSQL",
    );
    let named = |args: Args| Args { listener: Some("queue".to_owned()), ..args };
    check(Args { user: Some("u".to_owned()), ..named(of("GET a", None)) }, "leave --user and");
    check(named(of("GET a", Some("x"))), "the database of Redis is a number");
    check(named(of("GET \"a", None)), "quote that is not closed");
    check(named(of(" ", None)), "write the command as one argument");
    let headers = vec![request::header("a: b").expect("a header")];
    check(Args { headers, ..named(of("GET a", None)) }, "leave --header out");
    let queue = config.listeners.iter().filter(|it| it.protocol() == "redis").cloned().collect();
    let only = Config { listeners: queue, ..config.clone() };
    let error = explain(&only, &of("GET /a", None)).expect_err("an error");
    assert!(error.to_string().contains("no listener speaks HTTP"), "{error}");
}

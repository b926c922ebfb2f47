//! What is explained of a session with PostgreSQL.

use super::*;

const CONFIG: &str = r#"
ledger.embedded.path = "ledger.redb"
[upstreams.db]
endpoints = "unix:/run/postgresql"
postgres = { control_role = "palisade", roles = { app = {}, audit = {} } }
[upstreams.open]
endpoints = "unix:/run/postgresql:5433"
postgres = { control_role = "palisade", login = "pass-through" }
[listeners.pg]
protocol = "postgres"
listen = "127.0.0.1:6432"
upstream = "db"
tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
[listeners.own]
protocol = "postgres"
listen = "127.0.0.1:6433"
upstream = "open"
tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
[[resources]]
name = "shards"
path = "/orders/app/shard-{shard}"
resource = "orders/{shard}"
write = ["db/*", "guest"]
raise = ["db/*"]
read = ["**"]
[[resources]]
name = "orders"
path = "/orders/{user}"
resource = "orders"
role = "app"
write = ["db/*", "blind"]
read = ["db/*", "view/*"]
drain = "7s"
[[resources]]
name = "stock"
path = "/stock/{user}"
resource = "stock"
write = ["db/*"]
read = ["db/*"]
reads = "token"
"#;

fn config() -> Config {
    Fixture::new().parse(CONFIG).expect("a valid configuration").0
}

fn of(database: &str, user: &str, identity: &str, token: &str) -> Args {
    Args {
        database: Some(database.to_owned()),
        user: Some(user.to_owned()),
        ..args("SELECT 1", identity, "pg", token)
    }
}

#[test]
fn a_fenced_session() {
    let expected = r#"
SELECT 1 as db/a on listener pg (postgres, upstream db)
  asks for      /orders/anna
  rule          orders (path /orders/{user})
  resource      orders (from orders, user = anna)
  may read      yes, by db/*
  may write     yes, by db/*
  may raise     yes, by db/*
  role          app: Palisade logs in as it; the client has no password
  session       fenced: each batch is admitted before it is sent, and has settled when the server is idle again
  asked         token 42 against the mark
                  below it: stale: a session that may only read
                  equal: sealed, then logged in if db/a brought it first, else refused as conflict
                  above it: a takeover: the mark is raised, older writes settle, then sealed, then logged in (more than 281474976710656 above the mark: refused as implausible)
  statement     goes to the server: it counts from the moment when it is sent; within a transaction COMMIT does
                in a session that may only read: goes to the server: a read
  takeover      ends it: at once when it runs nothing, and an open transaction is rolled back; what runs is given 7s, then cancelled, then ended by the server, and waited for; a new leader waits 10s a try
  guarantee     fenced: G1 to G4 and G6 are kept through pauses, partitions and crashes of writers and of Palisade; G5 does not arise: the embedded ledger serves one process
                the server itself says when the sessions of an older leader are gone, after an unclean restart too: no time is waited out
                an invented token is bounded by `max_jump` (281474976710656) and by who may raise
                Palisade logs in: kept as long as nobody else can log in as a role that may write
"#;
    let text = explain(&config(), &of("orders", "anna", "db/a", "42")).expect("text");
    assert_eq!(text.trim(), expected.trim());
}

#[test]
fn what_decides() {
    let config = config();
    let check = |args: Args, expected: &[&str]| find(&config, &args, expected);
    let refused = "guarantee     refused: nothing reaches the server";

    check(of("orders", "u", "db/a", ""), &["may only read", "asked         nothing", "open read"]);
    check(of("orders", "u", "view/a", "3"), &["no: no glob", "may only read", "sealed read"]);
    check(of("orders", "u", "blind", ""), &["FATAL PF004: a token is required", refused]);
    check(of("orders", "u", "blind", "3"), &["fenced", "below it: refused as stale"]);
    check(of("orders", "u", "x", "3"), &["FATAL PF006: x may neither", "no: no glob", refused]);
    check(of("other", "u", "db/a", "3"), &["FATAL PF006: no rule matches", "rule          none"]);
    check(of("stock", "app", "db/a", ""), &["FATAL PF004", "may read      yes", refused]);
    check(of("stock", "app", "db/a", "3"), &["role          app", "below it: refused as stale"]);
    let held = "FATAL PF006: Palisade does not hold the role bob; it holds app, audit";
    check(of("stock", "bob", "db/a", "3"), &[held, refused]);
    let own = Args { listener: Some("own".to_owned()), ..of("stock", "bob", "db/a", "3") };
    check(own, &["bob: the client logs in itself", "nobody but Palisade reach the server"]);
    let beyond = "9223372036854775808";
    check(of("orders", "u", "db/a", beyond), &["FATAL PF003", refused]);
    let resource = |name: &str, identity: &str| Args {
        resource: Some(name.to_owned()),
        ..of("orders", "app", identity, "3")
    };
    check(
        resource("shard-7", "guest"),
        &["asks for      /orders/app/shard-7", "orders/7 (from", "above it: refused as forbidden"],
    );
    check(resource("x", "db/a"), &["PF006: no rule matches", refused]);
    for name in ["", "/a", "a/", "a//b"] {
        check(resource(name, "db/a"), &["FATAL 08P01: `palisade.resource` is empty", refused]);
    }
    check(of("or/ders", "app", "db/a", "3"), &["FATAL 08P01: the name of a database", refused]);
    // The database is called as the user where nothing else is said.
    let bare = Args { database: None, ..of("", "orders", "db/a", "3") };
    check(bare, &["asks for      /orders/orders"]);
    // All listeners that are meant.
    let all = Args { listener: None, ..of("orders", "u", "db/a", "3") };
    check(all, &["on listener pg", "on listener own"]);
}

#[test]
fn how_statements_count() {
    let config = config();
    let check = |statement: &str, token: &str, expected: &[&str]| {
        let args = Args { request: statement.to_owned(), ..of("orders", "u", "db/a", token) };
        find(&config, &args, expected);
    };

    let reads = "statement     goes to the server: ";
    check("SELECT 1", "", &[&format!("{reads}a read")]);
    check("BEGIN", "", &[&format!("{reads}it begins a transaction that only reads")]);
    check("COMMIT", "", &[&format!("{reads}it ends the transaction")]);
    check("DELETE FROM t", "", &["statement     refused, PF009: this session only reads, and "]);
    check("SELECT nextval('s')", "", &["statement     refused, PF009: ", "nextval"]);
    let other = "in a session that may only read: refused, PF009";
    check("DELETE FROM t", "3", &[reads, "it counts from", other]);
    let sealed = "Palisade answers it, once the resource is sealed with token 43";
    check("SET palisade.token = '43'", "", &[sealed]);
    check("SHOW palisade.mark", "3", &["Palisade answers it, with the high-water mark"]);
    check("RESET palisade.token", "3", &["statement     refused, PF010: "]);
    let long = format!("SELECT '{}'", "x".repeat(64 * 1024));
    check(&long, "", &["statement     refused, PF009: a statement is longer than 65536 bytes"]);
    check(&long, "3", &["so it is not looked at", "in a session that may only read: refused"]);
}

#[test]
fn what_cannot_be_explained() {
    let (config, web) = (config(), super::config());
    let check = |config: &Config, args: Args, expected: &str| {
        let error = explain(config, &args).expect_err("an error");
        assert!(error.to_string().contains(expected), "{error}");
    };

    check(&config, args("SELECT 1", "x", "pg", ""), "say whom a client asks to be with --user");
    check(&config, args("SELECT 1", "x", "", ""), "all listeners speak PostgreSQL");
    check(&config, args("SELECT 1", "x", "no", ""), "there are: pg, own");
    let headers = vec![request::header("a: b").expect("a header")];
    check(&config, Args { headers, ..of("a", "b", "x", "") }, "leave --header out");
    let of_web = |listener: &str| Args {
        listener: (!listener.is_empty()).then(|| listener.to_owned()),
        ..of("a", "b", "x", "")
    };
    check(&web, of_web("web"), "listener web speaks http: leave --database");
    check(&web, of_web(""), "no listener speaks PostgreSQL");
}

#[test]
fn a_long_statement_is_cut() {
    let request = format!("SELECT\n  {}", "1, ".repeat(100));
    let args = Args { request, ..of("orders", "u", "db/a", "3") };
    let text = explain(&config(), &args).expect("text");
    let first = text.lines().next().expect("a line");
    assert!(first.starts_with("SELECT 1, 1,") && first.len() < 160, "{first}");
}

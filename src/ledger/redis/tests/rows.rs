//! Compare-and-swap, reading and listing.

use super::rig::{Server, begun, change, done, resource, settings, swap};
use crate::fence::SessionId;
use crate::ledger::replicated::store::{Store, Stored, Swapped};

fn stored(text: &str, version: u64) -> Stored {
    Stored { text: text.as_bytes().to_vec(), version }
}

#[tokio::test]
async fn a_row_changes_only_from_the_version_that_is_there() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let read = async || Store::read(&*ledger, &resource("a")).await.expect("it is read");
    assert_eq!(read().await, None);
    assert_eq!(swap(&ledger, &session, "a", 7, "x").await, Swapped::Differs(None));
    let first = done(swap(&ledger, &session, "a", 0, "one").await);
    assert_eq!(read().await, Some(stored("one", first)));
    let differs = Swapped::Differs(Some(stored("one", first)));
    for expected in [0, first - 1, first + 1] {
        assert_eq!(swap(&ledger, &session, "a", expected, "x").await, differs);
    }
    let second = done(swap(&ledger, &session, "a", first, "two \u{e9}\0\r\n").await);
    assert!(second > first);
    assert_eq!(read().await, Some(stored("two \u{e9}\0\r\n", second)));
    // Over all rows, and near the end of what a double tells apart.
    server.ask(&["SET", "palisade:v1:{test}:generation", "9007199254740000"]);
    let third = done(swap(&ledger, &session, "b", 0, "three").await);
    assert_eq!(third, 9_007_199_254_740_001);
    assert_eq!(
        swap(&ledger, &session, "b", third + 1, "x").await,
        Swapped::Differs(Some(stored("three", third)))
    );
    assert_eq!(done(swap(&ledger, &session, "b", third, "four").await), third + 1);
}

#[tokio::test]
async fn one_that_loses_in_a_batch_stops_no_other() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let b = done(swap(&ledger, &session, "b", 0, "b1").await);
    let batch = [change("a", 0, "a1"), change("b", 0, "b2"), change("c", 0, "c1")];
    let answers = Store::swap(&*ledger, &session, &batch).await;
    let expected =
        [Swapped::Done(b + 1), Swapped::Differs(Some(stored("b1", b))), Swapped::Done(b + 2)];
    assert_eq!(answers, expected);
    assert_eq!(Store::swap(&*ledger, &session, &[]).await, []);
    let many: Vec<_> =
        (0..ledger.swaps_max()).map(|number| change(&format!("m{number}"), 0, "m")).collect();
    let answers = Store::swap(&*ledger, &session, &many).await;
    assert!(answers.into_iter().all(|it| matches!(it, Swapped::Done(_))));
}

#[tokio::test]
async fn nothing_changes_without_a_session_that_is_alive() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let nobody = SessionId::new("r1", session.number() + 1);
    assert_eq!(swap(&ledger, &nobody, "a", 0, "x").await, Swapped::NoSession);
    Store::end(&*ledger, &session).await.expect("it ends");
    assert_eq!(swap(&ledger, &session, "a", 0, "x").await, Swapped::NoSession);
    assert_eq!(Store::read(&*ledger, &resource("a")).await.expect("it is read"), None);
}

#[tokio::test]
async fn of_many_at_once_one_wins() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let racing = (0..20).map(|_| swap(&ledger, &session, "a", 0, "x"));
    let answers = futures_util::future::join_all(racing).await;
    let won = answers.iter().filter(|it| matches!(it, Swapped::Done(_))).count();
    let lost = answers.iter().filter(|it| matches!(it, Swapped::Differs(Some(_)))).count();
    assert_eq!((won, lost), (1, 19));
}

#[tokio::test]
async fn rows_are_listed_in_the_order_of_their_bytes_each_namespace_for_itself() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let other = crate::ledger::redis::Settings { namespace: "other".into(), ..settings(&server) };
    let (other, stranger) = begun(other, "r1").await;
    assert_eq!(stranger.number(), session.number());
    let names = ["B", "a", "a/b", "[b", "z", "\u{e9}", "(", "+"];
    for name in names {
        done(swap(&ledger, &session, name, 0, name).await);
    }
    done(swap(&other, &stranger, "q", 0, "q").await);
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let list = async |after: Option<&str>, max| {
        let rows = Store::list(&*ledger, after, max).await.expect("it is listed");
        assert!(rows.iter().all(|(name, row)| row.text == name.as_str().as_bytes()));
        rows.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 100).await, sorted);
    assert_eq!(list(None, 2).await, sorted[..2]);
    assert_eq!(list(Some("B"), 3).await, sorted[3..6]);
    assert_eq!(list(Some("aa"), 100).await, sorted[6..]);
    assert_eq!(list(Some("\u{e9}"), 100).await, [""; 0]);
    assert_eq!(Store::list(&*other, None, 9).await.expect("it is listed").len(), 1);
    assert_eq!(Store::read(&*other, &resource("a")).await.expect("it is read"), None);
}

/// With the commands that the module's documentation gives.
#[tokio::test]
async fn people_read_it_with_redis_cli() {
    let server = Server::durable();
    let (ledger, session) = begun(settings(&server), "r1").await;
    let version = done(swap(&ledger, &session, "orders/1", 0, r#"{"mark":"42"}"#).await);
    let type_in = |words: &str| {
        let mut command = std::process::Command::new("redis-cli");
        command.args(["-p", &server.port().to_string()]).args(words.split(' '));
        let output = command.output().expect("no redis-cli: install it (Debian: redis-tools)");
        String::from_utf8(output.stdout).expect("a text")
    };
    let key = |name: &str| format!("palisade:v1:{{test}}:{name}");
    assert_eq!(type_in(&format!("zrange {} 0 -1", key("rows"))), "orders/1\n");
    assert_eq!(type_in(&format!("hget {} text", key("row:orders/1"))), "{\"mark\":\"42\"}\n");
    assert_eq!(type_in(&format!("zrange {} 0 -1", key("sessions"))), "r1#1\n");
    let left = type_in(&format!("pttl {}", key("session:r1#1")));
    assert!(left.trim().parse::<u64>().is_ok_and(|left| left > 1000), "{left}");
    assert_eq!(type_in(&format!("get {}", key("frozen"))), "\n");
    let log = type_in(&format!("xrevrange {} + - count 1", key("log")));
    assert!(log.starts_with(&format!("{version}-0\nby\n")), "{log}");
    assert!(log.ends_with("\nrow\norders/1\ntext\n{\"mark\":\"42\"}\n"), "{log}");
}

#[test]
fn a_namespace_is_a_plain_word() {
    let server = Server::durable();
    for (name, is_fit) in [("prod/eu-1", true), ("", false), ("a}b", false), ("a b", false)] {
        let settings =
            crate::ledger::redis::Settings { namespace: name.into(), ..settings(&server) };
        assert_eq!(crate::ledger::redis::Redis::new(settings).is_ok(), is_fit, "{name}");
    }
}

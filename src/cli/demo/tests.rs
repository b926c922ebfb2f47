//! The story on the ways that do not need Palisade, and the judgement over it.

use http::StatusCode;

use super::client::Client;
use super::naive;
use super::story::{BUCKET, Play, Seal, TOKEN_A, TOKEN_B};
use super::telling::{Outcome, judge};
use crate::cli::store;

async fn play(is_compared: bool) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let settings = store::Settings {
        dir: dir.path().to_owned(),
        buckets: vec![BUCKET.to_owned()],
        ..store::Settings::default()
    };
    let loopback = "127.0.0.1:0".parse().unwrap();
    let store = store::serve(settings, loopback).await.unwrap();
    let naive = naive::serve(store.address(), loopback).await.unwrap();
    let (seal, address) = match is_compared {
        true => (Seal::Noted, naive.address()),
        false => (Seal::Nothing, store.address()),
    };
    let mut play =
        Play::new(seal, Client::new(address, None, TOKEN_A), Client::new(address, None, TOKEN_B));
    play.a_writes().await.unwrap();
    play.a_freezes().await.unwrap();
    play.b_seals().await.unwrap();
    play.b_reads().await.unwrap();
    play.b_writes().await.unwrap();
    if is_compared {
        let late = play.a_writes().await.unwrap_err().to_string();
        assert!(late.contains("412"), "what arrives late is seen: {late}");
        play.b_reads().await.unwrap();
    }
    play.a_thaws().await.unwrap();
    play.count().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_are_lost_without_a_fence_and_with_a_check_on_arrival() {
    for is_compared in [false, true] {
        let outcome = play(is_compared).await;
        let expected =
            Outcome { accepted: 7, stored: 4, lost: 3, late: StatusCode::OK.to_string() };
        assert_eq!(outcome, expected, "compared: {is_compared}");
    }
}

#[test]
fn the_story_is_judged_by_what_it_shows() {
    let outcome = |[accepted, stored, lost]: [usize; 3], late: &str| Outcome {
        accepted,
        stored,
        lost,
        late: late.to_owned(),
    };
    let (lost, kept) = (outcome([7, 4, 3], "UPDATE 1"), outcome([6, 6, 0], "PF001"));
    let silent = outcome([6, 6, 0], "57P01");
    let check = |outcomes: [&Outcome; 3], is_fine: bool| {
        let outcomes = outcomes.map(Outcome::clone);
        assert_eq!(judge(&outcomes, "PF001").is_ok(), is_fine, "{outcomes:?}");
    };
    check([&lost, &lost, &kept], true);
    check([&lost, &lost, &lost], false);
    check([&lost, &lost, &silent], false);
    check([&kept, &lost, &kept], false);
    check([&lost, &kept, &kept], false);
}

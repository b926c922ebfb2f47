//! A leader, its rule, and what is measured of them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use palisade::fence::{Holder, Mark, Resource, Token, TokenRules};
use palisade::gate::{Bid, Gate};
use palisade::net::identity::{Identity, Peer, Source};
use palisade::rules::{
    CommitPoint, Covers, Globs, HolderKind, Pattern, Reads, Rule, Template, Who,
};

/// A whole write.
pub async fn write(gate: &Gate, bid: &Bid) {
    let admission = gate.admit(bid).await.expect("admitted");
    admission.commit().expect("nobody takes over");
    admission.settle();
}

/// Says how many there were a second.
pub fn report(what: &str, count: usize, took: Duration) {
    let nanos = took.as_nanos() / count as u128;
    println!("{what}: {:.0} a second ({nanos} ns each)", count as f64 / took.as_secs_f64());
}

/// Of this process.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number") * 4096
}

/// A request for a resource.
pub fn bid(resource: &str, token: u64) -> Bid {
    thread_local! {
        static SHARED: (Arc<Rule>, Peer, Holder) = (Arc::new(rule()), peer(), Holder::new("a"));
    }
    SHARED.with(|(rule, peer, holder)| Bid {
        resource: Resource::new(resource).expect("a name"),
        rule: Arc::clone(rule),
        claim: Mark { token: Token::new(0, token), holder: holder.clone() },
        peer: peer.clone(),
        wait: Duration::from_secs(60),
    })
}

fn peer() -> Peer {
    let identity = Identity {
        name: "a".into(),
        source: Source::Cn,
        serial: "01".into(),
        fingerprint: "ab".into(),
        not_after: SystemTime::now(),
    };
    Peer { identity: Arc::new(identity), address: ([127, 0, 0, 1], 1).into() }
}

fn rule() -> Rule {
    let pattern = Pattern::parse("/orders/**").expect("a pattern");
    let everybody = || Globs::new(["**"]).expect("a glob");
    Rule {
        name: "orders".into(),
        resource: Template::parse("orders", &pattern).expect("a template"),
        covers: Covers::Paths(pattern),
        who: Who { read: everybody(), write: everybody(), raise: everybody(), ..Who::default() },
        reads: Reads::Open,
        tokens: TokenRules::default(),
        holder: HolderKind::Identity,
        commit_point: CommitPoint::LastByte,
        // What a dead replica has left counts as settled once its session is over: what is
        // measured is the ledger.
        settle_timeout: Duration::ZERO,
        takeover_timeout: Duration::from_secs(60),
        sessions: palisade::rules::Sessions::default(),
    }
}

//! Which guarantee a route has and why, by the last table of the contract.

use crate::config::{Ledger, show_duration};
use crate::fence::{Action, Token};
use crate::protocol::http::{Flavor, Listener, s3};
use crate::protocol::postgres::{self, upstream::Login};
use crate::protocol::redis;
use crate::rules::{Reads, Rule};

/// Of a request that is refused whatever the mark is.
pub(super) const REFUSED: &str = "refused: nothing reaches the store";

/// Of a session that is refused.
pub(super) const NO_SESSION: &str = "refused: nothing reaches the server";

const KEPT: &str = "fenced: G1 to G4 and G6 are kept through pauses, partitions and crashes of \
                    writers and of Palisade; G5 does not arise: the embedded ledger serves one process";
const KEPT_SHARED: &str = "fenced: G1 to G6 are kept through pauses, partitions and crashes of \
                           writers, of replicas of Palisade and of single members of the ledger, \
                           across all replicas that share it";
const SEALED: &str =
    "sealed read (G2): it sees every write of older leaders, and none lands after it";
const OPEN: &str = "open read: not fenced; a write of an older leader may still land after it, so a \
                    new leader brings its token with its first read";

/// That writes are fenced, and what the ledger adds to that.
fn kept(ledger: &Ledger) -> Vec<String> {
    let Some(session) = ledger.session() else { return vec![KEPT.to_owned()] };
    let (admits, ttl) = (show_duration(session.admits_for()), show_duration(session.ttl));
    let mut sentences = vec![
        KEPT_SHARED.to_owned(),
        format!(
            "when this replica does not reach the ledger ({}), it serves current holders for {admits}, \
             then it refuses writes, retryably; after a crash of a replica a takeover first waits \
             until its session is over, up to {ttl}",
            ledger.place()
        ),
    ];
    if let Ledger::Redis { settings, .. } = ledger {
        let sentence = match settings.accept_loss {
            true => {
                "NOT KEPT when the ledger's Redis loses what it had acknowledged: `accept_loss` \
                     takes a Redis that can, and an old leader may write again"
            }
            false => {
                "not kept when the ledger's Redis loses what it had acknowledged; that is noticed, \
                      and takeovers wait for an operator"
            }
        };
        sentences.push(sentence.to_owned());
    }
    sentences
}

/// A rule on a listener, and the token that is brought there.
pub(super) struct Route<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) listener: &'a Listener,
    pub(super) rule: &'a Rule,
    pub(super) token: Option<Token>,
}

impl Route<'_> {
    /// The class first, then what it rests on.
    pub(super) fn sentences(&self, action: Action) -> Vec<String> {
        if action != Action::Read {
            return self.write();
        }
        let first = match (self.token, self.rule.reads) {
            (Some(_), _) => SEALED,
            (None, Reads::Open) => OPEN,
            (None, Reads::Token) => REFUSED,
        };
        match self.token {
            Some(_) => [vec![first.to_owned()], self.limits()].concat(),
            None => vec![first.to_owned()],
        }
    }

    fn write(&self) -> Vec<String> {
        [kept(self.ledger), self.limits()].concat()
    }

    fn limits(&self) -> Vec<String> {
        let settle = show_duration(self.rule.settle_timeout);
        let mut sentences = vec![
            format!(
                "not kept: a write that the store applies later than {settle} after its last byte \
                 without having answered"
            ),
            match self.ledger.session() {
                None => format!(
                    "after an unclean restart, each resource's first takeover waits {settle} once"
                ),
                Some(session) => format!(
                    "not kept: bytes of a replica that was frozen between its last look at the clock \
                     and sending them, for longer than {}; after a crash of a replica a takeover \
                     waits {settle} once its session is over",
                    show_duration(session.ttl)
                ),
            },
            invented(self.rule),
        ];
        sentences.push(match &self.listener.flavor {
            Flavor::S3(s3::Settings { mode: s3::Mode::ReSign { .. }, .. }) => {
                "Palisade signs for the store: kept as long as no writer has credentials of its own"
                    .to_owned()
            }
            Flavor::S3(s3::Settings { mode: s3::Mode::PassThrough, .. }) => {
                "writers sign for the store themselves: kept only where the network lets nobody \
                 but Palisade reach the store"
                    .to_owned()
            }
            Flavor::Http => "kept only where nobody but Palisade can write to the store".to_owned(),
        });
        sentences.extend(shared(self.rule));
        sentences
    }
}

/// Of a session with PostgreSQL.
pub(super) fn session(
    ledger: &Ledger,
    listener: &postgres::Listener,
    rule: &Rule,
    token: Option<Token>,
    is_fenced: bool,
) -> Vec<String> {
    let first = match (is_fenced, token) {
        (true, _) => kept(ledger),
        (false, Some(_)) => vec![SEALED.to_owned()],
        (false, None) => return vec![OPEN.to_owned()],
    };
    let settled = "the server itself says when the sessions of an older leader are gone, after an \
                   unclean restart too: no time is waited out";
    let around = match listener.upstream.login {
        Login::Held { .. } => {
            "Palisade logs in: kept as long as nobody else can log in as a role that may write"
        }
        Login::PassThrough => {
            "clients log in themselves: kept only where the network lets nobody but Palisade reach \
             the server"
        }
    };
    let mut sentences = first;
    sentences.extend([settled.to_owned(), invented(rule), around.to_owned()]);
    sentences.extend(shared(rule));
    sentences
}

/// Of a command for Redis, and one resource of it.
pub(super) fn command(
    ledger: &Ledger,
    listener: &redis::Listener,
    rule: &Rule,
    token: Option<Token>,
    is_written: bool,
) -> Vec<String> {
    let first = match (is_written, token) {
        (true, _) => kept(ledger),
        (false, Some(_)) => vec![SEALED.to_owned()],
        (false, None) => return vec![OPEN.to_owned()],
    };
    let settled = "the server itself says when the connections of an older leader are gone, after an \
                   unclean restart too: no time is waited out";
    let lost = "not kept: what the server itself loses, at a failover to a replica that lacks it or by \
                a crash before it was on disk; it is noticed and told";
    let upstream = &listener.upstream;
    let shows_certificate = upstream.tls.as_ref().is_some_and(|tls| tls.certificate.is_some());
    let around = match upstream.password.0.is_some() || shows_certificate {
        true => "Palisade logs in: kept as long as nobody else can log in as a user who may write",
        false => "kept only where the network lets nobody but Palisade reach the server",
    };
    let mut sentences = first;
    sentences.extend([settled, lost].map(str::to_owned));
    sentences.extend([invented(rule), around.to_owned()]);
    sentences.extend(shared(rule));
    sentences
}

fn invented(rule: &Rule) -> String {
    let max_jump = rule.tokens.max_jump;
    format!("an invented token is bounded by `max_jump` ({max_jump}) and by who may raise")
}

fn shared(rule: &Rule) -> Option<String> {
    let sentence = "`share_token`: several identities may write under one token, and are not fenced \
                    from each other";
    rule.tokens.share.then(|| sentence.to_owned())
}

/// Of a request that no rule matches.
pub(super) fn unmatched(action: Action, allowed: bool) -> &'static str {
    match (action, allowed) {
        (_, false) => REFUSED,
        (Action::Read, true) => "open read: forwarded, not fenced",
        (Action::Raise | Action::Write, true) => {
            "NONE: forwarded unfenced, because `unmatched.write` says so; no token is asked, and a \
             stale leader's write goes through"
        }
    }
}

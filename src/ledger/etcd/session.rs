//! Sessions: a key that goes with its lease, and a number that is never given out twice.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::client::{Client, Repeat};
use super::failure::{Cause, Failure};
use super::grpc::Method;
use super::keys::{Keys, Named, Span};
use super::swap::{is_at, is_there, put};
use super::wire::{
    Empty, KeyValue, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveResponse, LeaseRequest,
    RangeRequest, RangeResponse, TxnRequest, TxnResponse,
};
use crate::fence::SessionId;
use crate::ledger::Unavailable;
use crate::ledger::replicated::store::{Kept, Session};

/// How often the counter is tried when others begin a session at the same time: so many replicas
/// can start at once.
const BEGIN_ATTEMPTS_MAX: usize = 64;
/// How many sessions are listed at once, at most: far more than there are replicas.
const SESSIONS_MAX: i64 = 10_000;
/// How many leases of own sessions are remembered. A process has one, or two while it changes.
const LEASES_MAX: usize = 16;

/// The leases of the sessions that were begun here.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<BTreeMap<u64, i64>>);

impl Leases {
    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, i64>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }

    fn insert(&self, session: &SessionId, lease: i64) {
        let mut known = self.known();
        known.insert(session.number(), lease);
        while known.len() > LEASES_MAX {
            known.pop_first();
        }
    }

    fn remove(&self, session: &SessionId) {
        self.known().remove(&session.number());
    }

    /// The lease of a session, also of another process's; `None` if there is no such session.
    async fn find(
        &self,
        client: &Client,
        keys: &Keys,
        session: &SessionId,
    ) -> Result<Option<i64>, Failure> {
        if let Some(lease) = self.known().get(&session.number()) {
            return Ok(Some(*lease));
        }
        let found = one(client, keys.session(session)).await?;
        Ok(found.map(|found| found.lease).filter(|lease| *lease != 0))
    }
}

/// What etcd is asked for, in whole seconds: never less than what was asked of us.
fn whole_seconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1)
}

/// Begins a session: a lease, and then the counter and the session's key in one transaction.
pub(super) async fn begin(
    client: &Client,
    keys: &Keys,
    leases: &Leases,
    replica: &str,
    ttl: Duration,
    about: &str,
) -> Result<SessionId, Failure> {
    let wrong = |what: String| Failure { is_undone: true, cause: Cause::Final, what };
    let seconds = whole_seconds(ttl);
    let request = LeaseGrantRequest { ttl: seconds };
    // A lease that was granted without our knowing ends by itself.
    let lease: LeaseGrantResponse =
        client.call(Method::LEASE_GRANT, &request, Repeat::Freely).await?;
    if lease.id == 0 || lease.ttl < seconds || !lease.error.is_empty() {
        let LeaseGrantResponse { ttl, error, .. } = lease;
        return Err(wrong(format!(
            "etcd: it grants a lease of {ttl} s where {seconds} s were asked for {error}"
        )));
    }
    for _ in 0..BEGIN_ATTEMPTS_MAX {
        let counter = one(client, keys.number()).await?;
        let (last, version) = match counter {
            None => (0, 0),
            Some(KeyValue { value, mod_revision, .. }) => {
                let last = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                let last: u64 = last.ok_or_else(|| {
                    let key = String::from_utf8_lossy(&keys.number()).into_owned();
                    wrong(format!("etcd: the value of {key} is not a number; put back what it was"))
                })?;
                (last, u64::try_from(mod_revision).unwrap_or(0))
            }
        };
        let number = last.checked_add(1).ok_or_else(|| {
            wrong("etcd: the numbers for sessions are used up; take another namespace".to_owned())
        })?;
        let session = SessionId::new(replica, number);
        let request = TxnRequest {
            compare: vec![is_at(keys.number(), version)],
            success: vec![
                put(keys.number(), number.to_string().into_bytes(), 0),
                put(keys.session(&session), about.as_bytes().to_vec(), lease.id),
            ],
            failure: vec![],
        };
        let answer: TxnResponse = client.call(Method::TXN, &request, Repeat::Never).await?;
        if answer.succeeded {
            leases.insert(&session, lease.id);
            return Ok(session);
        }
    }
    Err(wrong(format!(
        "etcd: {BEGIN_ATTEMPTS_MAX} others began a session at the same time; try again"
    )))
}

/// Prolongs the lease, and puts what is told of the session, at the same time.
///
/// The lease is prolonged by the leader alone; that the other thing is done shows that the leader
/// still has the others behind it.
pub(super) async fn keep(
    client: &Client,
    keys: &Keys,
    leases: &Leases,
    session: &SessionId,
    about: &str,
) -> Result<Kept, Failure> {
    let Some(lease) = leases.find(client, keys, session).await? else { return Ok(Kept::Gone) };
    let prolonging = async {
        let request = LeaseRequest { id: lease };
        let answer: LeaseKeepAliveResponse =
            client.call(Method::LEASE_KEEP_ALIVE, &request, Repeat::Freely).await?;
        // For a lease that is over there is an answer, too: with nothing left to live.
        Ok(answer.ttl > 0 && answer.id == lease)
    };
    let telling = async {
        let key = keys.session(session);
        let request = TxnRequest {
            compare: vec![is_there(key.clone())],
            success: vec![put(key, about.as_bytes().to_vec(), lease)],
            failure: vec![],
        };
        let answer = client.call::<TxnResponse>(Method::TXN, &request, Repeat::Freely).await;
        match answer {
            Ok(answer) => Ok(answer.succeeded),
            Err(Failure { cause: Cause::LeaseGone, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    };
    let (is_prolonged, is_there) = tokio::join!(prolonging, telling);
    // One that says that it is over is enough.
    if matches!(is_prolonged, Ok(false)) || matches!(is_there, Ok(false)) {
        leases.remove(session);
        return Ok(Kept::Gone);
    }
    is_prolonged.and(is_there).map(|_| Kept::Alive)
}

/// Ends a session at once.
pub(super) async fn end(
    client: &Client,
    keys: &Keys,
    leases: &Leases,
    session: &SessionId,
) -> Result<(), Failure> {
    let Some(lease) = leases.find(client, keys, session).await? else { return Ok(()) };
    let request = LeaseRequest { id: lease };
    match client.call::<Empty>(Method::LEASE_REVOKE, &request, Repeat::Freely).await {
        Ok(Empty {}) | Err(Failure { cause: Cause::LeaseGone, .. }) => {
            leases.remove(session);
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

/// The sessions that are alive.
pub(super) async fn sessions(client: &Client, keys: &Keys) -> Result<Vec<Session>, Unavailable> {
    let Span { from, to } = keys.sessions();
    let request =
        RangeRequest { key: from, range_end: to, limit: SESSIONS_MAX, ..RangeRequest::default() };
    let answer = client.call::<RangeResponse>(Method::RANGE, &request, Repeat::Freely).await;
    let answer = answer.map_err(|failure| Unavailable(failure.what))?;
    if answer.more {
        let what =
            format!("etcd: there are more than {SESSIONS_MAX} sessions; revoke their leases");
        return Err(Unavailable(what));
    }
    let known = answer.kvs.into_iter().filter_map(|kv| match keys.named(&kv.key) {
        Some(Named::Session(id)) => Some(told(id, &kv.value)),
        _ => None,
    });
    Ok(known.collect())
}

/// A session, as its key says.
pub(super) fn told(id: SessionId, value: &[u8]) -> Session {
    Session { id, about: String::from_utf8_lossy(value).into_owned() }
}

/// One key, as it is now.
pub(super) async fn one(client: &Client, key: Vec<u8>) -> Result<Option<KeyValue>, Failure> {
    let request = RangeRequest { key, ..RangeRequest::default() };
    let answer: RangeResponse = client.call(Method::RANGE, &request, Repeat::Freely).await?;
    Ok(answer.kvs.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_never_shorter_than_the_session() {
        for (ms, seconds) in [(1, 1), (999, 1), (1000, 1), (1001, 2), (15_000, 15), (0, 1)] {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds, "{ms} ms");
        }
    }

    #[test]
    fn few_leases_are_remembered() {
        let leases = Leases::default();
        for number in 0..100 {
            leases.insert(&SessionId::new("r1", number), 7);
        }
        assert_eq!(leases.known().len(), LEASES_MAX);
        assert!(leases.known().contains_key(&99));
        leases.remove(&SessionId::new("r1", 99));
        assert!(!leases.known().contains_key(&99));
    }
}

//! A shared ledger in etcd, 3.4 or later: one node or a cluster.
//!
//! ```text
//! mod      the trait's calls        swap     rows, by transactions    session  leases, the counter
//! feed     the watch                client   which member, the login  link     one connection
//! failure  what an error means      grpc     framing                  wire     messages
//! ```
//!
//! Every row's version is the revision of its last change, and a feed's position is a revision.

mod client;
mod failure;
mod feed;
mod grpc;
mod keys;
mod link;
mod session;
mod settings;
mod swap;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::client::{Client, Repeat};
use self::failure::Failure;
use self::grpc::Method;
use self::keys::{Keys, Named, Span};
use self::session::Leases;
use self::swap::stored;
use self::wire::{Empty, MemberListResponse, RangeRequest, RangeResponse};
use super::replicated::store::{About, Event, Kept, Session, Store, Stored, Swap, Swapped};
use super::{Pending, Unavailable};
use crate::fence::{Resource, SessionId};
pub use settings::{Endpoint, Settings};

/// How many rows are read at once: as many as fit into one answer, however long they are.
const ROWS_PAGE_MAX: usize = 128;
/// The first version of etcd with all that is used here.
const VERSION_MIN: (u32, u32) = (3, 4);

/// See the module.
pub struct Etcd {
    client: Client,
    keys: Keys,
    leases: Leases,
    about: Mutex<About>,
}

impl Etcd {
    /// A ledger in etcd. Reads the files of TLS; nothing is sent before the first call. Its
    /// connections live on the runtime from which they are first used.
    ///
    /// # Errors
    /// When the files cannot be read, or the settings cannot be right.
    pub fn new(settings: Settings) -> Result<Self, Unavailable> {
        let keys = Keys::new(&settings.namespace)?;
        let client = Client::new(&settings, keys.prefix())?;
        Ok(Self { client, keys, leases: Leases::default(), about: Mutex::default() })
    }

    fn told(&self) -> MutexGuard<'_, About> {
        self.about.lock().expect("nothing panics while it holds this lock")
    }

    /// Looks at what is behind it.
    async fn look(&self) -> Result<(), Failure> {
        let link = self.client.link(Instant::now() + self.client.timeout).await?;
        let version = &link.status.version;
        if !is_new_enough(version) {
            let (major, minor) = VERSION_MIN;
            let why = format!("it is version {version}; {major}.{minor} or later is needed");
            return Err(Failure::unreached(&link.target.name, why));
        }
        let members =
            self.client.call::<MemberListResponse>(Method::MEMBER_LIST, &Empty {}, Repeat::Freely);
        // Nothing but a sentence depends on it, and a user's rights need not reach so far.
        let what = match members.await.map_or(0, |answer| answer.members.len()) {
            0 => format!("etcd {version}"),
            1 => format!("etcd {version}, 1 member"),
            count => format!("etcd {version}, {count} members"),
        };
        *self.told() = About { what, loses: None };
        Ok(())
    }

    /// Rows in the order of their keys' bytes, which is etcd's own.
    async fn rows(
        &self,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<(Resource, Stored)>, Failure> {
        let Span { mut from, to } = self.keys.rows(after);
        let mut rows = Vec::new();
        while rows.len() < max {
            let limit = i64::try_from(ROWS_PAGE_MAX.min(max - rows.len())).unwrap_or(i64::MAX);
            let request =
                RangeRequest { key: from, range_end: to.clone(), limit, count_only: false };
            let answer: RangeResponse =
                self.client.call(Method::RANGE, &request, Repeat::Freely).await?;
            let Some(last) = answer.kvs.last() else { break };
            from = [&last.key[..], &[0]].concat();
            rows.extend(answer.kvs.into_iter().filter_map(|kv| match self.keys.named(&kv.key) {
                Some(Named::Row(resource)) => Some((resource, stored(kv))),
                _ => None,
            }));
            if !answer.more {
                break;
            }
        }
        Ok(rows)
    }
}

/// `3.4.23` and later.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= VERSION_MIN,
        _ => false,
    }
}

fn unavailable(failure: Failure) -> Unavailable {
    Unavailable(failure.what)
}

impl Store for Etcd {
    fn about(&self) -> About {
        self.told().clone()
    }

    /// etcd counts leases in whole seconds, and grants none below its election timeout: the
    /// session's time to live is rounded up, so that it never ends before its replica thinks so.
    fn begin<'a>(
        &'a self,
        replica: &'a str,
        ttl: Duration,
        about: &'a str,
    ) -> Pending<'a, Result<SessionId, Unavailable>> {
        Box::pin(async move {
            self.look().await.map_err(unavailable)?;
            let Self { client, keys, leases, .. } = self;
            session::begin(client, keys, leases, replica, ttl, about).await.map_err(unavailable)
        })
    }

    fn keep<'a>(
        &'a self,
        session: &'a SessionId,
        about: &'a str,
    ) -> Pending<'a, Result<Kept, Unavailable>> {
        let Self { client, keys, leases, .. } = self;
        Box::pin(async move {
            session::keep(client, keys, leases, session, about).await.map_err(unavailable)
        })
    }

    fn end<'a>(&'a self, session: &'a SessionId) -> Pending<'a, Result<(), Unavailable>> {
        let Self { client, keys, leases, .. } = self;
        Box::pin(
            async move { session::end(client, keys, leases, session).await.map_err(unavailable) },
        )
    }

    fn sessions(&self) -> Pending<'_, Result<Vec<Session>, Unavailable>> {
        Box::pin(session::sessions(&self.client, &self.keys))
    }

    fn read<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Stored>, Unavailable>> {
        Box::pin(async move {
            let found = session::one(&self.client, self.keys.row(resource.as_str())).await;
            Ok(found.map_err(unavailable)?.map(stored))
        })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<(Resource, Stored)>, Unavailable>> {
        Box::pin(async move { self.rows(after, max).await.map_err(unavailable) })
    }

    fn swap<'a>(&'a self, session: &'a SessionId, swaps: &'a [Swap]) -> Pending<'a, Vec<Swapped>> {
        Box::pin(swap::swap(&self.client, &self.keys, session, swaps))
    }

    fn swaps_max(&self) -> usize {
        swap::SWAPS_MAX
    }

    fn follow<'a>(
        &'a self,
        from: Option<u64>,
        events: &'a mpsc::Sender<Event>,
    ) -> Pending<'a, Unavailable> {
        Box::pin(feed::follow(&self.client, &self.keys, from, events))
    }
}

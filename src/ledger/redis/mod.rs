//! A shared ledger in Redis, 6.2 or later: one server, or the primary that Sentinels name.
//!
//! Everything is under `palisade:v1:{NAMESPACE}:`, for people to read with redis-cli:
//!
//! | key | what |
//! |---|---|
//! | `row:RESOURCE` | hash: `version`, `text` (JSON) |
//! | `rows` | sorted set of the resources that have a row, in the order of their bytes |
//! | `session:r1#7` | hash: `ttl_ms`, `about`; expires with the session |
//! | `sessions` | sorted set of sessions, by their number; of those that have expired, too, for a moment |
//! | `number` | the number of the session that was begun last |
//! | `generation` | the number of the latest change: versions and ids of the log are such numbers |
//! | `log` | stream: the feed, `by TAG` and then `row R text T`, `session S about A` or `gone S` |
//! | `seen` | sorted set: for each process the latest change that it has made |
//! | `frozen` | why nothing may be raised; not there when all is well |
//! | `origin` | hash: `replid`, the replication id under which the ledger was last seen to be whole; `confirmed`, the generation at which an operator last confirmed; `reads`, which is counted so that replicas can acknowledge what is read |
//!
//! ```text
//! redis-cli zrange 'palisade:v1:{NAMESPACE}:rows' 0 -1             # resources
//! redis-cli hget 'palisade:v1:{NAMESPACE}:row:RESOURCE' text       # mark, holder, grants, history
//! redis-cli zrange 'palisade:v1:{NAMESPACE}:sessions' 0 -1         # sessions
//! redis-cli pttl 'palisade:v1:{NAMESPACE}:session:r1#7'            # how long one lives, in ms
//! redis-cli get 'palisade:v1:{NAMESPACE}:frozen'                   # why nothing may be raised
//! redis-cli xrevrange 'palisade:v1:{NAMESPACE}:log' + - count 10   # the latest changes
//! ```
//!
//! **How a loss is noticed.** A process remembers the newest change of its own that was
//! acknowledged, and says so with every call: a server on which `seen` does not show it has lost
//! it, whatever it has gained since. A process remembers the change that its feed told last, and
//! looks for it when it connects. Both freeze the ledger. A process that has just started has
//! nothing to remember: it relies on those that are alive and have found all there, which they
//! write into `origin`; where Redis can fail over and nobody is alive, it freezes.
//!
//! **What it rests on besides.** Sessions expire by the clock of the Redis server: it must not be
//! set forward, and the clocks of servers that fail over to each other must agree, within the
//! margin of a session.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::mpsc;

use super::replicated::store::{About, Event, Kept, Session, Store, Stored, Swap, Swapped};
use super::{Pending, Unavailable};
use crate::fence::{Resource, SessionId};
use link::{Fault, milliseconds};
use links::{Links, Purpose};
use script::{bytes, number, parts, text};

mod dial;
mod facts;
mod feed;
mod keys;
mod link;
mod links;
mod script;
mod settings;
mod standing;
#[cfg(test)]
mod tests;

pub use settings::{Endpoint, Login, Sentinel, Settings};

/// Changes that the log keeps, about: a feed that was away for longer has missed some.
const LOG_MAX: usize = 100_000;

/// Rows that one script changes at most: for so long nobody else is served.
const SWAPS_MAX: usize = 128;

/// Processes of which is known what they have done. One is forgotten when so many that have done
/// something since were begun.
const SEEN_MAX: usize = 1000;

/// By how much generation and session numbers jump when something is lost: more than can be lost.
const GAP: u64 = 1_000_000_000;

/// See the module.
pub struct Redis {
    links: Arc<Links>,
}

impl Redis {
    /// Reads the files for TLS; blocking. Nothing is asked of Redis.
    ///
    /// # Errors
    /// When they cannot be read, the namespace would not be one, or there is no randomness.
    pub fn new(settings: Settings) -> Result<Self, Unavailable> {
        // Braces end the hash tag, the others are patterns of an ACL.
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || "{}*?[]\\".contains(c);
        if settings.namespace.is_empty() || settings.namespace.contains(is_odd) {
            return Err(Unavailable(format!(
                "{:?} is no namespace: give [ledger.redis] one of letters, digits, '-', '_', '.' \
                 and '/'",
                settings.namespace
            )));
        }
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|_| Unavailable("the system gives no random bytes".to_owned()))?;
        let process = format!("{:016x}", u64::from_be_bytes(random));
        Ok(Self { links: Arc::new(Links::new(settings, process)?) })
    }

    async fn begin(
        &self,
        replica: &str,
        ttl: Duration,
        about: &str,
    ) -> Result<SessionId, Unavailable> {
        let links = &self.links;
        let opening = tokio::time::timeout(links.settings.timeout, links.open(Purpose::Begin));
        let judged = opening.await.map_err(|_| {
            let endpoints: Vec<_> = links.settings.endpoints.iter().map(dial::shown).collect();
            Unavailable(format!("no answer in time from {}", endpoints.join(", ")))
        })?;
        drop(judged.map_err(Unavailable)?);
        let args = [
            replica.to_owned(),
            milliseconds(ttl).max(1).to_string(),
            about.to_owned(),
            SEEN_MAX.to_string(),
        ]
        .map(String::into_bytes);
        let answer = links.change(&script::BEGIN, &[links.keys.sessions()], &args).await;
        let answer = answer.map_err(unavailable)?;
        let number = answer.rest.first().and_then(number).ok_or_else(strange)?;
        Ok(SessionId::new(replica, number))
    }

    async fn keep(&self, session: &SessionId, about: &str) -> Result<Kept, Unavailable> {
        let keys = [self.links.keys.session(session)];
        let args = [session.to_string(), about.to_owned()].map(String::into_bytes);
        let answer = self.links.change(&script::KEEP, &keys, &args).await.map_err(unavailable)?;
        match answer.rest.first().and_then(text) {
            Some("alive") => Ok(Kept::Alive),
            Some("gone") => Ok(Kept::Gone),
            _ => Err(strange()),
        }
    }

    async fn end(&self, session: &SessionId) -> Result<(), Unavailable> {
        let keys = [self.links.keys.session(session)];
        let args = [session.to_string().into_bytes()];
        self.links.change(&script::END, &keys, &args).await.map_err(unavailable)?;
        Ok(())
    }

    async fn read(&self, resource: &Resource) -> Result<Option<Stored>, Unavailable> {
        let answer = self.links.read(&script::READ, &[self.links.keys.row(resource)]).await?;
        Ok(feed::stored(&answer.rest))
    }

    async fn list(
        &self,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<(Resource, Stored)>, Unavailable> {
        let from = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let args = [from, max.to_string()].map(String::into_bytes);
        let answer = self.links.ask(&script::LIST, &[self.links.keys.rows()], &args).await?;
        let row = |entry: &Value| {
            let (name, row) = parts(entry).split_first()?;
            Some((Resource::new(text(name)?).ok()?, feed::stored(row)?))
        };
        answer.rest.iter().map(|entry| row(entry).ok_or_else(strange)).collect()
    }

    async fn swap(&self, session: &SessionId, swaps: &[Swap]) -> Vec<Swapped> {
        let links = &self.links;
        let mut keys = vec![links.keys.session(session)];
        keys.extend(swaps.iter().map(|swap| links.keys.row(&swap.resource)));
        let args: Vec<Vec<u8>> = swaps
            .iter()
            .flat_map(|Swap { resource, expected, text }| {
                [resource.as_str().into(), expected.to_string().into_bytes(), text.clone()]
            })
            .collect();
        let all = |swapped: Swapped| vec![swapped; swaps.len()];
        match links.change(&script::SWAP, &keys, &args).await {
            Ok(answer) if answer.rest.len() == swaps.len() => {
                answer.rest.iter().map(|entry| self.swapped(parts(entry))).collect()
            }
            Ok(_) => all(Swapped::Unknown(strange().0)),
            Err(Fault::NotDone(why)) => all(Swapped::Failed(why)),
            Err(Fault::Unknown(why)) => all(Swapped::Unknown(why)),
        }
    }

    fn swapped(&self, entry: &[Value]) -> Swapped {
        let strange = || Swapped::Unknown(strange().0);
        let Some((kind, rest)) = entry.split_first() else { return strange() };
        match (bytes(kind), rest) {
            (Some(b"done"), [version]) => number(version).map_or_else(strange, Swapped::Done),
            (Some(b"differs"), row) => Swapped::Differs(feed::stored(row)),
            (Some(b"gone"), []) => Swapped::NoSession,
            (Some(b"frozen"), []) => {
                let why = self.links.standing.frozen().err();
                Swapped::Failed(why.map_or_else(|| "the ledger is frozen".to_owned(), |it| it.0))
            }
            _ => strange(),
        }
    }

    async fn confirm(&self) -> Result<(), Unavailable> {
        let links = &self.links;
        let opening = tokio::time::timeout(links.settings.timeout, links.confirm());
        let late = || Unavailable("no answer from Redis in time".to_owned());
        opening.await.map_err(|_| late())?
    }
}

fn unavailable(fault: Fault) -> Unavailable {
    Unavailable(fault.why().to_owned())
}

fn strange() -> Unavailable {
    Unavailable("Redis answers what no script of Palisade says".to_owned())
}

impl Store for Redis {
    fn about(&self) -> About {
        self.links.about()
    }

    fn begin<'a>(
        &'a self,
        replica: &'a str,
        ttl: Duration,
        about: &'a str,
    ) -> Pending<'a, Result<SessionId, Unavailable>> {
        Box::pin(self.begin(replica, ttl, about))
    }

    fn keep<'a>(
        &'a self,
        session: &'a SessionId,
        about: &'a str,
    ) -> Pending<'a, Result<Kept, Unavailable>> {
        Box::pin(self.keep(session, about))
    }

    fn end<'a>(&'a self, session: &'a SessionId) -> Pending<'a, Result<(), Unavailable>> {
        Box::pin(self.end(session))
    }

    fn sessions(&self) -> Pending<'_, Result<Vec<Session>, Unavailable>> {
        Box::pin(async {
            let keys = [self.links.keys.sessions()];
            let answer = self.links.read(&script::SESSIONS, &keys).await?;
            Ok(feed::sessions(&answer.rest))
        })
    }

    fn read<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Stored>, Unavailable>> {
        Box::pin(self.read(resource))
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<(Resource, Stored)>, Unavailable>> {
        Box::pin(self.list(after, max))
    }

    fn swap<'a>(&'a self, session: &'a SessionId, swaps: &'a [Swap]) -> Pending<'a, Vec<Swapped>> {
        Box::pin(self.swap(session, swaps))
    }

    fn swaps_max(&self) -> usize {
        SWAPS_MAX
    }

    fn follow<'a>(
        &'a self,
        from: Option<u64>,
        events: &'a mpsc::Sender<Event>,
    ) -> Pending<'a, Unavailable> {
        Box::pin(feed::follow(&self.links, from, events))
    }

    fn frozen(&self) -> Result<(), Unavailable> {
        self.links.standing.frozen()
    }

    fn confirm(&self) -> Pending<'_, Result<(), Unavailable>> {
        Box::pin(self.confirm())
    }
}

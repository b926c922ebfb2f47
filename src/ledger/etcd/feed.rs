//! The feed: one watch on everything in the namespace, over a connection of its own.
//!
//! Of its own, because a reader that is slow must not stand in the way of keepalives, and because
//! to drop a connection is the one way to end a watch that leaves nothing behind.

use std::convert::Infallible;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::client::Client;
use super::failure::Failure;
use super::grpc::{Method, framed, readable};
use super::keys::{Keys, Named, Span};
use super::link::{Answers, Link};
use super::session::told;
use super::swap::stored;
use super::wire::{
    Change, ChangeKind, RangeRequest, RangeResponse, WatchCreateRequest, WatchRequest,
    WatchResponse,
};
use crate::ledger::Unavailable;
use crate::ledger::replicated::store::Event;

/// Why a feed has ended.
enum Ended {
    Failure(Failure),
    /// Nobody reads it any more.
    Unread,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// A watch has ended because what comes next in it has been compacted away.
struct Compacted;

/// Tells what changes behind a revision until the feed breaks off.
pub(super) async fn follow(
    client: &Client,
    keys: &Keys,
    from: Option<u64>,
    events: &mpsc::Sender<Event>,
) -> Unavailable {
    let Err(ended) = run(client, keys, from, events).await;
    Unavailable(match ended {
        Ended::Failure(failure) => failure.what,
        Ended::Unread => "nobody reads the feed any more".to_owned(),
    })
}

async fn run(
    client: &Client,
    keys: &Keys,
    from: Option<u64>,
    events: &mpsc::Sender<Event>,
) -> Result<Infallible, Ended> {
    let feed = Feed { client, keys, events };
    let deadline = Instant::now() + client.timeout;
    // The next member each time: nobody breaks a feed off that is well.
    let link = client.connect(&client.feed_turn, deadline).await?;
    let now = feed.revision(&link).await?;
    let mut position = match from {
        Some(from) if from <= now => from,
        // What etcd once told it does not know any more: it was set back to an older state.
        Some(_) => feed.missed(now).await?,
        None => feed.position(now).await?,
    };
    loop {
        let Compacted = feed.watch(&link, &mut position).await?;
        // Looked up before it is told that something was missed: whatever is read after that is at
        // least as new as the revision from which all is told again.
        position = feed.missed(feed.revision(&link).await?).await?;
    }
}

struct Feed<'a> {
    client: &'a Client,
    keys: &'a Keys,
    events: &'a mpsc::Sender<Event>,
}

impl Feed<'_> {
    /// How far etcd is. It also sees to a login that is valid on this member, for the watch.
    async fn revision(&self, link: &Link) -> Result<u64, Failure> {
        let Span { from, to } = self.keys.all();
        let request = RangeRequest { key: from, range_end: to, limit: 0, count_only: true };
        let until = Instant::now() + self.client.timeout;
        let answer: RangeResponse =
            self.client.ask(link, Method::RANGE, framed(&request), until).await?;
        let revision = answer.header.and_then(|header| u64::try_from(header.revision).ok());
        let name = &link.target.name;
        revision.ok_or_else(|| Failure::nonsense(name, "an answer without a revision"))
    }

    async fn tell(&self, event: Event) -> Result<(), Ended> {
        self.events.send(event).await.map_err(|_| Ended::Unread)
    }

    async fn position(&self, at: u64) -> Result<u64, Ended> {
        self.tell(Event::Position(at)).await?;
        Ok(at)
    }

    async fn missed(&self, at: u64) -> Result<u64, Ended> {
        self.tell(Event::Missed).await?;
        self.position(at).await
    }

    /// Tells what comes behind `position`, and moves that.
    async fn watch(&self, link: &Link, position: &mut u64) -> Result<Compacted, Ended> {
        let name = &link.target.name;
        let mut answers = self.begin(link, *position).await?;
        // The largest revision of an answer that comes in several parts.
        let mut reached = *position;
        loop {
            let answer: Option<WatchResponse> = answers.next().await?;
            let Some(answer) = answer else {
                return Err(Failure::broken(name, "it has ended the feed").into());
            };
            if answer.compact_revision > 0 {
                debug!(member = %name, position, compacted = answer.compact_revision, "compacted");
                return Ok(Compacted);
            }
            if answer.canceled {
                let why = format!("it has ended the feed: {}", readable(&answer.cancel_reason));
                return Err(Failure::broken(name, why).into());
            }
            for change in answer.events {
                let revision = change.kv.as_ref().map_or(0, |kv| kv.mod_revision);
                let revision = u64::try_from(revision).unwrap_or(0);
                // A member that was brought up to date by a snapshot has been seen to go back
                // (before 3.4.25 and 3.5.8): what is old has been told.
                if revision <= *position {
                    continue;
                }
                reached = reached.max(revision);
                if let Some(event) = self.event(change) {
                    self.tell(event).await?;
                }
            }
            // All changes of one revision are in one answer. Its header tells how far etcd is,
            // which may be farther than what it has told.
            if !answer.fragment && reached > *position {
                *position = self.position(reached).await?;
            }
        }
    }

    /// Begins a watch. No progress is asked for: the replicas' own keepalives are changes, so
    /// that a position is never much older than they are.
    async fn begin(&self, link: &Link, position: u64) -> Result<Answers, Failure> {
        let name = &link.target.name;
        let Span { from, to } = self.keys.all();
        let create = WatchCreateRequest {
            key: from,
            range_end: to,
            start_revision: i64::try_from(position).unwrap_or(i64::MAX).saturating_add(1),
            fragment: true,
        };
        let request = framed(&WatchRequest { create: Some(create) });
        let begun = Instant::now();
        let until = begun + self.client.timeout;
        let beginning = async {
            let token = self.client.token(link, until).await?;
            let mut answers = link.watch(request, token.as_ref()).await?;
            match answers.next::<WatchResponse>().await? {
                Some(answer) if answer.created && !answer.canceled => Ok(answers),
                Some(answer) => {
                    let reason = readable(&answer.cancel_reason);
                    Err(Failure::broken(name, format!("it refuses the feed: {reason}")))
                }
                None => Err(Failure::broken(name, "it has ended the feed")),
            }
        };
        let late = || Err(Failure::timeout(name, begun.elapsed()));
        timeout_at(until, beginning).await.unwrap_or_else(|_| late())
    }

    fn event(&self, change: Change) -> Option<Event> {
        let is_gone = change.kind == i32::from(ChangeKind::Delete);
        let kv = change.kv?;
        match (self.keys.named(&kv.key)?, is_gone) {
            (Named::Row(resource), false) => Some(Event::Row { resource, stored: stored(kv) }),
            // Palisade never does that: somebody did it by hand, and all has to be looked at.
            (Named::Row(_), true) => Some(Event::Missed),
            (Named::Session(id), false) => Some(Event::Session(told(id, &kv.value))),
            (Named::Session(id), true) => Some(Event::Gone(id)),
        }
    }
}

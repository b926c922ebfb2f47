//! The ledger in etcd against real etcd: what it promises, and what a server can do to it.

mod cluster;
mod contract;
mod faults;
mod feed;
mod login;
mod rows;
mod sessions;
mod speed;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::testing::PATIENCE;
use super::{Etcd, Session, Store, Stored, Swap, Swapped};
use crate::fence::{Resource, SessionId};
use crate::ledger::Unavailable;
use crate::ledger::replicated::store::Event;

const TTL: Duration = Duration::from_secs(30);

fn resource(name: &str) -> Resource {
    Resource::new(name).unwrap()
}

fn change(name: &str, expected: u64, text: &str) -> Swap {
    Swap { resource: resource(name), expected, text: text.as_bytes().to_vec() }
}

fn row(version: u64, text: &str) -> Stored {
    Stored { text: text.as_bytes().to_vec(), version }
}

/// Puts one row, whatever is there.
async fn put(store: &Etcd, session: &SessionId, name: &str, text: &str) -> u64 {
    let before = store.read(&resource(name)).await.unwrap().map_or(0, |row| row.version);
    match &store.swap(session, &[change(name, before, text)]).await[..] {
        [Swapped::Done(version)] => *version,
        other => panic!("{other:?}"),
    }
}

/// A feed that is being read.
struct Feed {
    events: mpsc::Receiver<Event>,
    task: JoinHandle<Unavailable>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    fn of(store: &Arc<Etcd>, from: Option<u64>) -> Self {
        let store = Arc::clone(store);
        let (sender, events) = mpsc::channel(4);
        let task = tokio::spawn(async move { store.follow(from, &sender).await });
        Self { events, task }
    }

    async fn next(&mut self) -> Event {
        let next = timeout(PATIENCE, self.events.recv()).await.expect("the feed is silent");
        next.expect("the feed has ended")
    }

    /// What comes up to the next position, and that.
    async fn batch(&mut self) -> (Vec<Event>, u64) {
        let mut events = Vec::new();
        loop {
            match self.next().await {
                Event::Position(position) => return (events, position),
                event => events.push(event),
            }
        }
    }

    /// Reads on until that comes.
    async fn until(&mut self, expected: &Event) {
        loop {
            if self.next().await == *expected {
                return;
            }
        }
    }

    /// Why it has ended.
    async fn end(mut self) -> String {
        let ended = timeout(PATIENCE, async {
            while self.events.recv().await.is_some() {}
            (&mut self.task).await.unwrap()
        });
        ended.await.expect("the feed goes on").0
    }
}

fn about(session: &SessionId, text: &str) -> Session {
    Session { id: session.clone(), about: text.to_owned() }
}

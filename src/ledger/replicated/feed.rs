//! The feed: what others change, in order, and how far behind it is.
//!
//! Nothing rests on its being quick. What it must not do is to stop unnoticed: whoever waits for
//! this process to give a grant up waits for it. So it has to echo this process's own words.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::sync::mpsc;

use super::change;
use super::peers::About;
use super::shared::Shared;
use super::store::{Event, Stored};
use crate::fence::Resource;
use crate::ledger::lease::Moment;
use crate::ledger::metrics::Operation;
use crate::ledger::{News, Unavailable};

/// How many events wait to be handled.
const EVENTS_MAX: usize = 256;
/// How long the feed rests after it broke off, at first and at most.
const PAUSE: Duration = Duration::from_millis(50);
/// See [`PAUSE`].
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often it is looked whether the feed is behind.
const LAG_INTERVAL: Duration = Duration::from_millis(500);
/// How many rows are looked at at once.
const LOOKS_MAX: usize = 32;

/// See the module.
pub(super) struct Feed {
    pub(super) shared: Arc<Shared>,
    pub(super) rows: mpsc::Sender<News>,
}

impl Feed {
    /// Follows until it is aborted.
    pub(super) async fn follow(self) {
        let mut from = None;
        let mut pause = PAUSE;
        loop {
            let began = Moment::now();
            let before = from;
            let why = self.follow_once(&mut from).await;
            self.shared.metrics.feed_breaks.increment(1);
            if pause == PAUSE {
                tracing::warn!(why, "the feed of the ledger broke off, and is taken up again");
            } else {
                tracing::debug!(why, "the feed of the ledger is not there yet");
            }
            // Meanwhile nothing is told: what this process has is looked at.
            self.shared.look.notify_one();
            let has_told = from != before || Moment::now().since(began) > PAUSE_MAX;
            pause = if has_told { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
            tokio::time::sleep(pause).await;
        }
    }

    async fn follow_once(&self, from: &mut Option<u64>) -> String {
        let (events, mut told) = mpsc::channel(EVENTS_MAX);
        if from.is_none() {
            self.shared.forget_echoes();
        }
        let began = Moment::now();
        let store = Arc::clone(&self.shared.store);
        let follow = store.follow(*from, &events);
        tokio::pin!(follow);
        let patience = 2 * self.shared.settings.keepalive_interval();
        let check = LAG_INTERVAL.min(patience / 2);
        loop {
            let mut event = None;
            tokio::select! {
                biased;
                some = told.recv() => event = some,
                Unavailable(why) = &mut follow => {
                    // What it told before it ended counts.
                    while let Ok(event) = told.try_recv() {
                        self.handle(event, from).await;
                    }
                    return why;
                }
                () = tokio::time::sleep(check) => {
                    let overdue = self.shared.lag().overdue;
                    if overdue > patience && Moment::now().since(began) > patience {
                        return format!("it is {} ms behind", overdue.as_millis());
                    }
                }
            }
            if let Some(event) = event {
                // The store is not asked for more while this waits for the gate.
                self.handle(event, from).await;
            }
        }
    }

    async fn handle(&self, event: Event, from: &mut Option<u64>) {
        let shared = &self.shared;
        match event {
            Event::Row { resource, stored } => {
                if let Some(news) = row(shared, resource, stored) {
                    // It fails once nobody can hear it.
                    let _ = self.rows.send(news).await;
                }
            }
            Event::Session(session) => {
                shared.peers().is_seen(&session.id);
                if session.id == shared.own().current {
                    shared.is_echoed(About::read(&session.about).beat);
                    shared.lag();
                }
            }
            Event::Gone(session) => drop(shared.peers().is_gone(&session)),
            Event::Missed => shared.look.notify_one(),
            Event::Position(position) => {
                if from.is_none() {
                    // What came before it was not told.
                    shared.look.notify_one();
                }
                *from = Some(position);
            }
        }
    }
}

/// A row as the gate is told of it; `None` for what is older than what this process knows.
fn row(shared: &Shared, resource: Resource, stored: Stored) -> Option<News> {
    let seen = change::read(shared, &resource, Some(stored)).ok()?;
    let own = shared.own();
    let is_owing = seen.kept.row.is_owing(&own);
    {
        let mut held = shared.held();
        if !held.learn(&resource, &seen, &own) {
            return None;
        }
        // Others' rows would only drive out what is needed.
        if is_owing || held.recent(&resource).is_some() {
            held.remember(&resource, seen.clone());
        }
    }
    let record = seen.kept.row.record(&own);
    Some(News::Row { resource, row: seen.kept.row, record, is_owing })
}

/// Looks at every row that this process has a grant in, whenever the feed may have left one out.
/// (Whom this process waits for the gate asks the ledger itself.)
pub(super) async fn look(shared: Arc<Shared>, rows: mpsc::Sender<News>) {
    loop {
        shared.look.notified().await;
        let all = shared.held().all();
        let (shared, rows) = (&shared, &rows);
        let looked = futures_util::stream::iter(all.into_iter().map(Ok))
            .try_for_each_concurrent(LOOKS_MAX, |(resource, version)| async move {
                let read = shared.timed(Operation::Read, shared.store.read(&resource));
                let found = read.await??;
                shared.held().look_anew(&resource, version);
                let news = match found {
                    Some(stored) => row(shared, resource, stored),
                    None => {
                        let own = shared.own();
                        shared.held().learn(&resource, &Default::default(), &own);
                        None
                    }
                };
                if let Some(news) = news {
                    let _ = rows.send(news).await;
                }
                Ok::<_, Unavailable>(())
            })
            .await;
        if looked.is_err() {
            // Out of reach: all of it again, later.
            tokio::time::sleep(PAUSE_MAX).await;
            shared.look.notify_one();
        }
    }
}

//! A store in memory, and the wires to it, on which everything can go wrong when told to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::fate::{Fate, Faults};
use crate::fence::{Resource, SessionId};
use crate::ledger::lease::Moment;
use crate::ledger::replicated::store::{About, Event, Kept, Session, Store, Stored, Swap, Swapped};
use crate::ledger::{Pending, Unavailable};

/// The store itself, as a server would have it.
#[derive(Default)]
pub struct World {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Resource, Stored>,
    sessions: BTreeMap<SessionId, Live>,
    number: u64,
    /// One for every event.
    log: Vec<Event>,
    /// What is before is not in the log any more.
    compacted: usize,
}

struct Live {
    about: String,
    until: Moment,
    ttl: Duration,
}

/// One process's way to the store.
pub struct Wire {
    world: Arc<World>,
    pub faults: Mutex<Faults>,
    late: Mutex<Vec<(SessionId, Vec<Swap>)>>,
    /// How many changes each batch had.
    pub batches: Mutex<Vec<usize>>,
    pub reads: Mutex<usize>,
    feed_faults: Notify,
}

impl World {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn wire(self: &Arc<Self>) -> Arc<Wire> {
        Arc::new(Wire {
            world: Arc::clone(self),
            faults: Mutex::default(),
            late: Mutex::default(),
            batches: Mutex::default(),
            reads: Mutex::default(),
            feed_faults: Notify::new(),
        })
    }

    /// The log is cut: a feed that is behind has missed something.
    pub fn compact(&self) {
        let mut state = self.state();
        state.compacted = state.log.len();
    }

    /// Puts a text there, as somebody with the tools of the store would.
    pub fn put(&self, resource: &Resource, text: &[u8]) {
        self.state().put(resource.clone(), text.to_vec());
        self.changed.notify_waiters();
    }

    pub fn row(&self, resource: &Resource) -> Option<Stored> {
        self.state().rows.get(resource).cloned()
    }

    pub fn sessions(&self) -> Vec<SessionId> {
        self.state().sessions.keys().cloned().collect()
    }

    fn swap(&self, session: &SessionId, swaps: &[Swap], is_atomic: bool) -> Vec<Swapped> {
        let mut state = self.state();
        let answers = state.swap(session, swaps, is_atomic);
        drop(state);
        self.changed.notify_waiters();
        answers
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap();
        let now = Moment::now();
        let over: Vec<_> = state
            .sessions
            .iter()
            .filter(|(_, live)| live.until < now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            state.end(&id);
        }
        state
    }
}

impl State {
    fn put(&mut self, resource: Resource, text: Vec<u8>) -> u64 {
        // As with etcd, one number for all.
        let version = self.log.len() as u64 + 1;
        let stored = Stored { text, version };
        self.rows.insert(resource.clone(), stored.clone());
        self.log.push(Event::Row { resource, stored });
        version
    }

    fn end(&mut self, id: &SessionId) {
        if self.sessions.remove(id).is_some() {
            self.log.push(Event::Gone(id.clone()));
        }
    }

    fn swap(&mut self, session: &SessionId, swaps: &[Swap], is_atomic: bool) -> Vec<Swapped> {
        if !self.sessions.contains_key(session) {
            return vec![Swapped::NoSession; swaps.len()];
        }
        let is_there = |state: &Self, swap: &Swap| {
            state.rows.get(&swap.resource).map_or(0, |row| row.version) == swap.expected
        };
        let differs =
            |state: &Self, swap: &Swap| Swapped::Differs(state.rows.get(&swap.resource).cloned());
        if is_atomic && !swaps.iter().all(|swap| is_there(self, swap)) {
            return swaps.iter().map(|swap| differs(self, swap)).collect();
        }
        let mut answers = Vec::new();
        for swap in swaps {
            answers.push(match is_there(self, swap) {
                true => Swapped::Done(self.put(swap.resource.clone(), swap.text.clone())),
                false => differs(self, swap),
            });
        }
        answers
    }
}

impl Wire {
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock().unwrap());
        self.feed_faults.notify_waiters();
    }

    /// Nothing gets through, or everything again.
    pub fn cut(&self, is_cut: bool) {
        let fate = if is_cut { Fate::LostBefore } else { Fate::Answered };
        self.set(|faults| {
            faults.swaps = fate;
            faults.others = fate;
            faults.is_feed_broken = is_cut;
        });
    }

    /// What was late arrives: what became of it.
    pub fn land(&self) -> Vec<Swapped> {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        late.iter().flat_map(|(session, swaps)| self.world.swap(session, swaps, true)).collect()
    }

    /// Ends a session, as if its lease had run out.
    pub fn ended(&self, session: &SessionId) {
        self.world.state().end(session);
        self.world.changed.notify_waiters();
    }

    fn faults(&self) -> Faults {
        self.faults.lock().unwrap().clone()
    }

    async fn ask<T>(&self, work: impl FnOnce(&mut State) -> T) -> Result<T, Unavailable> {
        let Faults { others, delay, .. } = self.faults();
        tokio::time::sleep(delay).await;
        let lost = |what: &str| Err(Unavailable(what.into()));
        match others {
            Fate::Refused | Fate::LostBefore | Fate::Late => return lost("the wire is cut"),
            Fate::Answered | Fate::LostAfter | Fate::Hangs => {}
        }
        let answer = work(&mut self.world.state());
        self.world.changed.notify_waiters();
        match others {
            Fate::LostAfter => lost("the answer was lost"),
            Fate::Hangs => std::future::pending().await,
            _ => Ok(answer),
        }
    }
}

impl Store for Wire {
    fn about(&self) -> About {
        About { what: "a store in memory".into(), loses: None }
    }

    fn begin<'a>(
        &'a self,
        replica: &'a str,
        ttl: Duration,
        about: &'a str,
    ) -> Pending<'a, Result<SessionId, Unavailable>> {
        Box::pin(self.ask(move |state| {
            state.number += 1;
            let id = SessionId::new(replica, state.number);
            let live = Live { about: about.into(), until: Moment::now() + ttl, ttl };
            state.sessions.insert(id.clone(), live);
            state.log.push(Event::Session(Session { id: id.clone(), about: about.into() }));
            id
        }))
    }

    fn keep<'a>(
        &'a self,
        session: &'a SessionId,
        about: &'a str,
    ) -> Pending<'a, Result<Kept, Unavailable>> {
        Box::pin(self.ask(move |state| {
            let Some(live) = state.sessions.get_mut(session) else { return Kept::Gone };
            live.until = Moment::now() + live.ttl;
            live.about = about.into();
            state.log.push(Event::Session(Session { id: session.clone(), about: about.into() }));
            Kept::Alive
        }))
    }

    fn end<'a>(&'a self, session: &'a SessionId) -> Pending<'a, Result<(), Unavailable>> {
        Box::pin(self.ask(move |state| state.end(session)))
    }

    fn sessions(&self) -> Pending<'_, Result<Vec<Session>, Unavailable>> {
        if self.faults().is_census_lost {
            return Box::pin(async { Err(Unavailable("nobody is counted".into())) });
        }
        Box::pin(self.ask(|state| {
            let session = |(id, live): (&SessionId, &Live)| Session {
                id: id.clone(),
                about: live.about.clone(),
            };
            state.sessions.iter().map(session).collect()
        }))
    }

    fn read<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Stored>, Unavailable>> {
        *self.reads.lock().unwrap() += 1;
        Box::pin(self.ask(move |state| state.rows.get(resource).cloned()))
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<(Resource, Stored)>, Unavailable>> {
        Box::pin(self.ask(move |state| {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = state.rows.range::<str, _>((from, Bound::Unbounded)).take(max);
            rows.map(|(resource, stored)| (resource.clone(), stored.clone())).collect()
        }))
    }

    fn swap<'a>(&'a self, session: &'a SessionId, swaps: &'a [Swap]) -> Pending<'a, Vec<Swapped>> {
        Box::pin(async move {
            let Faults { swaps: fate, delay, is_atomic, swaps_max, .. } = self.faults();
            assert!(swaps.len() <= swaps_max, "{} at once", swaps.len());
            let mut names: Vec<_> = swaps.iter().map(|swap| &swap.resource).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), swaps.len(), "two changes of one row");
            self.batches.lock().unwrap().push(swaps.len());
            tokio::time::sleep(delay).await;
            let unknown = |why: &str| vec![Swapped::Unknown(why.into()); swaps.len()];
            match fate {
                Fate::Answered => self.world.swap(session, swaps, is_atomic),
                Fate::Refused => vec![Swapped::Failed("refused".into()); swaps.len()],
                Fate::LostBefore => unknown("the wire is cut"),
                Fate::LostAfter => {
                    self.world.swap(session, swaps, is_atomic);
                    unknown("the answer was lost")
                }
                Fate::Late => {
                    self.late.lock().unwrap().push((session.clone(), swaps.to_vec()));
                    unknown("no answer in time")
                }
                Fate::Hangs => {
                    self.world.swap(session, swaps, is_atomic);
                    std::future::pending().await
                }
            }
        })
    }

    fn swaps_max(&self) -> usize {
        self.faults().swaps_max
    }

    fn follow<'a>(
        &'a self,
        from: Option<u64>,
        events: &'a mpsc::Sender<Event>,
    ) -> Pending<'a, Unavailable> {
        Box::pin(async move {
            let mut at = match from {
                Some(from) => from as usize,
                None => self.world.state().log.len(),
            };
            let broken = || Unavailable("the feed is broken".into());
            if from.is_none() && events.send(Event::Position(at as u64)).await.is_err() {
                return broken();
            }
            loop {
                let Faults { is_feed_mute, is_feed_broken, .. } = self.faults();
                if is_feed_broken {
                    return broken();
                }
                let mut told = Vec::new();
                if !is_feed_mute {
                    let state = self.world.state();
                    if at < state.compacted {
                        told.push(Event::Missed);
                        at = state.compacted;
                    }
                    told.extend_from_slice(&state.log[at..]);
                    at = state.log.len();
                    if !told.is_empty() {
                        told.push(Event::Position(at as u64));
                    }
                }
                for event in told {
                    if events.send(event).await.is_err() {
                        return broken();
                    }
                }
                // What is missed between look and wait is seen a moment later.
                tokio::select! {
                    () = self.world.changed.notified() => {}
                    () = self.feed_faults.notified() => {}
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
            }
        })
    }

    fn frozen(&self) -> Result<(), Unavailable> {
        self.faults().frozen.map_or(Ok(()), |why| Err(Unavailable(why.into())))
    }

    fn confirm(&self) -> Pending<'_, Result<(), Unavailable>> {
        self.set(|faults| faults.frozen = None);
        Box::pin(async { Ok(()) })
    }
}

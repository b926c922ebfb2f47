//! The other replicas: what they say of themselves, and which of them are over.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::shared::Shared;
use super::store::Session;
use super::text;
use crate::fence::SessionId;
use crate::ledger::lease::Moment;
use crate::ledger::metrics::Operation;
use crate::ledger::{Condition, Replica};

/// How many sessions that are over are remembered, and how many that are alive. Of one that was
/// forgotten it is seen anew that it is over: whoever waits for it waits longer.
const SESSIONS_MAX: usize = 4_096;

/// What a replica says of itself: the text that the store keeps for its session.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(super) struct About {
    version: String,
    host: String,
    pid: u32,
    began: String,
    /// Which keepalive this is: its echo on the feed tells how far the feed is behind.
    pub(super) beat: u64,
    grants: u64,
    lag_ms: u64,
    state: String,
}

impl About {
    /// What this replica says before it has a session.
    pub(super) fn new() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            host: host(),
            pid: std::process::id(),
            began: text::time(SystemTime::now()),
            state: "serving".into(),
            ..Self::default()
        }
    }

    /// What it says with a keepalive.
    pub(super) fn of(shared: &Shared) -> Self {
        let grants = shared.held().count();
        shared.metrics.grants_held.set(grants as f64);
        let state = match shared.condition() {
            Condition::Serving => "serving",
            Condition::OutOfReach { .. } => "out of reach",
            Condition::Frozen { .. } => "frozen",
            Condition::Suspended { .. } if shared.usable().is_ok() => "draining",
            Condition::Suspended { .. } => "suspended",
        };
        Self {
            began: text::time(shared.began()),
            beat: shared.beat(),
            grants: grants as u64,
            lag_ms: u64::try_from(shared.lag().told.as_millis()).unwrap_or(u64::MAX),
            state: state.into(),
            ..Self::new()
        }
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What is not understood is not told: another version may say other things.
    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Peers {
    gone: (HashMap<SessionId, Moment>, VecDeque<SessionId>),
    seen: HashMap<SessionId, Moment>,
}

impl Peers {
    /// When this process first saw that a session is over.
    pub(super) fn gone(&self, session: &SessionId) -> Option<Moment> {
        self.gone.0.get(session).copied()
    }

    /// A session is over, for good: numbers do not come back.
    pub(super) fn is_gone(&mut self, session: &SessionId) -> Moment {
        self.seen.remove(session);
        if let Some(since) = self.gone(session) {
            return since;
        }
        let (gone, order) = &mut self.gone;
        if order.len() >= SESSIONS_MAX
            && let Some(oldest) = order.pop_front()
        {
            gone.remove(&oldest);
        }
        let now = Moment::now();
        gone.insert(session.clone(), now);
        order.push_back(session.clone());
        now
    }

    /// A store that has lost something may have given a number out again.
    pub(super) fn is_alive(&mut self, session: &SessionId) {
        let (gone, order) = &mut self.gone;
        if gone.remove(session).is_some() {
            order.retain(|other| other != session);
        }
    }

    /// A replica has said something.
    pub(super) fn is_seen(&mut self, session: &SessionId) {
        self.is_alive(session);
        if self.seen.len() < SESSIONS_MAX || self.seen.contains_key(session) {
            self.seen.insert(session.clone(), Moment::now());
        }
    }

    /// A replica as people are told of it.
    pub(super) fn replica(&self, session: &Session, own: &SessionId) -> Replica {
        let About { version, began, grants, lag_ms, state, .. } = About::read(&session.about);
        let seen = self.seen.get(&session.id).map(|seen| Moment::now().since(*seen));
        Replica {
            session: session.id.to_string(),
            is_this: session.id == *own,
            version,
            age_seconds: age(&began).as_secs(),
            grants,
            lag_ms,
            seen_ms_ago: seen.map_or(0, |seen| u64::try_from(seen.as_millis()).unwrap_or(u64::MAX)),
            state,
        }
    }
}

fn age(began: &str) -> Duration {
    let began = began.parse::<jiff::Timestamp>().map(SystemTime::from);
    began.ok().and_then(|began| began.elapsed().ok()).unwrap_or_default()
}

/// The sessions that are alive, read once for all who ask at a time.
#[derive(Debug, Default)]
pub(super) struct Census {
    last: tokio::sync::Mutex<Option<(Moment, Arc<Vec<Session>>)>>,
}

impl Census {
    /// Read after this was called.
    pub(super) async fn take(
        &self,
        shared: &Shared,
    ) -> Result<Arc<Vec<Session>>, crate::ledger::Unavailable> {
        let asked = Moment::now();
        let mut last = self.last.lock().await;
        if let Some((began, sessions)) = &*last
            && *began > asked
        {
            return Ok(Arc::clone(sessions));
        }
        let began = Moment::now();
        let sessions = Arc::new(shared.timed(Operation::Sessions, shared.store.sessions()).await??);
        *last = Some((began, Arc::clone(&sessions)));
        Ok(sessions)
    }
}

//! What the ledger and its tasks have in common: the session as it is, and what is known.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::batch::Job;
use super::held::Held;
use super::news::Transitions;
use super::peers::Peers;
use super::settings::Settings;
use super::store::Store;
use crate::fence::{Own, SessionId};
use crate::ledger::lease::{Lease, Moment};
use crate::ledger::metrics::{Operation, SharedMetrics};
use crate::ledger::{Condition, Unavailable};

/// How often what is wrong with one row may be told of.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);
/// How many keepalives without an echo are remembered.
const BEATS_MAX: usize = 64;

/// See the module.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Settings,
    pub(super) lease: Lease,
    pub(super) metrics: SharedMetrics,
    /// Changes that wait for a batch.
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) transitions: Transitions,
    /// All rows of this process have to be looked at.
    pub(super) look: Notify,
    /// A session was found to be over: see [`Shared::is_known_lost`].
    pub(super) woken: Notify,
    session: Mutex<Session>,
    held: Mutex<Held>,
    peers: Mutex<Peers>,
    echo: Mutex<Echo>,
    complained: Mutex<Option<Instant>>,
}

/// The session as it is.
struct Session {
    own: Arc<Own>,
    began: SystemTime,
    stage: Stage,
    /// The store has said of it that it is over.
    is_lost: bool,
}

enum Stage {
    /// `trouble`: why the last keepalive did not succeed.
    Alive {
        kept: Moment,
        trouble: Option<String>,
    },
    Suspended {
        since: Moment,
        why: String,
    },
    /// The ledger is being closed, and then is.
    Closing,
    Closed,
}

/// How far the feed is behind, by this process's own words.
#[derive(Default)]
struct Echo {
    beat: u64,
    waits: VecDeque<(u64, Moment)>,
    lag: Duration,
}

/// How far the feed is behind.
pub(super) struct Lag {
    /// For how long an echo has been waited for.
    pub(super) overdue: Duration,
    /// That, or how long the last one took.
    pub(super) told: Duration,
}

impl Shared {
    pub(super) fn new(
        store: Arc<dyn Store>,
        settings: Settings,
        jobs: mpsc::Sender<Job>,
        first: SessionId,
        kept: Moment,
    ) -> Self {
        let own = Arc::new(Own { current: first, former: Vec::new() });
        let session = Session {
            own,
            began: SystemTime::now(),
            stage: Stage::Alive { kept, trouble: None },
            is_lost: false,
        };
        Self {
            lease: Lease::until(kept + settings.admits_for()),
            store,
            settings,
            metrics: SharedMetrics::new(),
            jobs,
            transitions: Transitions::default(),
            look: Notify::new(),
            woken: Notify::new(),
            session: Mutex::new(session),
            held: Mutex::default(),
            peers: Mutex::default(),
            echo: Mutex::default(),
            complained: Mutex::new(None),
        }
    }

    /// The sessions of this process.
    pub(super) fn own(&self) -> Arc<Own> {
        Arc::clone(&self.session().own)
    }

    /// When the session began, by the wall clock.
    pub(super) fn began(&self) -> SystemTime {
        self.session().began
    }

    /// The sessions of this process, if changes can be made.
    pub(super) fn usable(&self) -> Result<Arc<Own>, Unavailable> {
        let session = self.session();
        match &session.stage {
            Stage::Alive { .. } | Stage::Closing if self.lease.admits() => {
                Ok(Arc::clone(&session.own))
            }
            Stage::Closed => Err(closed()),
            _ => Err(Unavailable(self.suspended(&session))),
        }
    }

    /// The same, for what is not part of closing.
    pub(super) fn open(&self) -> Result<Arc<Own>, Unavailable> {
        if self.is_ending() {
            return Err(closed());
        }
        self.usable()
    }

    /// `Err` once it is closed.
    pub(super) fn not_closed(&self) -> Result<(), Unavailable> {
        match self.session().stage {
            Stage::Closed => Err(closed()),
            _ => Ok(()),
        }
    }

    /// `Err` while the store says that it has lost something.
    pub(super) fn thawed(&self) -> Result<(), Unavailable> {
        self.store.frozen()
    }

    fn suspended(&self, session: &Session) -> String {
        let (since, why) = match &session.stage {
            Stage::Suspended { since, why } => (*since, why.as_str()),
            Stage::Alive { kept, trouble } => {
                (*kept, trouble.as_deref().unwrap_or("no keepalive was sent in time"))
            }
            Stage::Closing | Stage::Closed => (Moment::now(), "the ledger has been closed"),
        };
        let seconds = Moment::now().since(since).as_secs();
        format!(
            "the session {} is over since {seconds} s ({why}); writes are refused until the \
             ledger is reachable, then a new session begins by itself: look at {}",
            session.own.current,
            match self.store.about().what {
                what if what.is_empty() => "the ledger".into(),
                what => what,
            },
        )
    }

    /// A keepalive that was sent then has succeeded.
    pub(super) fn is_kept(&self, sent: Moment) {
        let mut session = self.session();
        if let Stage::Alive { kept, trouble } = &mut session.stage {
            *kept = sent;
            *trouble = None;
        }
        if matches!(session.stage, Stage::Alive { .. } | Stage::Closing) {
            self.lease.set(sent + self.settings.admits_for());
        }
    }

    /// A keepalive has not succeeded.
    pub(super) fn is_troubled(&self, why: String) {
        if let Stage::Alive { trouble, .. } = &mut self.session().stage {
            *trouble = Some(why);
        }
    }

    /// A change was refused because that session is over.
    pub(super) fn is_lost(&self, lost: &SessionId) {
        {
            let mut session = self.session();
            if session.own.current != *lost {
                return;
            }
            session.is_lost = true;
            self.lease.end();
        }
        self.woken.notify_one();
    }

    /// Whether the store has said so. A word of an earlier session may still wake whoever keeps
    /// the next.
    pub(super) fn is_known_lost(&self) -> bool {
        self.session().is_lost
    }

    /// Nothing is admitted under the session any more.
    pub(super) fn suspend(&self, why: &str) {
        let mut session = self.session();
        self.lease.end();
        if matches!(session.stage, Stage::Alive { .. }) {
            session.stage = Stage::Suspended { since: Moment::now(), why: why.into() };
        }
    }

    /// A new session has begun; the one before is over.
    pub(super) fn renew(&self, current: SessionId, sent: Moment) {
        let held = self.held().sessions();
        let mut session = self.session();
        if matches!(session.stage, Stage::Closing | Stage::Closed) {
            return;
        }
        let mut former = session.own.former.clone();
        former.push(session.own.current.clone());
        // Of the others there is no grant left to give up.
        former.retain(|former| held.contains(&former.number()));
        session.own = Arc::new(Own { current, former });
        session.began = SystemTime::now();
        session.is_lost = false;
        session.stage = Stage::Alive { kept: sent, trouble: None };
        self.lease.set(sent + self.settings.admits_for());
    }

    /// False when it was closed before.
    pub(super) fn begin_closing(&self) -> bool {
        let mut session = self.session();
        match session.stage {
            Stage::Closing | Stage::Closed => false,
            Stage::Alive { .. } => {
                session.stage = Stage::Closing;
                true
            }
            Stage::Suspended { .. } => {
                session.stage = Stage::Closed;
                true
            }
        }
    }

    /// The ledger is being closed, or is.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.session().stage, Stage::Closing | Stage::Closed)
    }

    pub(super) fn is_closed(&self) {
        self.session().stage = Stage::Closed;
        self.lease.end();
    }

    /// See [`crate::ledger::Ledger::condition`].
    pub(super) fn condition(&self) -> Condition {
        let session = self.session();
        match &session.stage {
            Stage::Alive { kept, trouble } if self.lease.admits() => {
                if let Err(Unavailable(why)) = self.store.frozen() {
                    return Condition::Frozen { why };
                }
                match trouble {
                    None => Condition::Serving,
                    Some(why) => Condition::OutOfReach {
                        why: why.clone(),
                        serves_for: (*kept + self.settings.admits_for()).since(Moment::now()),
                    },
                }
            }
            _ => Condition::Suspended { why: self.suspended(&session) },
        }
    }

    /// The number of the keepalive that is sent now.
    pub(super) fn beat(&self) -> u64 {
        let mut echo = self.echo();
        echo.beat += 1;
        echo.beat
    }

    /// That keepalive was done: the feed has to tell it.
    pub(super) fn expect_echo(&self, beat: u64, sent: Moment) {
        let mut echo = self.echo();
        if echo.waits.len() < BEATS_MAX {
            echo.waits.push_back((beat, sent));
        }
    }

    /// The feed has told it.
    pub(super) fn is_echoed(&self, told: u64) {
        let mut echo = self.echo();
        while let Some((beat, sent)) = echo.waits.front().copied()
            && beat <= told
        {
            echo.waits.pop_front();
            if beat == told {
                echo.lag = Moment::now().since(sent);
            }
        }
    }

    /// How far the feed is behind.
    pub(super) fn lag(&self) -> Lag {
        let echo = self.echo();
        let oldest = echo.waits.front().map(|(_, sent)| Moment::now().since(*sent));
        let overdue = oldest.unwrap_or_default();
        let lag = Lag { overdue, told: echo.lag.max(overdue) };
        self.metrics.feed_lag_seconds.set(lag.told.as_secs_f64());
        lag
    }

    /// A feed begins: what was said before is not told by it for certain.
    pub(super) fn forget_echoes(&self) {
        self.echo().waits.clear();
    }

    /// The answer to a request, which never takes for ever: stores keep to their own timeout, and
    /// this is for those that do not.
    pub(super) async fn timed<T>(
        &self,
        operation: Operation,
        request: impl Future<Output = T>,
    ) -> Result<T, Unavailable> {
        let began = Instant::now();
        let limit = self.settings.timeout * if operation == Operation::Swap { 4 } else { 2 };
        let answer = tokio::time::timeout(limit, request).await;
        self.metrics.request(operation).record(began.elapsed());
        answer
            .map_err(|_| Unavailable(format!("it did not answer within {} ms", limit.as_millis())))
    }

    /// Says what is wrong with one resource, and not again for a while.
    pub(super) fn complain(&self, why: &str) {
        let mut last = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            *last = Some(Instant::now());
            tracing::error!("the ledger refuses: {why}");
        }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn echo(&self) -> MutexGuard<'_, Echo> {
        self.echo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer after the close.
pub(super) fn closed() -> Unavailable {
    Unavailable("the ledger has been closed; restart palisade".into())
}

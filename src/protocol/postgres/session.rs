//! One session from its first ReadyForQuery to its end: the two directions, and what may stop them.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::codec::frame::{FrameError, Side};
use super::hold::Hold;
use super::inlet::Inlet;
use super::name::SessionName;
use super::own::OwnStatements;
use super::readonly::ReadOnly;
use super::refusal::{Denial, Outcome, Problem};
use super::server::Front;
use super::track::Tracker;
use super::upstream::Backend;
use super::witness::Witness;
use crate::fence::{Refusal, Resource};
use crate::gate::{Bid, Watch};
use crate::net::identity::Peer;
use crate::net::listen::Drain;
use crate::net::stream::Stream;
use crate::net::tls::ServerStream;
use crate::rules::Rule;

/// How long a statement may take to heed a CancelRequest before its backend is terminated.
pub const CANCEL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the last messages of a backend that is being terminated are waited for: they tell
/// what became of its last statement.
pub const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);

/// Everything about a session that has begun.
pub(super) struct Session {
    pub(super) front: Arc<Front>,
    pub(super) peer: Peer,
    pub(super) rule: Arc<Rule>,
    pub(super) resource: Resource,
    /// `None` once it has hung up.
    pub(super) client: Option<Box<ServerStream>>,
    pub(super) server: Stream,
    pub(super) secret: Box<[u8]>,
    pub(super) from_client: Inlet,
    pub(super) from_server: Inlet,
    /// Palisade's own messages, ahead of what is cleared in the inlets.
    pub(super) to_client: Vec<u8>,
    pub(super) to_server: Vec<u8>,
    pub(super) tracker: Tracker,
    /// A batch of the extended protocol has begun and its Sync has not come.
    pub(super) is_batch_open: bool,
    pub(super) kind: Kind,
    pub(super) hold: Hold,
    pub(super) own: OwnStatements,
    pub(super) name: SessionName,
    /// Palisade's own statements at the server that are not answered yet.
    pub(super) internal: u32,
    pub(super) skip: Skip,
    /// An error for the client that comes before the next ReadyForQuery.
    pub(super) late_error: Option<Vec<u8>>,
    pub(super) phase: Phase,
    /// It began read-only, so that the server's own setting of that has to be put aside, again
    /// each time that the client resets its settings.
    pub(super) is_upgraded: bool,
    pub(super) is_reset: bool,
    /// What ran was cancelled, or the session ended, by Palisade.
    pub(super) is_cancelled: bool,
    /// The process wants to end: the session ends with its transaction.
    pub(super) is_closing: bool,
    pub(super) witness: Witness,
}

/// What a session may do.
pub(super) enum Kind {
    /// Write, under a token.
    Fenced(Fence),
    /// Read; with a token, until that is outranked.
    ReadOnly {
        state: ReadOnly,
        fence: Option<Fence>,
        /// The token that it came with was stale.
        stale: Option<Refusal>,
    },
}

/// The token of a session.
pub(super) struct Fence {
    pub(super) bid: Bid,
    pub(super) watch: Arc<Watch>,
}

/// Messages of the client that go nowhere, up to its next Sync.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Skip {
    No,
    /// Palisade answers the Sync.
    Own,
    /// The server has had one already, and answers it.
    Served,
}

/// How far the end of a session has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Open,
    /// What runs may end by itself until then; nothing else begins.
    Draining(Instant),
    /// It was asked to stop, and has until then to heed that.
    Cancelled(Instant),
    /// The backend is being ended; until then its last words are waited for.
    Reaped(Instant),
}

/// What has happened that the two directions cannot go on from by themselves.
pub(super) enum Event {
    /// The first message of a batch, with nothing admitted.
    Begin,
    /// A message that Palisade itself answers.
    Own,
    /// The client's next message is refused.
    Refuse(Box<Problem>),
    /// The session ends.
    End(Box<Problem>),
    /// The client has said goodbye, or is gone.
    ClientGone {
        politely: bool,
    },
    /// The server has closed the connection.
    ServerGone,
    /// What runs has ended while the session was to end.
    Quiet,
    /// The token is outranked, the session with the ledger was lost, or nothing is admitted any
    /// more.
    Over,
    /// The process wants to end.
    Drain,
    /// The primary is elsewhere now.
    Moved,
    Deadline,
}

/// Whether to go on.
pub(super) enum Flow {
    Go,
    End,
}

type Rare = FuturesUnordered<Pin<Box<dyn Future<Output = Event>>>>;

impl Session {
    /// A session that the server has let in. What there is to say to the client is in `greeting`.
    #[allow(clippy::too_many_arguments, reason = "each is a part of what was opened")]
    pub(super) fn new(
        front: Arc<Front>,
        peer: Peer,
        (rule, resource): (Arc<Rule>, Resource),
        client: Box<ServerStream>,
        backend: Backend,
        kind: Kind,
        name: SessionName,
        greeting: Vec<u8>,
    ) -> Self {
        let hold = Hold::new(&front, backend.host, backend.pid);
        Self {
            front,
            peer,
            rule,
            resource,
            client: Some(client),
            server: backend.stream,
            secret: backend.secret,
            from_client: Inlet::new(Side::Client, &[]),
            from_server: Inlet::new(Side::Server, &backend.rest),
            to_client: greeting,
            to_server: Vec::new(),
            tracker: Tracker::new(),
            is_batch_open: false,
            kind,
            hold,
            own: OwnStatements::default(),
            name,
            internal: 0,
            skip: Skip::No,
            late_error: None,
            phase: Phase::Open,
            is_upgraded: false,
            is_reset: false,
            is_cancelled: false,
            is_closing: false,
            witness: Witness::default(),
        }
    }

    /// Serves it to its end.
    pub(super) async fn run(mut self, drain: Drain) {
        let rare: Rare = FuturesUnordered::new();
        let mut rare = rare;
        rare.push(Box::pin(async move {
            drain.requested().await;
            Event::Drain
        }));
        if self.front.listener.upstream.target.is_about_the_primary() {
            rare.push(Box::pin(moved(self.front.control.primary(), self.hold.host)));
        }
        self.watch(&mut rare);
        loop {
            let deadline = self.deadline();
            let event = tokio::select! {
                biased;
                Some(event) = rare.next(), if !rare.is_empty() => event,
                event = poll_fn(|cx| self.poll(cx)) => event,
                event = deadline => event,
            };
            match self.handle(event, &mut rare).await {
                Flow::Go => {}
                Flow::End => break,
            }
        }
    }

    /// Watches for the token to be outranked.
    fn watch(&self, rare: &mut Rare) {
        if let Some(fence) = self.fence() {
            let watch = Arc::clone(&fence.watch);
            rare.push(Box::pin(async move {
                watch.over().await;
                Event::Over
            }));
        }
    }

    pub(super) fn fence(&self) -> Option<&Fence> {
        match &self.kind {
            Kind::Fenced(fence) => Some(fence),
            Kind::ReadOnly { fence, .. } => fence.as_ref(),
        }
    }

    async fn handle(&mut self, event: Event, rare: &mut Rare) -> Flow {
        match event {
            Event::Begin => self.begin().await,
            Event::Own => {
                let before = self.fence().map(|fence| Arc::as_ptr(&fence.watch));
                let flow = self.answer_own().await;
                if self.fence().map(|fence| Arc::as_ptr(&fence.watch)) != before {
                    self.watch(rare);
                }
                flow
            }
            Event::Refuse(problem) => self.refuse(&problem),
            Event::End(problem) => self.end(*problem).await,
            Event::ClientGone { politely } => self.client_gone(politely),
            Event::ServerGone => self.server_gone().await,
            Event::Quiet => self.wind_up().await,
            // A token that was replaced by a larger one of this session's own is no news.
            Event::Over if self.fence().is_some_and(|fence| !fence.watch.is_over()) => Flow::Go,
            Event::Over => self.outranked().await,
            Event::Drain => {
                self.is_closing = true;
                self.wind_up().await
            }
            Event::Moved => {
                self.hold.reap();
                let mut problem = self.problem(Denial::Moved);
                problem.outcome = self.witness.outcome(&self.tracker);
                self.end(problem).await
            }
            Event::Deadline => self.overdue().await,
        }
    }

    /// Asks the gate, before the first message of a batch goes to the server.
    async fn begin(&mut self) -> Flow {
        let Kind::Fenced(fence) = &self.kind else {
            return Flow::Go;
        };
        let refusal = match self.front.gate.admit(&fence.bid).await {
            Ok(admission) => match admission.commit() {
                Ok(()) => {
                    self.hold.admit(admission);
                    return Flow::Go;
                }
                Err(_) => {
                    let problem = self.problem(Denial::over(admission.why()));
                    return self.end(problem).await;
                }
            },
            Err(refusal) => refusal,
        };
        let problem = self.problem(Denial::Fence(refusal.clone()));
        match refusal.is_retryable() {
            true => self.refuse(&problem),
            false => self.end(problem).await,
        }
    }

    /// A problem of this session.
    pub(super) fn problem(&self, denial: Denial) -> Problem {
        Problem {
            denial,
            resource: Some(self.resource.clone()),
            rule: Some(Arc::clone(&self.rule.name)),
            token: self.fence().map(|fence| fence.bid.claim.token),
            mark: None,
            outcome: Outcome::Nothing,
        }
    }

    fn deadline(&self) -> impl Future<Output = Event> + use<> {
        let at = match self.phase {
            Phase::Open => None,
            Phase::Draining(at) | Phase::Cancelled(at) | Phase::Reaped(at) => Some(at),
        };
        async move {
            match at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
            Event::Deadline
        }
    }

    /// A message that is not the protocol's.
    pub(super) fn broken(&self, error: &FrameError) -> Event {
        let mend = "upgrade the client's library, or tell what it sends";
        Event::End(Box::new(self.problem(Denial::Protocol { what: error.to_string(), mend })))
    }
}

/// Resolves when the primary is another host.
async fn moved(mut primary: watch::Receiver<Option<usize>>, host: usize) -> Event {
    let is_elsewhere = |now: &Option<usize>| now.is_some_and(|now| now != host);
    if primary.wait_for(is_elsewhere).await.is_err() {
        // Nobody follows it any more: the process ends, which is told elsewhere.
        pending::<()>().await;
    }
    Event::Moved
}

//! One connection from its first request to its end: the two directions, and what may stop them.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::codec::reply::Replies;
use super::codec::request::{Passing, Request};
use super::codec::write::Protocol;
use super::commands::{Access, Act, Commands};
use super::fences::Fences;
use super::hold::Hold;
use super::judge::{Needs, Rights};
use super::metrics::Counted;
use super::name::SessionName;
use super::pending::Pending;
use super::refusal::{Denial, Outcome, Problem};
use super::server::Front;
use super::upstream::{Opened, ServerId};
use crate::gate::Watch;
use crate::net::identity::Peer;
use crate::net::lane::Lane;
use crate::net::listen::Drain;
use crate::net::stream::Stream;
use crate::net::tls::ServerStream;
use crate::rules::Matched;

/// Everything about a connection that has begun.
pub(super) struct Session {
    pub(super) front: Arc<Front>,
    pub(super) peer: Peer,
    /// `None` once it is gone.
    pub(super) client: Option<Box<ServerStream>>,
    /// The client has said all that it has to say.
    pub(super) has_hung_up: bool,
    pub(super) server: Stream,
    pub(super) from_client: Lane,
    pub(super) from_server: Lane,
    /// Palisade's own messages, ahead of what is cleared in the lanes.
    pub(super) to_client: Vec<u8>,
    pub(super) to_server: Vec<u8>,
    /// The request at the front, as far as it was read.
    pub(super) request: Request,
    pub(super) is_begun: bool,
    /// What came from the client is not the protocol: why.
    pub(super) broken: Option<String>,
    /// What is left of a request that goes on as it comes, or that goes nowhere.
    pub(super) passing: Option<Passing>,
    pub(super) skipping: Option<Passing>,
    pub(super) replies: Replies,
    pub(super) reply: Reply,
    pub(super) pending: Pending,
    /// Nothing is forwarded until everything before is answered.
    pub(super) is_barred: bool,
    pub(super) commands: Arc<Commands>,
    pub(super) rights: Rights,
    pub(super) database: u32,
    /// The one resource of every key of the database.
    pub(super) sole: Option<Matched>,
    pub(super) protocol: Protocol,
    pub(super) mode: Mode,
    pub(super) name: SessionName,
    pub(super) token: Option<Fences>,
    pub(super) transaction: Option<Transaction>,
    /// The token of a transaction that was executed or discarded, and is not answered yet.
    pub(super) ended: Option<Fences>,
    pub(super) hold: Hold,
    pub(super) counted: Counted,
    pub(super) phase: Phase,
    /// When a client has to have read something, so that there is room for more.
    pub(super) unread_until: Option<Instant>,
    /// The client knows already why the session ends.
    pub(super) is_told: bool,
    /// The process wants to end.
    pub(super) is_closing: bool,
    /// A request that has to wait until everything before it is answered.
    pub(super) wants_quiet: bool,
    /// Resources that are not watched yet.
    pub(super) unwatched: Vec<Arc<Watch>>,
    /// Something is watched that is not used any more.
    pub(super) is_watch_old: bool,
}

/// What the server does with what comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// It answers each request once.
    Answers,
    /// In RESP2, with subscriptions: messages come at any time, and few commands are allowed.
    Subscribed,
    /// MONITOR: lines come at any time.
    Monitors,
}

/// What is done with the value that comes from the server now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// Between values.
    None,
    /// It answers a request, and goes on.
    Passes,
    /// It answers a request, and is left out.
    Drops,
    /// It answers nothing: a push, a message.
    Aside,
}

/// Between MULTI and EXEC.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// A command of it was refused.
    pub(super) is_dirty: bool,
    /// Commands that were queued.
    pub(super) queued: u64,
    /// What EXEC writes.
    pub(super) needs: Needs,
    /// A token of its own.
    pub(super) token: Option<Fences>,
}

/// How far the end of a session has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Open,
    /// What was sent may end by itself until then; nothing else begins.
    Draining(Instant),
    /// The client is being killed at the server; until then its last words are waited for.
    Reaped(Instant),
}

/// What has happened that the two directions cannot go on from by themselves.
pub(super) enum Event {
    /// The request at the front needs these, and then goes on.
    Grant(Needs, Then),
    /// The server has to be asked for the keys of the request at the front.
    Ask(Access),
    /// A request that Palisade itself answers.
    Own(Act),
    /// The connection ends.
    End(Box<Problem>),
    /// The client leaves so many answers unread that nothing more is taken from it.
    Full,
    /// The client says no more.
    HungUp,
    /// The client is gone.
    ClientGone,
    /// The server has closed the connection.
    ServerGone,
    /// What was sent is answered while the session was to end.
    Quiet,
    /// A token is outranked, the session with the ledger was lost, or nothing is admitted any more.
    Over,
    /// The process wants to end.
    Drain,
    /// The primary is elsewhere now.
    Moved,
    Deadline,
}

/// What is done with a request once it is granted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    Forward { is_blocking: bool },
    Act(Act),
}

/// Whether to go on.
pub(super) enum Flow {
    Go,
    End,
}

type Rare = FuturesUnordered<Pin<Box<dyn Future<Output = Event>>>>;

impl Session {
    /// A connection that the server has let in.
    pub(super) fn new(
        front: Arc<Front>,
        peer: Peer,
        client: Box<ServerStream>,
        opened: Opened,
        name: SessionName,
    ) -> Self {
        let hold = Hold::new(&front, opened.server, opened.client_id);
        let counted = front.metrics.opened();
        let commands = front.commands();
        let mut session = Self {
            peer,
            client: Some(client),
            has_hung_up: false,
            server: opened.stream,
            from_client: Lane::default(),
            from_server: Lane::new(&opened.rest),
            to_client: Vec::new(),
            to_server: Vec::new(),
            request: Request::default(),
            is_begun: false,
            broken: None,
            passing: None,
            skipping: None,
            replies: Replies::new(),
            reply: Reply::None,
            pending: Pending::default(),
            is_barred: false,
            commands,
            rights: Rights::default(),
            database: 0,
            sole: None,
            protocol: Protocol::Resp2,
            mode: Mode::Answers,
            name,
            token: None,
            transaction: None,
            ended: None,
            hold,
            counted,
            phase: Phase::Open,
            unread_until: None,
            is_told: false,
            is_closing: false,
            wants_quiet: false,
            unwatched: Vec::new(),
            is_watch_old: false,
            front,
        };
        session.select(0);
        session
    }

    /// Another database is selected.
    pub(super) fn select(&mut self, database: u32) {
        self.database = database;
        // Where the name cannot be made, each key is told so.
        self.sole = self.front.listener.rules.sole(Some(database)).ok().flatten();
    }

    /// Serves it to its end.
    pub(super) async fn run(mut self, drain: Drain) {
        let mut rare = self.always(&drain);
        loop {
            if self.is_watch_old {
                self.is_watch_old = false;
                self.unwatched =
                    self.fences().flat_map(Fences::iter).map(|fence| fence.watch.clone()).collect();
                rare = self.always(&drain);
            }
            for watch in self.unwatched.drain(..) {
                rare.push(Box::pin(async move {
                    watch.over().await;
                    Event::Over
                }));
            }
            let deadline = self.deadline();
            let event = tokio::select! {
                biased;
                Some(event) = rare.next(), if !rare.is_empty() => event,
                event = poll_fn(|cx| self.poll(cx)) => event,
                event = deadline => event,
            };
            match self.handle(event).await {
                Flow::Go => {}
                Flow::End => break,
            }
        }
    }

    /// What can happen in every session.
    fn always(&self, drain: &Drain) -> Rare {
        let rare = Rare::new();
        rare.push(Box::pin(moved(self.front.control.primary(), Arc::clone(&self.hold.server))));
        if !self.is_closing {
            let drain = drain.clone();
            rare.push(Box::pin(async move {
                drain.requested().await;
                Event::Drain
            }));
        }
        rare
    }

    /// Every token that something of this connection is under.
    pub(super) fn fences(&self) -> impl Iterator<Item = &Fences> {
        let of_transaction = self.transaction.as_ref().and_then(|open| open.token.as_ref());
        [self.token.as_ref(), of_transaction, self.ended.as_ref()].into_iter().flatten()
    }

    async fn handle(&mut self, event: Event) -> Flow {
        match event {
            Event::Grant(needs, then) => self.grant(needs, then).await,
            Event::Ask(access) => self.ask_for_keys(access).await,
            Event::Own(act) => self.answer_own(act).await,
            Event::End(problem) => self.end(*problem).await,
            Event::Full => {
                let timeout = self.front.listener.limits.unread_timeout;
                self.unread_until = Some(Instant::now() + timeout);
                Flow::Go
            }
            Event::HungUp => self.hung_up().await,
            Event::ClientGone => {
                self.client = None;
                self.hung_up().await
            }
            Event::ServerGone => self.server_gone().await,
            Event::Quiet => self.wind_up().await,
            Event::Over => self.outranked().await,
            Event::Drain => self.closing().await,
            Event::Moved => {
                let outcome = self.outcome();
                self.hold.reap();
                let problem = Problem { outcome, ..self.problem(Denial::Moved) };
                self.end(problem).await
            }
            Event::Deadline => self.overdue().await,
        }
    }

    /// A problem of this session.
    pub(super) fn problem(&self, denial: Denial) -> Problem {
        Problem {
            token: self.token.as_ref().map(|fences| fences.token),
            identity: Some(Arc::clone(&self.peer.identity.name)),
            ..denial.into()
        }
    }

    /// What became of what was sent and is not answered.
    pub(super) fn outcome(&self) -> Outcome {
        match self.unanswered() > 0 && !self.hold.is_clean() {
            true => Outcome::Unknown,
            false => Outcome::Nothing,
        }
    }

    /// Requests that the server has and has not answered.
    pub(super) fn unanswered(&self) -> u64 {
        // One whose last byte was not sent is none to the server.
        self.pending.unanswered() - u64::from(self.passing.is_some())
    }

    fn deadline(&self) -> impl Future<Output = Event> + use<> {
        let at = match self.phase {
            Phase::Open => self.unread_until,
            Phase::Draining(at) | Phase::Reaped(at) => Some(at),
        };
        async move {
            match at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
            Event::Deadline
        }
    }
}

/// Resolves when the primary is another server, or this one is a replica.
async fn moved(mut primary: watch::Receiver<Option<Arc<ServerId>>>, here: Arc<ServerId>) -> Event {
    // Before it was seen for the first time there is none, either.
    let mut was_here = false;
    let is_elsewhere = |now: &Option<Arc<ServerId>>| match now {
        Some(now) if now.run_id == here.run_id => {
            was_here = true;
            false
        }
        Some(_) => true,
        None => was_here,
    };
    if primary.wait_for(is_elsewhere).await.is_err() {
        // Nobody follows it any more: the process ends, which is told elsewhere.
        pending::<()>().await;
    }
    Event::Moved
}

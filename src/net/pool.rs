//! Connections to one upstream, kept by one worker thread.
//!
//! A pool is made for one runtime and its sockets stay on it. A connection goes back only
//! when its exchange has ended cleanly; in every other case it is closed, because on a
//! connection that was left in the middle nobody knows where the next answer begins.

mod lease;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connect::{ConnectError, Connector, Upstream, Version};
use super::http1::client::{Link, Sendable};
use lease::Carrier;
pub use lease::Lease;

/// How long an endpoint is passed over after it has refused a connection, for the first
/// time; doubled for each time that follows.
const EJECTION_MIN: Duration = Duration::from_secs(1);
/// The longest that an endpoint is passed over.
const EJECTION_MAX: Duration = Duration::from_secs(30);
/// How often an HTTP/2 connection is asked whether it is still there, and how long it may
/// take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How often unused connections are looked at within `idle_timeout`. Often, also so that a
/// worker always has a timer that ends soon: to set one that ends before all others costs tokio
/// two system calls, and each request sets one.
const SWEEPS: u32 = 12;

/// See the module. Cheap to clone.
pub struct Pool<B>(Arc<Shared<B>>);

struct Shared<B> {
    connector: Arc<Connector>,
    /// One permit for each exchange over HTTP/1.1, so at most `connections_max` are in use.
    slots: Arc<Semaphore>,
    endpoints: Vec<tokio::sync::Mutex<()>>,
    state: Mutex<State<B>>,
}

struct State<B> {
    next: usize,
    /// Counts sweeps, so that an idle connection's age is known without reading a clock for each request.
    sweep: u32,
    endpoints: Vec<EndpointState<B>>,
}

struct EndpointState<B> {
    idle: Vec<Idle<B>>,
    shared: Option<(http2::SendRequest<B>, Tasks)>,
    failures: u32,
    ejected_until: Option<Instant>,
}

struct Idle<B> {
    link: Box<Link<B>>,
    since_sweep: u32,
}

/// The tasks that drive an HTTP/2 connection: one for its socket, and others for what goes
/// over it.
#[derive(Clone, Default)]
struct Tasks {
    running: TaskTracker,
    end: CancellationToken,
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Sendable> Pool<B> {
    /// A pool on the runtime of the calling task, which also closes what is unused for long.
    pub fn new(connector: Arc<Connector>) -> Self {
        let upstream = Arc::clone(connector.upstream());
        let endpoints = upstream.endpoints.iter().map(|_| EndpointState {
            idle: Vec::new(),
            shared: None,
            failures: 0,
            ejected_until: None,
        });
        let state = State { next: 0, sweep: 0, endpoints: endpoints.collect() };
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(upstream.connections_max)),
            endpoints: upstream.endpoints.iter().map(|_| tokio::sync::Mutex::new(())).collect(),
            state: Mutex::new(state),
            connector,
        });
        tokio::spawn(sweep(Arc::downgrade(&shared), upstream.idle_timeout));
        Self(shared)
    }

    /// The upstream.
    pub fn upstream(&self) -> &Upstream {
        self.0.connector.upstream()
    }

    /// A connection, or with `fresh` one that has never been used.
    ///
    /// # Errors
    /// When none can be had within `connect_timeout`.
    pub async fn lease(&self, fresh: bool) -> Result<Lease<B>, ConnectError> {
        let upstream = self.0.connector.upstream();
        let slots = Arc::clone(&self.0.slots);
        let slot = match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => match timeout(upstream.connect_timeout, slots.acquire_owned()).await {
                Ok(Ok(slot)) => slot,
                _ => return Err(ConnectError::Exhausted(Arc::clone(&upstream.name))),
            },
        };
        let (first, found) = self.0.pick(fresh);
        if let Some(carrier) = found {
            return Ok(self.lend(carrier, first, true, slot));
        }
        // Boxed, because most requests find a connection and should not carry room for this.
        match timeout(upstream.connect_timeout, Box::pin(self.connect(first))).await {
            Ok(Ok((carrier, endpoint, reused))) => Ok(self.lend(carrier, endpoint, reused, slot)),
            Ok(Err(cause)) => {
                Err(ConnectError::Refused { upstream: Arc::clone(&upstream.name), cause })
            }
            Err(_) => {
                self.0.connected(first, false);
                Err(ConnectError::Timeout(Arc::clone(&upstream.name)))
            }
        }
    }

    fn lend(
        &self,
        carrier: Carrier<B>,
        endpoint: usize,
        reused: bool,
        slot: OwnedSemaphorePermit,
    ) -> Lease<B> {
        Lease { carrier, endpoint, reused, home: Arc::downgrade(&self.0), _slot: slot }
    }

    /// Tries the endpoints in turn, beginning with `first`.
    async fn connect(&self, first: usize) -> io::Result<(Carrier<B>, usize, bool)> {
        let count = self.0.endpoints.len();
        let mut last = io::Error::other("there is no endpoint");
        for endpoint in (first..first + count).map(|endpoint| endpoint % count) {
            match self.0.open(endpoint).await {
                Ok((carrier, reused)) => {
                    self.0.connected(endpoint, true);
                    return Ok((carrier, endpoint, reused));
                }
                Err(error) => {
                    self.0.connected(endpoint, false);
                    last = error;
                }
            }
        }
        Err(last)
    }
}

impl<B: Sendable> Shared<B> {
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    /// The endpoint whose turn it is, with an unused connection to it if there is one.
    fn pick(&self, fresh: bool) -> (usize, Option<Carrier<B>>) {
        let mut state = self.state();
        let State { next, endpoints, .. } = &mut *state;
        let count = endpoints.len();
        let turn = *next;
        *next = (turn + 1) % count;
        let mut chosen = turn;
        if endpoints[turn].ejected_until.is_some() {
            let now = Instant::now();
            chosen = (turn..turn + count)
                .map(|index| index % count)
                .find(|&index| endpoints[index].ejected_until.is_none_or(|until| until <= now))
                .unwrap_or(turn);
        }
        let endpoint = &mut endpoints[chosen];
        if fresh {
            return (chosen, None);
        }
        if let Some((sender, tasks)) = &endpoint.shared {
            if !sender.is_closed() {
                return (chosen, Some(Carrier::http2(sender, tasks)));
            }
            endpoint.shared = None;
        }
        while let Some(Idle { mut link, .. }) = endpoint.idle.pop() {
            if link.is_open() {
                return (chosen, Some(Carrier::Http1(link)));
            }
        }
        (chosen, None)
    }

    fn connected(&self, endpoint: usize, done: bool) {
        let endpoint = &mut self.state().endpoints[endpoint];
        if done {
            endpoint.failures = 0;
            endpoint.ejected_until = None;
        } else {
            let ejection = EJECTION_MIN * 2_u32.pow(endpoint.failures.min(5));
            endpoint.failures = endpoint.failures.saturating_add(1);
            endpoint.ejected_until = Some(Instant::now() + ejection.min(EJECTION_MAX));
        }
    }

    async fn open(self: &Arc<Self>, endpoint: usize) -> io::Result<(Carrier<B>, bool)> {
        if self.connector.upstream().version == Version::Http1 {
            self.make_room();
            let io = Box::new(self.connector.connect(endpoint).await?);
            return Ok((Carrier::Http1(Box::new(Link::new(io))), false));
        }
        // One connection carries all: whoever comes second waits for the first to make it.
        let _turn = self.endpoints[endpoint].lock().await;
        if let Some((sender, tasks)) = &self.state().endpoints[endpoint].shared
            && !sender.is_closed()
        {
            return Ok((Carrier::http2(sender, tasks), true));
        }
        let io = TokioIo::new(self.connector.connect(endpoint).await?);
        let tasks = Tasks::default();
        let (sender, connection) = http2::Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_INTERVAL)
            .handshake(io)
            .await
            .map_err(io::Error::other)?;
        tasks.execute(connection);
        let carrier = Carrier::http2(&sender, &tasks);
        self.state().endpoints[endpoint].shared = Some((sender, tasks));
        Ok((carrier, false))
    }

    /// Closes one unused connection if those in use and those unused are together too many.
    fn make_room(&self) {
        let connections_max = self.connector.upstream().connections_max;
        let in_use = connections_max - self.slots.available_permits().min(connections_max);
        let mut state = self.state();
        let idle: usize = state.endpoints.iter().map(|endpoint| endpoint.idle.len()).sum();
        if in_use + idle > connections_max
            && let Some(endpoint) = state.endpoints.iter_mut().max_by_key(|e| e.idle.len())
            && !endpoint.idle.is_empty()
        {
            endpoint.idle.remove(0);
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        let end = self.end.clone();
        self.running.spawn(async move {
            tokio::select! {
                biased;
                () = end.cancelled() => {}
                // Whoever uses the connection is told of its errors.
                _ = future => {}
            }
        });
    }
}

/// Closes connections that were unused for `idle_timeout`, at the latest.
async fn sweep<B: Sendable>(pool: Weak<Shared<B>>, idle_timeout: Duration) {
    let period = (idle_timeout / SWEEPS).max(Duration::from_millis(100));
    let mut ticks = tokio::time::interval(period);
    loop {
        ticks.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.state();
        state.sweep = state.sweep.wrapping_add(1);
        let now = state.sweep;
        for endpoint in &mut state.endpoints {
            endpoint.idle.retain_mut(|idle| {
                let unused = period * now.wrapping_sub(idle.since_sweep);
                unused < idle_timeout && idle.link.is_open()
            });
        }
    }
}

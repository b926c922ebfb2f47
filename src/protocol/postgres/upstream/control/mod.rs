//! Palisade's own connections to the servers: they end sessions, and say that they have ended.
//!
//! A session is gone when the server lists its process no more: the server takes a process off
//! the list after its transaction is rolled back and its locks are released. Nothing less
//! settles what the session has sent: a closed connection does not stop a statement that runs.
//!
//! One task for each server keeps a connection up, on the runtime that it was started on.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::connect::Connector;
use super::settings::Upstream;
use crate::fence::SessionId;
use crate::gate::Remains;

mod burial;
mod cluster;
mod complaint;
mod dead;
mod host;
pub(super) mod mend;
pub(super) mod orders;
pub(super) mod statements;

use cluster::{Cluster, Sight};
use orders::Orders;

pub use burial::NAMELESS_PATIENCE;
pub use host::{LOOK_MAX, LOOK_MIN, RECONNECT_MAX, RECONNECT_MIN};
pub use statements::session_suffix;

/// How long it is waited before a task that has panicked is begun again.
const REVIVAL_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub struct Control {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

struct Shared {
    connector: Arc<Connector>,
    /// One for each server.
    orders: Vec<Orders>,
    cluster: Mutex<Cluster>,
    primary: watch::Sender<Option<usize>>,
    swept: watch::Sender<Option<usize>>,
    /// Tells that something has changed that an end of dead sessions may wait for.
    news: watch::Sender<()>,
}

impl Control {
    /// Begins to connect, and to end what an earlier process of this replica has left. It stops
    /// when it is dropped.
    pub fn start(connector: Arc<Connector>, runtime: &Handle) -> Arc<Self> {
        let cluster = Cluster::new(connector.upstream().endpoints.len());
        Self::begin(connector, cluster, runtime)
    }

    /// The same where a shared ledger says what is to be ended: see [`Remains`]. What an earlier
    /// process has left is found by the grants that it has left, and not ended at the start.
    pub fn start_among_replicas(connector: Arc<Connector>, runtime: &Handle) -> Arc<Self> {
        let cluster = Cluster::new_swept(connector.upstream().endpoints.len());
        Self::begin(connector, cluster, runtime)
    }

    fn begin(connector: Arc<Connector>, cluster: Cluster, runtime: &Handle) -> Arc<Self> {
        let count = connector.upstream().endpoints.len();
        let shared = Arc::new(Shared {
            connector,
            orders: (0..count).map(|_| Orders::default()).collect(),
            primary: watch::Sender::new(cluster.primary()),
            swept: watch::Sender::new(cluster.swept()),
            news: watch::Sender::new(()),
            cluster: Mutex::new(cluster),
        });
        let task = |host| runtime.spawn(revive(shared.clone(), host)).abort_handle();
        let tasks = (0..count).map(task).collect();
        Arc::new(Self { shared, tasks })
    }

    /// Ends a backend, and returns when it is gone, or can do nothing any more: when its server
    /// was started again since, or another one was promoted after it. It goes on trying until
    /// then, and goes on when the caller does not wait any longer.
    pub async fn terminate(&self, host: usize, pid: u32) {
        if self.shared.orders[host].give(pid).await.is_err() {
            // Nobody has said that it is gone, and nobody will.
            std::future::pending().await
        }
    }

    /// Returns when nothing is left of what an earlier process of this replica had begun, with
    /// the number of sessions that were ended. A session of this process that is begun before may
    /// be taken for one of them, and ended.
    pub async fn swept(&self) -> usize {
        let mut swept = self.shared.swept.subscribe();
        match swept.wait_for(Option::is_some).await.map(|swept| *swept) {
            Ok(Some(ended)) => ended,
            // Its sender is in `self`.
            _ => std::future::pending().await,
        }
    }

    /// Whether [`Control::swept`] would return at once.
    pub fn is_swept(&self) -> bool {
        self.shared.swept.borrow().is_some()
    }

    /// Whether nothing is left on that server. One that could not be reached at the start is swept when it
    /// can be, and until then no session may be had there.
    pub fn is_host_swept(&self, host: usize) -> bool {
        self.shared.is_host_swept(host)
    }

    /// The server that is the primary now, of those that are swept. A single one always is.
    /// `None`: not known yet, or there is none.
    pub fn primary(&self) -> watch::Receiver<Option<usize>> {
        self.shared.primary.subscribe()
    }
}

impl Remains for Control {
    /// See [`burial`]. It goes on when the caller does not wait any longer.
    fn end<'a>(&'a self, dead: &'a SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let mut news = self.shared.news.subscribe();
            self.shared.want(dead);
            while !self.shared.lock().has_ended(dead) {
                if news.changed().await.is_err() {
                    // Nobody has said that it has ended, and nobody will.
                    std::future::pending::<()>().await;
                }
            }
        })
    }

    fn swept(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            Control::swept(self).await;
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    fn upstream(&self) -> &Arc<Upstream> {
        self.connector.upstream()
    }

    fn see(&self, host: usize, sight: Sight) {
        self.change(|cluster| cluster.see(host, sight));
    }

    fn sweep(&self, host: usize, ended: usize) {
        if ended > 0 {
            let (upstream, server) = (&self.upstream().name, self.connector.place(host));
            tracing::warn!(%upstream, server, ended, "ended sessions that were left behind");
        }
        self.change(|cluster| cluster.sweep(host, ended));
    }

    fn want(&self, dead: &SessionId) {
        self.lock().want(dead);
        self.orders.iter().for_each(|orders| orders.wake.notify_one());
    }

    fn wanted(&self, host: usize) -> Vec<SessionId> {
        self.lock().wanted(host)
    }

    fn end(&self, host: usize, dead: &SessionId, ended: usize) {
        if ended > 0 {
            let (upstream, server) = (&self.upstream().name, self.connector.place(host));
            tracing::warn!(%upstream, server, %dead, ended, "ended sessions of a dead replica");
        }
        self.change(|cluster| cluster.end(host, dead));
    }

    fn is_host_swept(&self, host: usize) -> bool {
        self.lock().is_host_swept(host)
    }

    fn is_swept_at_start(&self, host: usize) -> bool {
        self.lock().is_swept_at_start(host)
    }

    fn is_superseded(&self, host: usize) -> bool {
        self.lock().is_superseded(host)
    }

    fn change(&self, change: impl FnOnce(&mut Cluster)) {
        let mut cluster = self.lock();
        change(&mut cluster);
        // Under the lock, so that two servers' news are published in their order.
        let primary = cluster.primary();
        let is_new = |known: &mut Option<usize>, now: Option<usize>| {
            let is_new = *known != now;
            *known = now;
            is_new
        };
        let is_changed = self.primary.send_if_modified(|known| is_new(known, primary));
        if let Some(host) = primary.filter(|_| is_changed) {
            self.connector.prefer(host);
            let (upstream, server) = (&self.upstream().name, self.connector.place(host));
            tracing::info!(%upstream, server, "it is the primary");
        }
        // It never is undone: a server that comes later is no primary before it is swept.
        if let Some(ended) = cluster.swept()
            && self.swept.borrow().is_none()
        {
            self.swept.send_replace(Some(ended));
        }
        self.news.send_replace(());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a server's task alive: without it nothing of that server would ever settle.
async fn revive(shared: Arc<Shared>, host: usize) {
    /// Ends the task with whoever waits for it.
    struct Ending(AbortHandle);
    impl Drop for Ending {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    loop {
        let task = tokio::spawn(host::Keeper::new(shared.clone(), host).keep());
        let _ending = Ending(task.abort_handle());
        if task.await.is_err_and(|error| error.is_panic()) {
            tracing::error!(server = host, "the control connection's task has panicked");
        }
        tokio::time::sleep(REVIVAL_PAUSE).await;
    }
}

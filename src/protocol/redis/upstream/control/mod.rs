//! Palisade's own connection to the primary: it kills clients, says that they are gone, and sees
//! what becomes of the server.
//!
//! A client is gone when the server does not list it any more. Redis runs one command at a time,
//! and frees a client before it answers CLIENT KILL; so after that nothing of it runs, not even
//! what the server had read of it already. Nothing less settles what a session has sent: a closed
//! connection does not stop what is in the server's buffers.
//!
//! One task keeps the connection up, on the runtime that it was started on; with Sentinel, another
//! one asks who is the primary.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::AbortHandle;

use super::connect::Connector;
use super::server::ServerId;
use crate::fence::SessionId;
use crate::gate::Remains;

mod asks;
mod changes;
mod complaint;
mod dead;
mod failover;
mod keeper;
mod names;
mod orders;
mod round;
mod sweep;

use asks::Ask;
use dead::Dead;
use orders::Orders;

pub use asks::{ASKS_MAX, KEYS_BYTES_MAX, KEYS_TIMEOUT, KeysError, UNBLOCK_TIMEOUT};
pub use changes::{CHANGES_MAX, Change, ChangeKind};
pub use keeper::{LOOK_MAX, LOOK_MIN, RECONNECT_MAX, RECONNECT_MIN};
pub use names::session_suffix;
pub use round::BATCH_MAX;

/// How long it is waited before a task that has panicked is begun again.
const REVIVAL_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub struct Control {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
    tasks: Vec<AbortHandle>,
}

struct Shared {
    connector: Arc<Connector>,
    orders: Orders,
    primary: watch::Sender<Option<Arc<ServerId>>>,
    swept: watch::Sender<Option<usize>>,
    dead: Dead,
    commands: watch::Sender<Option<Arc<Value>>>,
    changes: broadcast::Sender<Change>,
    /// For the task that keeps the connection, one at a time.
    asked: tokio::sync::Mutex<mpsc::Receiver<Ask>>,
}

impl Control {
    /// Begins to connect, and to kill what an earlier process of this replica has left. It stops
    /// when it is dropped.
    pub fn start(connector: Arc<Connector>, runtime: &Handle) -> Arc<Self> {
        Self::begin(connector, None, runtime)
    }

    /// The same where a shared ledger says what is to be killed: see [`Remains`]. What an earlier
    /// process has left is found by the grants that it has left, and not killed at the start.
    pub fn start_among_replicas(connector: Arc<Connector>, runtime: &Handle) -> Arc<Self> {
        Self::begin(connector, Some(0), runtime)
    }

    fn begin(connector: Arc<Connector>, swept: Option<usize>, runtime: &Handle) -> Arc<Self> {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let has_sentinel = connector.upstream().sentinel.is_some();
        let shared = Arc::new(Shared {
            connector,
            orders: Orders::default(),
            primary: watch::Sender::new(None),
            swept: watch::Sender::new(swept),
            dead: Dead::new(),
            commands: watch::Sender::new(None),
            changes: broadcast::Sender::new(CHANGES_MAX),
            asked: tokio::sync::Mutex::new(asked),
        });
        let mut tasks = vec![runtime.spawn(revive(shared.clone())).abort_handle()];
        if has_sentinel {
            tasks.push(runtime.spawn(follow(shared.clone())).abort_handle());
        }
        Arc::new(Self { shared, asks, tasks })
    }

    /// Kills a client, and returns when nothing of it can run any more where anybody would see it:
    /// when its own process has said that it is gone, or when another one is the primary in its
    /// place. It goes on trying until then, and goes on when the caller does not wait any longer.
    pub async fn kill(&self, server: &Arc<ServerId>, client_id: u64) {
        if self.shared.orders.give(server.clone(), client_id).await.is_err() {
            // Nobody has said that it is gone, and nobody will.
            std::future::pending().await
        }
    }

    /// Ends what a client waits for in a blocking command, with an error, within
    /// [`UNBLOCK_TIMEOUT`]. Whether it did: when false, the client waited for nothing, or nobody
    /// could be asked.
    pub async fn unblock(&self, server: &Arc<ServerId>, client_id: u64) -> bool {
        let id = client_id.to_string();
        let command = ["CLIENT", "UNBLOCK", id.as_str(), "ERROR"];
        let command = command.iter().map(|it| it.as_bytes().to_vec()).collect();
        let answer = asks::ask(&self.asks, Some(server.clone()), command, UNBLOCK_TIMEOUT).await;
        answer == Some(Value::Int(1))
    }

    /// Returns when nothing is left of what an earlier process of this replica had begun, with the
    /// number of clients that were killed. A session of this process that is begun before may be
    /// taken for one of them, and killed.
    pub async fn swept(&self) -> usize {
        let mut swept = self.shared.swept.subscribe();
        match swept.wait_for(Option::is_some).await.map(|swept| *swept) {
            Ok(Some(killed)) => killed,
            // Its sender is in `self`.
            _ => std::future::pending().await,
        }
    }

    /// Whether [`Control::swept`] would return at once.
    pub fn is_swept(&self) -> bool {
        self.shared.swept.borrow().is_some()
    }

    /// Whether a server is known to have nothing of dead replicas that was told to have ended. The
    /// one on which that was made sure of is; one that becomes the primary later is swept first.
    pub fn is_clean(&self, server: &ServerId) -> bool {
        self.shared.dead.is_clean(server)
    }

    /// Returns when [`Control::is_clean`]: never for a server that is not the primary.
    pub async fn clean(&self, server: &ServerId) {
        self.shared.dead.clean(server).await;
    }

    /// The primary, once it is swept. One that is out of sight stays it, until it is seen again or
    /// another one is. `None`: not known yet, or what is there is a replica.
    pub fn primary(&self) -> watch::Receiver<Option<Arc<ServerId>>> {
        self.shared.primary.subscribe()
    }

    /// The server's answer to COMMAND, asked for at each connecting. `None`: it was not asked
    /// yet, or does not tell.
    pub fn command_table(&self) -> watch::Receiver<Option<Arc<Value>>> {
        self.shared.commands.subscribe()
    }

    /// The keys of a command, name and all, as the primary finds them; within [`KEYS_TIMEOUT`].
    ///
    /// # Errors
    /// [`KeysError`]. What the keys are is not known then.
    pub async fn keys(&self, command: &[&[u8]]) -> Result<Vec<Vec<u8>>, KeysError> {
        if command.iter().map(|it| it.len()).sum::<usize>() > KEYS_BYTES_MAX {
            return Err(KeysError::TooLong);
        }
        if command.len() < 2 {
            // The server refuses to be asked for a bare name.
            return Ok(Vec::new());
        }
        let words: [&[u8]; 2] = [b"COMMAND", b"GETKEYS"];
        let command = words.iter().chain(command).map(|it| it.to_vec()).collect();
        let answer = asks::ask(&self.asks, None, command, KEYS_TIMEOUT).await;
        asks::keys(answer.ok_or(KeysError::Unavailable)?)
    }

    /// What changes at the servers from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }
}

impl Remains for Control {
    /// See [`dead`]. It goes on when the caller does not wait any longer.
    fn end<'a>(&'a self, dead: &'a SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            self.shared.dead.want(dead);
            self.shared.orders.wake.notify_one();
            self.shared.dead.ended(dead).await;
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

/// Asks the Sentinels at each `check_interval`, apart from the rest: one that is silent is waited
/// for.
async fn follow(shared: Arc<Shared>) {
    let mut view = 0;
    loop {
        // Why they do not tell is said where it is connected.
        let _ = shared.connector.primary(Duration::ZERO).await;
        if view != shared.connector.view() {
            view = shared.connector.view();
            shared.orders.wake.notify_one();
        }
        tokio::time::sleep(shared.connector.upstream().check_interval).await;
    }
}

/// Keeps the task alive: without it nothing would ever settle.
async fn revive(shared: Arc<Shared>) {
    /// Ends the task with whoever waits for it.
    struct Ending(AbortHandle);
    impl Drop for Ending {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    loop {
        let task = tokio::spawn(keeper::Keeper::new(shared.clone()).keep());
        let _ending = Ending(task.abort_handle());
        if task.await.is_err_and(|error| error.is_panic()) {
            tracing::error!("the control connection's task has panicked");
        }
        tokio::time::sleep(REVIVAL_PAUSE).await;
    }
}

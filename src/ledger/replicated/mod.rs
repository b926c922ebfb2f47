//! A ledger that several replicas share, whatever it is kept in.
//!
//! ```text
//! raise, grant, release, bury ──▶ change: compare-and-swap ──▶ batch: many rows at once ──▶ store
//! session: keepalives, and the arithmetic of when nothing may be relied on ──▶ lease
//! feed: what others change ──▶ held: is it newer? ──▶ news: for the gate
//! ```
//!
//! What may become of a row is `fence::Row`'s to say; here is only how that comes about. Nothing
//! is safe because of the feed or of a clock of somebody else's: a change is made only under a
//! session that the store itself says is alive, and only to the row as it was looked at.

mod batch;
mod change;
mod close;
mod feed;
mod held;
mod ledger;
pub mod marks;
mod news;
mod peers;
mod session;
mod settings;
mod shared;
pub mod store;
#[cfg(test)]
pub(crate) mod tests;
mod text;

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::feed::Feed;
use self::peers::{About, Census};
use self::session::Keeper;
use self::shared::Shared;
use self::store::Store;
use super::lease::Moment;
use super::{News, Unavailable};

pub use settings::{KEEPALIVES_MIN, Settings};

/// The most entries in one answer of [`super::Ledger::list`].
pub const LIST_MAX: usize = 10_000;

/// See the module. Dropped without [`super::Ledger::close`], it leaves its session and its grants
/// behind, as a crash does.
pub struct Replicated {
    shared: Arc<Shared>,
    census: Census,
    news: Mutex<Option<mpsc::Receiver<News>>>,
    /// Aborted when dropped.
    tasks: Mutex<JoinSet<()>>,
}

impl Replicated {
    /// Begins a session in the store, and the work that keeps it, on the current runtime. Only
    /// after a metrics recorder is installed, or nothing is counted.
    ///
    /// # Errors
    /// When no session can be begun: why, and what to do.
    pub async fn open(store: Arc<dyn Store>, settings: Settings) -> Result<Arc<Self>, Unavailable> {
        let sent = Moment::now();
        let about = About::new().text();
        let begin = store.begin(&settings.replica, settings.ttl, &about);
        let session = tokio::time::timeout(settings.ttl, begin).await.map_err(|_| {
            let ms = settings.ttl.as_millis();
            Unavailable(format!("no session could be begun within {ms} ms; look at the ledger"))
        })??;
        let (jobs, job_receiver) = mpsc::channel(batch::QUEUE_MAX);
        let (rows, row_receiver) = mpsc::channel(news::NEWS_MAX);
        let (news, news_receiver) = mpsc::channel(news::NEWS_MAX);
        let shared = Arc::new(Shared::new(store, settings, jobs, session.clone(), sent));
        let census = Census::default();
        if let Ok(alive) = census.take(&shared).await {
            for other in alive.iter().map(|other| &other.id) {
                if other.replica() == session.replica() && *other != session {
                    tracing::warn!(
                        %session, %other,
                        "another session of this name is alive: a process was killed and its \
                         session has not ended yet, or two replicas have one name; give each its own"
                    );
                }
            }
        }
        let looked = Moment::now();
        let keeper = Keeper { shared: Arc::clone(&shared), session, sent, looked };
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper.keep());
        tasks.spawn(batch::send(Arc::clone(&shared), job_receiver));
        tasks.spawn(feed::look(Arc::clone(&shared), rows.clone()));
        tasks.spawn(Feed { shared: Arc::clone(&shared), rows }.follow());
        tasks.spawn(news::tell(Arc::clone(&shared), row_receiver, news));
        let (news, tasks) = (Mutex::new(Some(news_receiver)), Mutex::new(tasks));
        Ok(Arc::new(Self { shared, census, news, tasks }))
    }
}

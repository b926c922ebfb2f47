//! What a listener's files say now: follows their changes, and keeps the old when the new
//! does not load.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;

use super::error::{LoadError, TlsError};
use super::files::Snapshot;
use super::load::{self, Loaded};
use super::{Alpn, ServerTls};
use crate::net::metrics::{CERTIFICATE_EXPIRY, LIST_EXPIRY, RELOAD_FAILING, RELOADS};

/// How often the files are read to see whether they have changed. Reading shows what watching
/// a folder does not: a mounted secret changes by a link in a link.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// How often files that do not load are complained about again.
const REMINDER_INTERVAL: Duration = Duration::from_secs(300);

/// See the module.
pub struct TlsStore {
    listener: Arc<str>,
    tls: ServerTls,
    alpn: Vec<Alpn>,
    current: watch::Sender<Arc<Loaded>>,
    failing: Mutex<Option<Failing>>,
    meters: Meters,
}

/// Files that did not load: which, and when that was said last.
struct Failing {
    digest: [u8; 32],
    said: Instant,
}

struct Meters {
    not_after: Gauge,
    lists_until: Gauge,
    ok: Counter,
    failed: Counter,
    failing: Gauge,
}

enum Attempt {
    Unchanged,
    Loaded(Box<Loaded>, Vec<TlsError>),
    Failed([u8; 32], LoadError),
}

impl TlsStore {
    /// Loads the files of a listener. Blocks: call it at start, or where blocking is allowed.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn open(listener: Arc<str>, tls: ServerTls, alpn: &[Alpn]) -> Result<Arc<Self>, LoadError> {
        let (loaded, warnings) = load::load(&tls, alpn, &Snapshot::take(&tls), SystemTime::now());
        let loaded = loaded?;
        let meters = Meters::new(&listener);
        warn(&listener, &warnings);
        meters.loaded(&loaded);
        let (current, _) = watch::channel(Arc::new(loaded));
        let failing = Mutex::new(None);
        Ok(Arc::new(Self { listener, tls, alpn: alpn.to_vec(), current, failing, meters }))
    }

    /// What is in force now.
    pub fn current(&self) -> Arc<Loaded> {
        self.current.borrow().clone()
    }

    /// The files, and where identities are looked for.
    pub fn settings(&self) -> &ServerTls {
        &self.tls
    }

    /// Shows what is in force now, and every change of it.
    pub(in crate::net) fn subscribe(&self) -> watch::Receiver<Arc<Loaded>> {
        self.current.subscribe()
    }

    /// Reads the files again, for SIGHUP; true if they had changed and are in force now.
    ///
    /// # Errors
    /// Everything that is wrong with them. What was in force before still is; this was logged
    /// and counted too.
    pub async fn reload(&self) -> Result<bool, LoadError> {
        self.attempt(true).await
    }

    /// Reloads as the files change, for ever.
    pub async fn follow(&self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            // It has logged what is wrong.
            let _ = self.attempt(false).await;
        }
    }

    async fn attempt(&self, asked: bool) -> Result<bool, LoadError> {
        let mut failing = self.failing.lock().await;
        let (tls, alpn) = (self.tls.clone(), self.alpn.clone());
        let known = self.current.borrow().digest;
        // Off the workers, and a panic in a parser ends there too.
        let attempt = spawn_blocking(move || {
            let snapshot = Snapshot::take(&tls);
            let digest = load::digest(&snapshot);
            if digest == known {
                return Attempt::Unchanged;
            }
            match load::load(&tls, &alpn, &snapshot, SystemTime::now()) {
                (Ok(loaded), warnings) => Attempt::Loaded(Box::new(loaded), warnings),
                (Err(error), _) => Attempt::Failed(digest, error),
            }
        });
        match attempt.await {
            Ok(Attempt::Unchanged) => {
                if failing.take().is_some() {
                    self.meters.failing.set(0.0);
                    tracing::info!(listener = %self.listener, "TLS files are as before again");
                }
                Ok(false)
            }
            Ok(Attempt::Loaded(loaded, warnings)) => {
                *failing = None;
                self.meters.ok.increment(1);
                self.meters.loaded(&loaded);
                self.current.send_replace(Arc::new(*loaded));
                tracing::info!(listener = %self.listener, "TLS files reloaded");
                warn(&self.listener, &warnings);
                Ok(true)
            }
            Ok(Attempt::Failed(digest, error)) => {
                self.complain(&mut failing, digest, asked, &error);
                Err(error)
            }
            Err(error) => {
                let error = rustls::Error::General(format!("reading the files failed: {error}"));
                let path = self.tls.certificate.clone();
                let error = LoadError(vec![TlsError::Setup { path, error }]);
                self.complain(&mut failing, [0; 32], asked, &error);
                Err(error)
            }
        }
    }

    fn complain(
        &self,
        failing: &mut Option<Failing>,
        digest: [u8; 32],
        asked: bool,
        error: &LoadError,
    ) {
        let known = failing.as_ref().filter(|known| known.digest == digest);
        let fresh = known.is_none() || asked;
        if fresh {
            self.meters.failed.increment(1);
            self.meters.failing.set(1.0);
        }
        if fresh || known.is_some_and(|known| known.said.elapsed() >= REMINDER_INTERVAL) {
            tracing::error!(
                listener = %self.listener, %error,
                "new TLS files do not load, the ones before stay in force: mend them"
            );
            *failing = Some(Failing { digest, said: Instant::now() });
        }
    }
}

impl std::fmt::Debug for TlsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("TlsStore");
        shown.field("listener", &self.listener).field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl Meters {
    fn new(listener: &Arc<str>) -> Self {
        let name = || listener.to_string();
        Self {
            not_after: gauge!(CERTIFICATE_EXPIRY, "listener" => name()),
            lists_until: gauge!(LIST_EXPIRY, "listener" => name()),
            ok: counter!(RELOADS, "listener" => name(), "result" => "ok"),
            failed: counter!(RELOADS, "listener" => name(), "result" => "failed"),
            failing: gauge!(RELOAD_FAILING, "listener" => name()),
        }
    }

    fn loaded(&self, loaded: &Loaded) {
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
        };
        self.not_after.set(seconds(loaded.not_after));
        // Without a list there is nothing that could expire.
        self.lists_until.set(loaded.lists_until.map_or(f64::INFINITY, seconds));
        self.failing.set(0.0);
    }
}

fn warn(listener: &str, warnings: &[TlsError]) {
    for warning in warnings {
        tracing::warn!(listener, "{warning}");
    }
}

//! A gate on a ledger that can be held up and made to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::audit::Audit;
use crate::fence::{Granted, Holder, Mark, RaiseOutcome, Record, Resource, Token, TokenRules};
use crate::gate::{Bid, Gate, Settings};
use crate::ledger::embedded::Embedded;
use crate::ledger::lease::Lease;
use crate::ledger::{Entry, Ledger, Pending, Unavailable};
use crate::net::identity::{Identity, Peer, Source};
use crate::rules::{CommitPoint, Covers, Globs, HolderKind, Pattern, Reads, Rule, Template, Who};

pub(super) const SETTLE: Duration = Duration::from_millis(300);

/// The embedded ledger behind a switch for each fault.
pub(super) struct Faulty {
    inner: Embedded,
    /// Raises wait for a permit each while this is set.
    pub(super) held: AtomicBool,
    pub(super) release: Semaphore,
    /// Raises fail and surely are not done.
    pub(super) failing: AtomicBool,
    /// Raises are done and their answer is lost.
    pub(super) losing: AtomicBool,
    pub(super) unreadable: AtomicBool,
    pub(super) raises: AtomicUsize,
}

impl Ledger for Faulty {
    fn load<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Record, Unavailable>> {
        Box::pin(async move {
            match self.unreadable.load(Ordering::SeqCst) {
                true => Err(Unavailable("made to fail".into())),
                false => self.inner.load(resource).await,
            }
        })
    }

    fn raise<'a>(
        &'a self,
        resource: &'a Resource,
        to: &'a Mark,
        quiesced: bool,
    ) -> Pending<'a, RaiseOutcome> {
        Box::pin(async move {
            self.raises.fetch_add(1, Ordering::SeqCst);
            if self.held.load(Ordering::SeqCst) {
                self.release.acquire().await.expect("never closed").forget();
            }
            if self.failing.load(Ordering::SeqCst) {
                return RaiseOutcome::Failed;
            }
            let outcome = self.inner.raise(resource, to, quiesced).await;
            match self.losing.load(Ordering::SeqCst) {
                true => RaiseOutcome::Unknown,
                false => outcome,
            }
        })
    }

    fn grant<'a>(&'a self, resource: &'a Resource, at: Token) -> Pending<'a, Granted> {
        Box::pin(async move {
            match self.failing.load(Ordering::SeqCst) {
                true => Granted::Failed,
                false => self.inner.grant(resource, at).await,
            }
        })
    }

    fn list<'a>(
        &'a self,
        after: Option<&'a str>,
        max: usize,
    ) -> Pending<'a, Result<Vec<Entry>, Unavailable>> {
        self.inner.list(after, max)
    }

    fn entry<'a>(
        &'a self,
        resource: &'a Resource,
    ) -> Pending<'a, Result<Option<Entry>, Unavailable>> {
        self.inner.entry(resource)
    }

    fn lease(&self) -> &Lease {
        self.inner.lease()
    }

    fn ended_uncleanly(&self) -> bool {
        self.inner.ended_uncleanly()
    }

    fn health(&self) -> Result<(), Unavailable> {
        self.inner.health()
    }

    fn close(&self) -> Pending<'_, Result<(), Unavailable>> {
        self.inner.close()
    }
}

/// A process: a gate on a ledger file in a folder that outlives it.
pub(super) struct Process {
    pub(super) gate: Arc<Gate>,
    pub(super) ledger: Arc<Faulty>,
}

impl Process {
    /// Begins a process on the folder's ledger.
    pub(super) fn start(folder: &tempfile::TempDir) -> Self {
        Self::start_with(folder, Settings { settle_timeout_max: SETTLE, ..Settings::default() })
    }

    pub(super) fn start_with(folder: &tempfile::TempDir, settings: Settings) -> Self {
        let path = folder.path().join("ledger.redb");
        let inner = Embedded::open(&path, Default::default()).expect("the ledger opens");
        let ledger = Arc::new(Faulty {
            inner,
            held: AtomicBool::new(false),
            release: Semaphore::new(0),
            failing: AtomicBool::new(false),
            losing: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
            raises: AtomicUsize::new(0),
        });
        let shared: Arc<dyn Ledger> = Arc::clone(&ledger) as _;
        let gate = Arc::new(Gate::new(shared, settings, Audit::disabled(), Handle::current()));
        Self { gate, ledger }
    }
}

pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// What a process that dies at this moment leaves on disk, in a folder of its own. The
/// dead one goes on here, which harms nobody: it has a file of its own.
pub(super) fn crashed(folder: &tempfile::TempDir) -> tempfile::TempDir {
    let left = self::folder();
    let name = "ledger.redb";
    std::fs::copy(folder.path().join(name), left.path().join(name)).expect("a copy");
    left
}

pub(super) fn peer(name: &str) -> Peer {
    Peer {
        identity: Arc::new(Identity {
            name: name.into(),
            source: Source::Cn,
            serial: "01".into(),
            fingerprint: "ab".into(),
            not_after: SystemTime::now() + Duration::from_secs(3600),
        }),
        address: ([127, 0, 0, 1], 1).into(),
    }
}

pub(super) fn rule() -> Rule {
    let everybody = || Globs::new(["**"]).expect("a glob");
    let pattern = Pattern::parse("/orders/**").expect("a pattern");
    Rule {
        name: "orders".into(),
        resource: Template::parse("orders", &pattern).expect("a template"),
        covers: Covers::Paths(pattern),
        who: Who { read: everybody(), write: everybody(), raise: everybody(), ..Who::default() },
        reads: Reads::Open,
        tokens: TokenRules::default(),
        holder: HolderKind::Identity,
        commit_point: CommitPoint::LastByte,
        settle_timeout: SETTLE,
        takeover_timeout: Duration::from_secs(5),
        sessions: crate::rules::Sessions::default(),
    }
}

/// A request of `name` with a token, for the resource `orders`.
pub(super) fn bid(name: &str, token: u64) -> Bid {
    bid_for("orders", name, token)
}

pub(super) fn bid_for(resource: &str, name: &str, token: u64) -> Bid {
    Bid {
        resource: Resource::new(resource).expect("a name"),
        rule: Arc::new(rule()),
        claim: Mark { token: Token::new(0, token), holder: Holder::new(name) },
        peer: peer(name),
        wait: Duration::from_secs(5),
    }
}

//! What the two halves of a write on its way share: the body that is being sent, and
//! the exchange that waits for the answer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use futures_util::task::AtomicWaker;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::fence::{Cut, Mark, Refusal};
use crate::gate::Admission;

/// Why the body of a request could not be sent to its end.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyFault {
    /// The client hung up, or broke its framing.
    #[error("the client did not send the request's body to its end")]
    Broken,
    /// A takeover came first.
    #[error("a takeover came first")]
    Cut,
    /// The exchange has ended, and nobody needs the rest.
    #[error("the exchange has ended")]
    Ended,
    /// What the body says about itself does not hold.
    #[error("{0}")]
    Malformed(String),
    /// A bound.
    #[error("the body has more than {bytes_max} bytes ({limit})")]
    TooLarge {
        /// The name of the bound.
        limit: &'static str,
        /// In bytes.
        bytes_max: u64,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Flight {
    admissions: SmallVec<[Admission; 1]>,
    phase: AtomicU8,
    fault: OnceLock<BodyFault>,
    done: AtomicBool,
    done_at: OnceLock<Instant>,
    frames: AtomicU32,
    starved: AtomicBool,
    body: AtomicWaker,
}

/// Not at its commit point yet; stopping it undoes it with certainty.
const STREAMING: u8 = 0;
/// Past its commit point.
const COMMITTED: u8 = 1;
/// The store has answered before the commit point: no more is sent.
const STOPPED: u8 = 2;
/// The body must fail.
const DEAD: u8 = 3;

impl Flight {
    /// A request with these admissions, none of them for one that is not fenced.
    pub fn new(admissions: SmallVec<[Admission; 1]>, has_body: bool) -> Self {
        Self {
            admissions,
            phase: AtomicU8::new(STREAMING),
            fault: OnceLock::new(),
            done: AtomicBool::new(!has_body),
            done_at: OnceLock::new(),
            frames: AtomicU32::new(0),
            starved: AtomicBool::new(false),
            body: AtomicWaker::new(),
        }
    }

    /// What it was admitted for.
    pub fn admissions(&self) -> &[Admission] {
        &self.admissions
    }

    /// Whether it is a fenced write.
    pub fn is_fenced(&self) -> bool {
        !self.admissions.is_empty()
    }

    /// The commit point of all its admissions together.
    ///
    /// # Errors
    /// [`Cut`] when a takeover of any of them came first, or the exchange has ended: nothing
    /// more may be sent.
    pub fn commit(&self) -> Result<(), Cut> {
        let change = (STREAMING, COMMITTED);
        match self.phase.compare_exchange(change.0, change.1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {}
            Err(COMMITTED) => return Ok(()),
            Err(_) => return Err(Cut),
        }
        for admission in &self.admissions {
            if let Err(cut) = admission.commit() {
                // Nothing was sent under those that did commit.
                self.phase.store(DEAD, Ordering::Release);
                self.settle();
                return Err(cut);
            }
        }
        Ok(())
    }

    /// Whether it is past its commit point.
    pub fn is_committed(&self) -> bool {
        self.phase.load(Ordering::Acquire) == COMMITTED
    }

    /// Whether the rest of the body is held back for good.
    pub fn is_stopped(&self) -> bool {
        self.phase.load(Ordering::Acquire) == STOPPED
    }

    /// Whether the body has to fail.
    pub fn is_dead(&self) -> bool {
        self.phase.load(Ordering::Acquire) == DEAD
    }

    /// The store has answered: if the commit point is not reached yet, it never will be.
    pub fn stop(&self) {
        let _ =
            self.phase.compare_exchange(STREAMING, STOPPED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The exchange has ended: a body that is still being sent fails. Says whether it was
    /// past its commit point.
    pub fn kill(&self) -> bool {
        if self.is_done() {
            return self.is_committed();
        }
        let before = self.phase.swap(DEAD, Ordering::AcqRel);
        self.body.wake();
        before == COMMITTED
    }

    /// The store has answered, or nothing was or will be sent.
    pub fn settle(&self) {
        self.admissions.iter().for_each(Admission::settle);
    }

    /// Nobody can tell what became of it. Only once no byte of it can leave any more: until
    /// its connection was closed, the kernel may have kept its last one back.
    pub fn lose(&self) {
        let now = Instant::now();
        self.admissions.iter().for_each(|admission| admission.lose(now));
    }

    /// Resolves when any of its admissions is lost.
    pub async fn lost(&self) {
        match &*self.admissions {
            [] => std::future::pending().await,
            [admission] => admission.lost().await,
            several => {
                let all = several.iter().map(|admission| Box::pin(admission.lost()));
                futures_util::future::select_all(all).await;
            }
        }
    }

    /// The mark that outranks it, if one does.
    pub fn outranked_by(&self) -> Option<(&Admission, Mark)> {
        self.admissions.iter().find_map(|one| one.outranked_by().map(|mark| (one, mark)))
    }

    /// Why it was lost: a takeover counts for more than that the session with the ledger is over,
    /// or that the process ends. `None` where it was not.
    pub fn why(&self) -> Option<Refusal> {
        let mut all = self.admissions.iter().filter_map(Admission::why);
        let first = all.next()?;
        let is_stale = |why: &Refusal| matches!(why, Refusal::Stale { .. });
        if is_stale(&first) { Some(first) } else { all.find(is_stale).or(Some(first)) }
    }

    /// Why the body failed, if it did.
    pub fn fault(&self) -> Option<&BodyFault> {
        self.fault.get()
    }

    /// Whether all of the body has been handed over for sending.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Since when it has; `None` where there is no body.
    pub fn done_at(&self) -> Option<Instant> {
        self.done_at.get().copied()
    }

    /// How many frames of the body have been handed over.
    pub fn frames(&self) -> u32 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Whether the body waits for the client, rather than for the store.
    pub fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
    }

    pub(super) fn fail(&self, fault: BodyFault) -> BodyFault {
        self.fault.get_or_init(|| fault).clone()
    }

    pub(super) fn finish(&self) {
        let _ = self.done_at.set(Instant::now());
        self.done.store(true, Ordering::Release);
    }

    pub(super) fn progress(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn starve(&self, starved: bool) {
        self.starved.store(starved, Ordering::Relaxed);
    }

    pub(super) fn register(&self, waker: &std::task::Waker) {
        self.body.register(waker);
    }
}

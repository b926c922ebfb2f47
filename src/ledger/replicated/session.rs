//! The keeper of the session: keepalives, and what happens when they do not succeed.
//!
//! Timers of the runtime say when to look; what is decided is decided by [`Moment`], which goes
//! on while the machine is suspended or the process frozen. See `settings` for the arithmetic.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::news::Transition;
use super::peers::About;
use super::shared::Shared;
use super::store::Kept;
use crate::fence::SessionId;
use crate::ledger::Unavailable;
use crate::ledger::lease::Moment;
use crate::ledger::metrics::Operation;

/// How long the keeper sleeps at most before it looks at the clock: timers of the runtime stand
/// still while the machine is suspended.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Between looks whether the gate has hung up.
const HANG_UP_PAUSE: Duration = Duration::from_millis(2);
/// A look that comes later than this, or than a keepalive is due, was kept from it.
const FREEZE_MIN: Duration = Duration::from_secs(1);
/// Between attempts to begin a session, at first and at most.
const RENEWAL_PAUSE: Duration = Duration::from_millis(50);
/// See [`RENEWAL_PAUSE`].
const RENEWAL_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Why a session is not relied on any more.
struct Loss {
    why: String,
    /// Its time is over: nothing is waited for.
    is_late: bool,
    /// The store itself says that it is over. Time alone does not: a keepalive whose answer was
    /// lost has prolonged it there.
    is_over: bool,
}

/// See the module.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) session: SessionId,
    /// When the last keepalive that succeeded was sent.
    pub(super) sent: Moment,
    /// When the clock was last looked at.
    pub(super) looked: Moment,
}

impl Keeper {
    /// Keeps a session alive, and begins a new one when it is over, until the ledger is closed.
    pub(super) async fn keep(mut self) {
        loop {
            let Loss { why, is_late, is_over } = self.live().await;
            let shared = Arc::clone(&self.shared);
            shared.suspend(&why);
            shared.transitions.push(Transition::Suspended);
            tracing::warn!(
                session = %self.session, why,
                "the session with the ledger is over: writes are refused until a new one begins"
            );
            shared.metrics.show(&shared.condition());
            if shared.is_ending() {
                return; // What could not be given up stays.
            }
            if !is_late {
                self.sleep_until(self.sent + shared.settings.hangs_up_after()).await;
            }
            let carried_out = CancellationToken::new();
            shared.transitions.push(Transition::HangUp(carried_out.clone().drop_guard()));
            if !is_late {
                self.sleep_until(self.sent + shared.settings.ttl).await;
            }
            // Where nobody listens there is nothing to carry out.
            while shared.transitions.is_heard() && !carried_out.is_cancelled() {
                self.sleep_until(Moment::now() + HANG_UP_PAUSE).await;
            }
            self.renew(is_over).await;
            shared.transitions.push(Transition::Resumed);
            tracing::info!(session = %self.session, "a new session with the ledger has begun");
            shared.metrics.show(&shared.condition());
        }
    }

    /// Sends keepalives until the session cannot be relied on any more.
    async fn live(&mut self) -> Loss {
        let interval = self.shared.settings.keepalive_interval();
        let mut due = self.sent + interval;
        loop {
            if let Some(loss) = self.pause_until(due).await {
                return loss;
            }
            let shared = Arc::clone(&self.shared);
            let session = self.session.clone();
            let about = About::of(&shared);
            let (beat, text) = (about.beat, about.text());
            let sent = Moment::now();
            let keepalive = shared.timed(Operation::Keep, shared.store.keep(&session, &text));
            let kept = tokio::select! {
                biased;
                Some(loss) = self.pause_until(Moment::NEVER) => return loss,
                kept = keepalive => kept,
            };
            due = sent + interval;
            match kept.and_then(|kept| kept) {
                Ok(Kept::Alive) => {
                    let before = self.sent + shared.settings.admits_for();
                    self.sent = sent;
                    shared.is_kept(sent);
                    // Looked at after the lease was set: whoever found it out before has suspended
                    // itself, and has to be told of a session that goes on.
                    if Moment::now() >= before {
                        let why = "a keepalive was answered too late".into();
                        return Loss { why, is_late: false, is_over: false };
                    }
                    shared.expect_echo(beat, sent);
                }
                Ok(Kept::Gone) => return gone("the ledger has dropped it"),
                Err(Unavailable(why)) => {
                    shared.metrics.keepalives_failed.increment(1);
                    tracing::warn!(%session, why, "a keepalive of the session did not succeed");
                    shared.is_troubled(why);
                    // Sooner than usual, not at once.
                    due = Moment::now() + interval / 2;
                }
            }
            shared.metrics.show(&shared.condition());
            let age = shared.began().elapsed().unwrap_or_default();
            shared.metrics.session_age_seconds.set(age.as_secs_f64());
        }
    }

    /// Waits until then, or until the session is not relied on any more.
    async fn pause_until(&mut self, due: Moment) -> Option<Loss> {
        let shared = Arc::clone(&self.shared);
        loop {
            let now = self.look();
            let settings = &shared.settings;
            let suspends = self.sent + settings.admits_for();
            if now >= self.sent + settings.ttl {
                let why = "this process was frozen, or the ledger out of reach, for longer".into();
                return Some(Loss { why, is_late: true, is_over: false });
            }
            if now >= suspends {
                let why = "no keepalive has succeeded for too long".into();
                return Some(Loss { why, is_late: false, is_over: false });
            }
            if now >= due {
                return None;
            }
            let wake = due.min(suspends).since(now).min(LOOK_INTERVAL);
            tokio::select! {
                biased;
                () = shared.woken.notified() => if shared.is_known_lost() {
                    return Some(gone("a change was refused under it"));
                },
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    async fn sleep_until(&mut self, due: Moment) {
        loop {
            let now = self.look();
            if now >= due {
                return;
            }
            tokio::time::sleep(due.since(now).min(LOOK_INTERVAL)).await;
        }
    }

    /// Looks at the clock, and notices when it could not for a long time.
    fn look(&mut self) -> Moment {
        let now = Moment::now();
        let away = now.since(std::mem::replace(&mut self.looked, now));
        if away >= FREEZE_MIN.max(self.shared.settings.keepalive_interval()) {
            self.shared.metrics.freezes.increment(1);
            tracing::warn!(
                away_ms = away.as_millis() as u64,
                "this process or its machine stood still; what was under way is looked at anew"
            );
        }
        now
    }

    /// Ends the session that is over, and begins the next as soon as the ledger can be reached.
    async fn renew(&mut self, mut is_over: bool) {
        let shared = Arc::clone(&self.shared);
        let mut pause = RENEWAL_PAUSE;
        loop {
            // Whoever waits for what it has left need not wait for the ledger to notice.
            is_over = is_over
                || matches!(
                    shared.timed(Operation::End, shared.store.end(&self.session)).await,
                    Ok(Ok(()))
                );
            let sent = Moment::now();
            let about = About::new().text();
            let settings = &shared.settings;
            let begin = shared.store.begin(&settings.replica, settings.ttl, &about);
            match shared.timed(Operation::Begin, begin).await.and_then(|begun| begun) {
                Ok(session) if Moment::now().since(sent) < settings.keepalive_interval() => {
                    if is_over {
                        shared.held().is_over(self.session.number());
                    }
                    (self.session, self.sent) = (session.clone(), sent);
                    self.looked = Moment::now();
                    shared.renew(session, sent);
                    shared.look.notify_one();
                    return;
                }
                Ok(late) => {
                    let _ = shared.timed(Operation::End, shared.store.end(&late)).await;
                }
                Err(error) => tracing::debug!(%error, "no session could be begun"),
            }
            // What the ledger took its time for is no freeze.
            self.looked = Moment::now();
            self.sleep_until(Moment::now() + pause).await;
            pause = (pause * 2).min(RENEWAL_PAUSE_MAX);
        }
    }
}

fn gone(why: &str) -> Loss {
    Loss { why: why.into(), is_late: true, is_over: true }
}

//! What the gate is told: the ends and beginnings of sessions before any row.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::DropGuard;

use super::shared::Shared;
use crate::ledger::News;

/// How many pieces of news wait for the gate. Few, so that the end of a session waits for few.
pub(super) const NEWS_MAX: usize = 64;
/// The steps that a session goes through: suspended, hung up, resumed.
const STEPS: usize = 3;

/// A step in the life of a session.
#[derive(Debug)]
pub(super) enum Transition {
    Suspended,
    /// Dropped when the gate has carried it out.
    HangUp(DropGuard),
    Resumed,
}

/// The steps that the gate has not been told of. Whoever makes one waits for nobody.
#[derive(Debug, Default)]
pub(super) struct Transitions {
    waiting: Mutex<VecDeque<Transition>>,
    is_heard: AtomicBool,
    pub(super) some: Notify,
}

impl Transitions {
    pub(super) fn push(&self, transition: Transition) {
        let mut waiting = self.waiting();
        waiting.push_back(transition);
        if waiting.len() > 2 * STEPS {
            // They come in turn: without one round it is the same story.
            waiting.drain(..STEPS);
        }
        self.some.notify_one();
    }

    /// The gate listens from now on.
    pub(super) fn listen(&self) {
        self.is_heard.store(true, Ordering::SeqCst);
    }

    /// Whether the gate listens.
    pub(super) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::SeqCst)
    }

    fn pop(&self) -> Option<Transition> {
        self.waiting().pop_front()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Transition>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands on what the feed and the session have to tell, for as long as somebody listens.
pub(super) async fn tell(
    shared: Arc<Shared>,
    mut rows: mpsc::Receiver<News>,
    news: mpsc::Sender<News>,
) {
    // Room first, so that what is told is decided when it can be.
    while let Ok(room) = news.reserve().await {
        let told = loop {
            if let Some(transition) = shared.transitions.pop() {
                break Some(transition.into());
            }
            tokio::select! {
                biased;
                () = shared.transitions.some.notified() => {}
                row = rows.recv() => break row,
            }
        };
        match told {
            Some(told) => room.send(told),
            None => return,
        }
    }
}

impl From<Transition> for News {
    fn from(transition: Transition) -> Self {
        match transition {
            Transition::Suspended => Self::Suspended,
            Transition::HangUp(told) => Self::HangUp(Arc::new(told)),
            Transition::Resumed => Self::Resumed,
        }
    }
}

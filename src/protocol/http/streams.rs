//! Ends an HTTP/2 stream whose client takes nothing more of its answer.
//!
//! [`WriteStall`](super::write_stall::WriteStall) sees a connection on which nothing can be
//! written. A client that keeps the window of one stream shut can hold that stream, and the
//! store's connection behind it, while the others and its pings go on. hyper asks such a body for
//! nothing, so it is the task of the stream that has to look.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use metrics::Counter;
use tokio::time::{Instant, Sleep, sleep};

/// Whom the stream that is polled waits for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Waits {
    /// The body was not asked, so whomever it has waited for before.
    AsBefore,
    /// The body has given what is not sent yet.
    Client,
    /// The body has nothing to give.
    Store,
}

thread_local! {
    static WAITS: Cell<Waits> = const { Cell::new(Waits::AsBefore) };
}

/// Runs the streams of a connection, each for as long as its client takes what it is given.
#[derive(Clone)]
pub struct Streams {
    /// How long a piece of an answer may wait for its client. Seen after one to two of it.
    pub stall_timeout: Duration,
    /// Counts those that were ended.
    pub stalled: Counter,
}

/// Notes what a body has answered when it was polled.
pub fn note<T>(polled: Poll<T>) -> Poll<T> {
    WAITS.set(if polled.is_ready() { Waits::Client } else { Waits::Store });
    polled
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(watched(stream, self.clone()));
    }
}

/// Dropped in the middle, h2 resets the stream and forgets what it has not sent of it.
async fn watched(stream: impl Future<Output = ()>, streams: Streams) {
    let stall_timeout = streams.stall_timeout;
    let mut stream = pin!(stream);
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    let (mut for_client, mut moved) = (false, false);
    poll_fn(|cx| {
        WAITS.set(Waits::AsBefore);
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match WAITS.get() {
            Waits::AsBefore => {}
            Waits::Client => (for_client, moved) = (true, true),
            Waits::Store => for_client = false,
        }
        if !for_client {
            return Poll::Pending;
        }
        let timer = timer.get_or_insert_with(|| {
            moved = false;
            Box::pin(sleep(stall_timeout))
        });
        while timer.as_mut().poll(cx).is_ready() {
            if !std::mem::take(&mut moved) {
                streams.stalled.increment(1);
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + stall_timeout);
        }
        Poll::Pending
    })
    .await;
}

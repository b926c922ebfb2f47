//! The two directions of a session: what may go on goes on, as fast as it is taken.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite as _;

use super::pending::Entry;
use super::session::{Event, Phase, Session};

/// Bytes of requests that are read ahead while nothing may be forwarded, so that the end of the
/// connection is seen behind them.
const READ_AHEAD_BYTES_MAX: usize = 32 * 1024;

/// What is to be done with the next message.
pub(super) enum Step {
    /// It was dealt with; look at the one behind it.
    Again,
    /// More of it has to come.
    More,
    /// It has to wait until what is before it has gone on, or been answered.
    Wait,
    Event(Event),
}

impl Session {
    /// Moves what can be moved, until something comes up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            // Answers first: they may be what the client's next request waits for.
            if let Poll::Ready(event) = self.poll_answers(cx) {
                return Poll::Ready(event);
            }
            let was_quiet = self.pending.is_empty();
            if let Poll::Ready(event) = self.poll_requests(cx) {
                return Poll::Ready(event);
            }
            // Palisade's own answers wait for nobody.
            if !was_quiet || !matches!(self.pending.first(), Some(Entry::Own(..))) {
                return Poll::Pending;
            }
        }
    }

    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            match self.from_client.poll_send(&mut self.server, &mut self.to_server, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Pending, // Its end is seen where it is read.
                Poll::Pending => {
                    self.from_client.park();
                    return Poll::Pending;
                }
            }
            if self.client.is_none() || self.has_hung_up {
                return Poll::Pending;
            }
            let step = self.requests();
            if !self.from_client.cleared().is_empty() || !self.to_server.is_empty() {
                continue;
            }
            match step {
                Step::Event(event) => return Poll::Ready(event),
                Step::Again | Step::More => {}
                Step::Wait => {
                    let held = self.from_client.open().len();
                    if self.phase != Phase::Open || held >= READ_AHEAD_BYTES_MAX {
                        self.from_client.park();
                        return Poll::Pending;
                    }
                }
            }
            let Some(client) = &mut self.client else { continue };
            match self.from_client.poll_receive(client, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Event::HungUp),
                Poll::Ready(Err(_)) => return Poll::Ready(Event::ClientGone),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Looks at the client's requests as far as they are there and may go on.
    fn requests(&mut self) -> Step {
        loop {
            match self.request() {
                Step::Again => {}
                other => return other,
            }
        }
    }

    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(client) = &mut self.client {
                match self.from_server.poll_send(client, &mut self.to_client, cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Event::ClientGone),
                    Poll::Pending => {
                        self.from_server.park();
                        return Poll::Pending;
                    }
                }
            } else {
                let count = self.from_server.cleared().len();
                self.from_server.gone(count);
                self.to_client.clear();
            }
            let step = self.answers();
            // It comes once: what may still go on goes on after it, or with the last words.
            if let Step::Event(event) = step {
                return Poll::Ready(event);
            }
            if !self.from_server.cleared().is_empty() || !self.to_client.is_empty() {
                continue;
            }
            match step {
                Step::Again | Step::More | Step::Event(_) => {}
                Step::Wait => continue,
            }
            match self.from_server.poll_receive(&mut self.server, cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ServerGone),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    if let Some(client) = &mut self.client
                        && let Poll::Ready(Err(_)) = Pin::new(client).poll_flush(cx)
                    {
                        return Poll::Ready(Event::ClientGone);
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn answers(&mut self) -> Step {
        loop {
            match self.answer() {
                Step::Again => {}
                other => return other,
            }
        }
    }
}

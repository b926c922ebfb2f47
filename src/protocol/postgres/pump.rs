//! The two directions of a session: what may go on goes on, as fast as it is taken.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;

use super::session::{Event, Session};

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
            // Answers first: they may be what the client's next message waits for.
            if let Poll::Ready(event) = self.poll_answers(cx) {
                return Poll::Ready(event);
            }
            let before = self.to_client.len();
            if let Poll::Ready(event) = self.poll_requests(cx) {
                return Poll::Ready(event);
            }
            if self.to_client.len() == before {
                return Poll::Pending;
            }
        }
    }

    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let lane = &mut self.from_client.lane;
            let sent = lane.poll_send(&mut self.server, &mut self.to_server, cx);
            match sent {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Pending, // Its end is seen where it is read.
                Poll::Pending => {
                    self.from_client.lane.park();
                    return Poll::Pending;
                }
            }
            if self.client.is_none() {
                return self.poll_hang_up(cx);
            }
            let step = self.requests();
            if !self.from_client.cleared().is_empty() || !self.to_server.is_empty() {
                continue;
            }
            match step {
                Step::Event(event) => return Poll::Ready(event),
                Step::Again | Step::More => {}
                Step::Wait => {
                    self.from_client.lane.park();
                    return Poll::Pending;
                }
            }
            let Some(client) = &mut self.client else { continue };
            match ready!(self.from_client.lane.poll_receive(client, cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Event::ClientGone { politely: false }),
                Ok(_) => {}
            }
        }
    }

    /// Looks at the client's messages as far as they are there and may go on.
    fn requests(&mut self) -> Step {
        loop {
            match self.request() {
                Step::Again => {}
                other => return other,
            }
        }
    }

    /// Tells the server that nothing more will come.
    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        // Whatever comes of it, the server's own end is waited for elsewhere.
        let _ = Pin::new(&mut self.server).poll_shutdown(cx);
        Poll::Pending
    }

    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(client) = &mut self.client {
                match self.from_server.lane.poll_send(client, &mut self.to_client, cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => {
                        return Poll::Ready(Event::ClientGone { politely: false });
                    }
                    Poll::Pending => {
                        self.from_server.lane.park();
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
                Step::Wait => return Poll::Pending,
            }
            match self.from_server.lane.poll_receive(&mut self.server, cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::ServerGone),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    if let Some(client) = &mut self.client
                        && let Poll::Ready(Err(_)) = Pin::new(client).poll_flush(cx)
                    {
                        return Poll::Ready(Event::ClientGone { politely: false });
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

//! The two directions of a session: what may go on goes on, as fast as it is taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::inlet::Inlet;
use super::session::{Event, Session};
use crate::net::buffer::{BUFFER_BYTES, Buffer};

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
            let sent = send(&mut self.server, &mut self.to_server, &mut self.from_client, cx);
            match sent {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Pending, // Its end is seen where it is read.
                Poll::Pending => {
                    self.from_client.buffer.park();
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
                    self.from_client.buffer.park();
                    return Poll::Pending;
                }
            }
            let Some(client) = &mut self.client else { continue };
            match ready!(receive(client, &mut self.from_client.buffer, cx)) {
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
                match send(client, &mut self.to_client, &mut self.from_server, cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => {
                        return Poll::Ready(Event::ClientGone { politely: false });
                    }
                    Poll::Pending => {
                        self.from_server.buffer.park();
                        return Poll::Pending;
                    }
                }
            } else {
                let count = self.from_server.cleared().len();
                self.from_server.gone(count);
                self.to_client.clear();
            }
            let step = self.answers();
            if !self.from_server.cleared().is_empty() || !self.to_client.is_empty() {
                continue;
            }
            match step {
                Step::Event(event) => return Poll::Ready(event),
                Step::Again | Step::More => {}
                Step::Wait => return Poll::Pending,
            }
            match receive(&mut self.server, &mut self.from_server.buffer, cx) {
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

/// Writes Palisade's own messages and then what is cleared.
fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    own: &mut Vec<u8>,
    inlet: &mut Inlet,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if own.is_empty() && inlet.cleared().is_empty() {
        return Poll::Ready(Ok(()));
    }
    while !own.is_empty() {
        let count = ready!(Pin::new(&mut *stream).poll_write(cx, own))?;
        own.drain(..count);
    }
    // An idle session holds nothing.
    if own.capacity() > 0 {
        *own = Vec::new();
    }
    while !inlet.cleared().is_empty() {
        let count = ready!(Pin::new(&mut *stream).poll_write(cx, inlet.cleared()))?;
        inlet.gone(count);
    }
    // TLS may hold some of it; what it holds goes out before anything else.
    let _ = Pin::new(stream).poll_flush(cx)?;
    Poll::Ready(Ok(()))
}

/// Reads what is there.
fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Buffer,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let held = buffer.filled().len();
    let room = BUFFER_BYTES.saturating_sub(held).max(BUFFER_BYTES / 4);
    let mut room = ReadBuf::new(buffer.room(room));
    let read = Pin::new(stream).poll_read(cx, &mut room);
    let count = room.filled().len();
    buffer.fill(count);
    if read.is_pending() {
        buffer.park();
    }
    read.map_ok(|()| count)
}

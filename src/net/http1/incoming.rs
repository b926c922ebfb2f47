//! A connection as its server and the body of the request under way share it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;

use super::decode::{Decoder, Piece};
use super::framing::Framing;
use super::wire::{Io, Wire};

/// A connection. Its server and the body of a request may be polled by different tasks.
pub struct Conn(Arc<Mutex<Shared>>);

/// See [`Conn`].
pub struct Shared {
    /// The bytes.
    pub wire: Wire,
    /// Even what is no request, as it begins: its answer has no body then.
    pub asks_for_head: bool,
    body: Decoder,
    /// Counts requests: a body that outlives its own finds another one here.
    serial: u64,
    /// The client waits for `100 Continue` before it sends its body.
    owes_continue: bool,
    /// The client has broken off, or broken the framing.
    broken: bool,
    /// The server, which waits for the end of the body to be read.
    server: Option<Waker>,
}

/// The body of a request.
pub struct Incoming {
    conn: Option<Arc<Mutex<Shared>>>,
    serial: u64,
    len: Option<u64>,
}

/// The client did not send the body to its end.
#[derive(Debug, thiserror::Error)]
#[error("the client did not send the request's body to its end")]
pub struct Broken;

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Conn {
    /// Without a request yet.
    pub fn new(io: Box<dyn Io>) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            wire: Wire::new(io),
            asks_for_head: false,
            body: Decoder::new(Framing::Length(0)),
            serial: 0,
            owes_continue: false,
            broken: false,
            server: None,
        })))
    }

    /// Not across a poll of anything else.
    pub fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.0)
    }

    /// The body of a request whose head has been taken.
    pub fn begin(&self, shared: &mut Shared, framing: Framing, headers: &HeaderMap) -> Incoming {
        shared.body = Decoder::new(framing);
        shared.serial += 1;
        let is_empty = shared.body.is_ended();
        shared.owes_continue = !is_empty
            && headers
                .get(EXPECT)
                .is_some_and(|what| what.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let conn = (!is_empty).then(|| Arc::clone(&self.0));
        Incoming { conn, serial: shared.serial, len: shared.body.left() }
    }
}

impl Shared {
    /// Whether no other request can be read from it.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The answer begins: from now on it is too late for `100 Continue`.
    pub fn answers(&mut self) {
        self.owes_continue = false;
    }

    /// The request has been answered: takes the body away from whoever has it. Says whether
    /// some of it is left.
    pub fn abandon(&mut self) -> bool {
        self.serial += 1;
        self.server = None;
        !self.body.is_ended() || self.broken
    }

    /// Resolves when the client has hung up after its request. A body that is still to come
    /// shows that to whoever reads it.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let body_ends = self.body.left().and_then(|left| usize::try_from(left).ok());
        match body_ends {
            // What is here already is the next request.
            Some(end) if end < self.wire.input.len() => Poll::Pending,
            Some(end) if end == self.wire.input.len() => match ready!(self.wire.poll_read(cx, 0)) {
                Ok(read) if read > 0 => Poll::Pending,
                _ => Poll::Ready(()),
            },
            _ => {
                self.server = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Reads away the rest of the body. False when it does not end within `left` bytes.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>, left: &mut u64) -> Poll<bool> {
        while !self.broken {
            match ready!(self.poll_piece(cx)) {
                Some(Ok(data)) => match left.checked_sub(data.len() as u64) {
                    Some(rest) => *left = rest,
                    None => break,
                },
                Some(Err(Broken)) => break,
                None => return Poll::Ready(true),
            }
        }
        Poll::Ready(false)
    }

    /// Reads whatever comes and throws it away, to the end or for so many bytes.
    pub fn poll_deaf(&mut self, cx: &mut Context<'_>, left: &mut u64) -> Poll<()> {
        loop {
            self.wire.input.clear();
            match ready!(self.wire.poll_read(cx, 0)) {
                Ok(read) if read > 0 && read as u64 <= *left => *left -= read as u64,
                _ => return Poll::Ready(()),
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let next = ready!(self.poll_decoded(cx));
        self.broken |= matches!(next, Some(Err(Broken)));
        if (self.body.is_ended() || self.broken)
            && let Some(server) = self.server.take()
        {
            server.wake();
        }
        Poll::Ready(next)
    }

    fn poll_decoded(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match self.body.next(&mut self.wire) {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Piece::End | Piece::Trailers(_)) => return Poll::Ready(None),
                Err(_) => return Poll::Ready(Some(Err(Broken))),
                Ok(Piece::Wanting) => {}
            }
            if std::mem::take(&mut self.owes_continue) {
                self.wire.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                // What cannot be written now goes out before the answer does.
                if let Poll::Ready(Err(_)) = self.wire.poll_write(cx) {
                    return Poll::Ready(Some(Err(Broken)));
                }
            }
            match ready!(self.wire.poll_read(cx, self.body.wanted())) {
                Ok(read) if read > 0 => {}
                _ => return Poll::Ready(Some(Err(Broken))),
            }
        }
    }
}

impl Incoming {
    /// Whether there is nothing to read, now or later.
    pub fn is_end_stream(&self) -> bool {
        self.conn.is_none()
    }

    /// Its length in bytes as the head has told it, where it has.
    pub fn announced_len(&self) -> Option<u64> {
        self.len
    }

    /// The next bytes; `None` at the end, and only when it really is the end. Trailers are
    /// thrown away.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(conn) = &self.conn else { return Poll::Ready(None) };
        let mut shared = lock(conn);
        let is_mine = shared.serial == self.serial && !shared.broken;
        let next = if is_mine { ready!(shared.poll_piece(cx)) } else { Some(Err(Broken)) };
        drop(shared);
        if !matches!(next, Some(Ok(_))) {
            self.conn = None;
        }
        Poll::Ready(next)
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("len", &self.len).finish_non_exhaustive()
    }
}

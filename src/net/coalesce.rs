//! Many small writes in one: bytes are kept until whoever makes them has nothing more to say.
//!
//! HTTP/2 writes and flushes frame by frame. Under TLS each write costs a record and a system
//! call, so [`Coalesced`] only takes note of them, and [`Flusher`], which is polled after the
//! connection, sends what has come together. What is kept has a bound; beyond it a write waits
//! for the socket as it would without.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are kept, at most: four full DATA frames with their heads, so that the end of a
/// frame is not sent by itself.
pub const KEPT_BYTES_MAX: usize = 4 * (16 * 1024 + 9);

thread_local! {
    /// The buffer that was used last on this thread: an idle connection has none of its own.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The socket for whoever writes. See the module.
pub struct Coalesced<I>(Arc<Mutex<Shared<I>>>);

/// Sends what was written. See the module.
pub struct Flusher<I>(Arc<Mutex<Shared<I>>>);

struct Shared<I> {
    io: I,
    kept: Vec<u8>,
    /// How much of it has been sent.
    sent: usize,
    /// Whether the socket may still keep something back itself.
    unflushed: bool,
}

/// Keeps what is written to `io` until it is flushed by the second half.
pub fn coalesce<I>(io: I) -> (Coalesced<I>, Flusher<I>) {
    let shared = Shared { io, kept: Vec::new(), sent: 0, unflushed: false };
    let shared = Arc::new(Mutex::new(shared));
    (Coalesced(Arc::clone(&shared)), Flusher(shared))
}

fn lock<I>(shared: &Mutex<Shared<I>>) -> MutexGuard<'_, Shared<I>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<I: AsyncWrite + Unpin> Flusher<I> {
    /// Ready when everything that was written has been sent. Poll it each time that whoever
    /// writes has been polled, and when its waker is woken.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *lock(&self.0);
        ready!(shared.poll_drain(cx))?;
        if shared.unflushed {
            ready!(Pin::new(&mut shared.io).poll_flush(cx))?;
            shared.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> Shared<I> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.kept.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.kept.len() {
            let rest = &self.kept[self.sent..];
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        self.sent = 0;
        self.kept.clear();
        SPARE.set(std::mem::take(&mut self.kept));
        Poll::Ready(Ok(()))
    }

    /// Room for a write; waits for the socket when there is none.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.kept.len() >= KEPT_BYTES_MAX {
            ready!(self.poll_drain(cx))?;
        }
        if self.kept.capacity() == 0 {
            self.kept = SPARE.take();
        }
        self.unflushed = true;
        Poll::Ready(Ok(KEPT_BYTES_MAX - self.kept.len()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Coalesced<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).io).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Coalesced<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let shared = &mut *lock(&self.0);
        let room = ready!(shared.poll_room(cx))?;
        let taken = &bytes[..bytes.len().min(room)];
        shared.kept.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let shared = &mut *lock(&self.0);
        let room = ready!(shared.poll_room(cx))?;
        let mut left = room;
        for slice in slices {
            let taken = &slice[..slice.len().min(left)];
            shared.kept.extend_from_slice(taken);
            left -= taken.len();
        }
        Poll::Ready(Ok(room - left))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// At once: the second half sends.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *lock(&self.0);
        ready!(shared.poll_drain(cx))?;
        Pin::new(&mut shared.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;

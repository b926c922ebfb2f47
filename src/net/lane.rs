//! One direction of a connection that is relayed: bytes come in, are looked at, and go on in order.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffer::{BUFFER_BYTES, Buffer};

/// Bytes in the order in which they came: at the front those that may go on, behind them those
/// that nothing was decided about.
#[derive(Debug, Default)]
pub struct Lane {
    buffer: Buffer,
    cleared: usize,
}

impl Lane {
    /// With what has come already.
    pub fn new(rest: &[u8]) -> Self {
        let mut buffer = Buffer::default();
        if !rest.is_empty() {
            buffer.room(rest.len())[..rest.len()].copy_from_slice(rest);
            buffer.fill(rest.len());
        }
        Self { buffer, cleared: 0 }
    }

    /// What nothing was decided about.
    pub fn open(&self) -> &[u8] {
        &self.buffer.filled()[self.cleared..]
    }

    /// What may go on.
    pub fn cleared(&self) -> &[u8] {
        &self.buffer.filled()[..self.cleared]
    }

    /// So many more bytes may go on.
    pub fn clear(&mut self, count: usize) {
        self.cleared += count;
        debug_assert!(self.cleared <= self.buffer.filled().len());
    }

    /// So many bytes of what may go on have gone.
    pub fn gone(&mut self, count: usize) {
        self.cleared -= count;
        self.buffer.consume(count);
    }

    /// So many bytes go nowhere. Only when nothing before them is left to go on.
    pub fn skip(&mut self, count: usize) {
        debug_assert_eq!(self.cleared, 0, "what is dropped is at the front");
        self.buffer.consume(count);
    }

    /// It may take long until more comes or goes: keeps no more memory than it needs.
    pub fn park(&mut self) {
        self.buffer.park();
    }

    /// Writes `own`, which goes ahead, and then what is cleared.
    pub fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        own: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if own.is_empty() && self.cleared == 0 {
            return Poll::Ready(Ok(()));
        }
        while !own.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(cx, own))?;
            own.drain(..count);
        }
        // An idle connection holds nothing.
        if own.capacity() > 0 {
            *own = Vec::new();
        }
        while self.cleared > 0 {
            let count = ready!(Pin::new(&mut *stream).poll_write(cx, self.cleared()))?;
            self.gone(count);
        }
        // TLS may hold some of it; what it holds goes out before anything else.
        let _ = Pin::new(stream).poll_flush(cx)?;
        Poll::Ready(Ok(()))
    }

    /// Reads what is there. Zero is the end.
    pub fn poll_receive<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let held = self.buffer.filled().len();
        let room = BUFFER_BYTES.saturating_sub(held).max(BUFFER_BYTES / 4);
        let mut room = ReadBuf::new(self.buffer.room(room));
        let read = Pin::new(stream).poll_read(cx, &mut room);
        let count = room.filled().len();
        self.buffer.fill(count);
        if read.is_pending() {
            self.buffer.park();
        }
        read.map_ok(|()| count)
    }
}

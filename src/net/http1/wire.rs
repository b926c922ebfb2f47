//! A byte stream with what has been read from it and what is to be written to it.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// What small messages are read into, one for all connections of a thread: those that wait
/// hold no buffer.
const SCRATCH_BYTES: usize = 16 * 1024;
/// A large body is read in pieces of this size, because large reads are cheaper.
const READ_BYTES_MAX: usize = 128 * 1024;
/// Up to this size a piece of a body is copied behind what is written before it, so that both
/// go out in one record and one system call.
const COPY_BYTES_MAX: usize = 8 * 1024;

/// Any byte stream.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// See the module.
pub struct Wire {
    io: Box<dyn Io>,
    /// Read and not yet used.
    pub input: BytesMut,
    /// To be written first, from `written` on.
    pub output: Vec<u8>,
    written: usize,
    /// To be written after it.
    chunk: Bytes,
}

impl Wire {
    /// With nothing read or written yet.
    pub fn new(io: Box<dyn Io>) -> Self {
        Self { io, input: BytesMut::new(), output: Vec::new(), written: 0, chunk: Bytes::new() }
    }

    /// Reads once; 0 is the end. `wanted` is how much will be of use, in bytes.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, wanted: u64) -> Poll<io::Result<usize>> {
        thread_local! {
            static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
        }
        let io = Pin::new(&mut self.io);
        if wanted > SCRATCH_BYTES as u64 {
            self.input.reserve(usize::try_from(wanted).unwrap_or(usize::MAX).min(READ_BYTES_MAX));
            return poll_read_buf(io, cx, &mut self.input);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(io.poll_read(cx, &mut buffer))?;
            self.input.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Takes bytes from what has been read; a buffer that is empty then is given up.
    pub fn take(&mut self, len: usize) -> Bytes {
        let taken = self.input.split_to(len).freeze();
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        taken
    }

    /// Takes bytes as a copy: what may be kept for long, such as a head, by HTTP/2's compression,
    /// must not keep a whole buffer with it.
    pub fn copy(&mut self, len: usize) -> Bytes {
        let copy = Bytes::copy_from_slice(&self.input[..len]);
        self.input.advance(len);
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        copy
    }

    /// Whether a piece of a body can be taken now.
    pub fn has_room(&self) -> bool {
        self.chunk.is_empty() && self.output.len() < COPY_BYTES_MAX
    }

    /// Takes a piece of a body. Only while there is room.
    pub fn push(&mut self, chunk: Bytes) {
        if chunk.len() <= COPY_BYTES_MAX {
            self.output.extend_from_slice(&chunk);
        } else {
            self.chunk = chunk;
        }
    }

    /// Writes all of it.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.is_empty() && self.chunk.is_empty() {
            return Poll::Ready(Ok(()));
        }
        loop {
            let io = Pin::new(&mut self.io);
            let output = &self.output[self.written..];
            let written = match (output.is_empty(), self.chunk.is_empty()) {
                (true, true) => break,
                (false, true) => ready!(io.poll_write(cx, output))?,
                (true, false) => ready!(io.poll_write(cx, &self.chunk))?,
                (false, false) => {
                    let both = [IoSlice::new(output), IoSlice::new(&self.chunk)];
                    ready!(io.poll_write_vectored(cx, &both))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let first = written.min(output.len());
            self.written += first;
            self.chunk.advance(written - first);
        }
        (self.output, self.written) = (Vec::new(), 0);
        self.chunk = Bytes::new();
        self.poll_flush(cx)
    }

    /// What is written leaves this process.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Says that nothing more is coming.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

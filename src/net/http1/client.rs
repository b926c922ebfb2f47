//! The client's side: one request after another over one connection, without a task of its own.
//!
//! Whoever waits for the answer is also the one who sends the request, so a connection costs
//! nothing while nobody waits. [`Link::poll_sending`] goes on with a body that is still being
//! sent while its answer is read.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Method, Request, StatusCode, response};
use http_body::{Body, Frame, SizeHint};

use super::decode::{Decoder, Piece};
use super::framing::{self, Framing};
use super::head::{self, Bounds, Search};
use super::wire::{Io, Wire};
use super::{encode, framing::keeps_alive};

/// What the head of an answer may have.
const BOUNDS: Bounds = Bounds { bytes_max: 256 * 1024, headers_max: 100 };

/// Informational answers before the answer: a stream of them never leaves time to look at the
/// clock.
const INFORMATIONAL_MAX: u32 = 64;

/// The error of any body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that can be sent to a store.
pub trait Sendable:
    Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + Unpin + 'static
{
}
impl<B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + Unpin + 'static> Sendable for B {}

/// A request that has no answer.
#[derive(Debug)]
pub struct SendError<R> {
    /// The request itself, where it provably was never written.
    pub unsent: Option<R>,
    /// Why.
    pub error: io::Error,
}

/// A connection to a server.
pub struct Link<B> {
    wire: Wire,
    sending: Option<Sending<B>>,
    /// Writing has failed. There may still be an answer that says why.
    unwritable: Option<io::Error>,
    search: Search,
    /// How many of this exchange there were.
    informational: u32,
    answer: Decoder,
    keeps: bool,
}

/// A body on its way.
struct Sending<B> {
    body: B,
    chunked: bool,
    /// The end of the last chunk.
    owes_line: bool,
}

impl<B: Sendable> Link<B> {
    /// On a connection over which nothing was sent yet.
    pub fn new(io: Box<dyn Io>) -> Self {
        Self {
            wire: Wire::new(io),
            sending: None,
            unwritable: None,
            search: Search::default(),
            informational: 0,
            answer: Decoder::new(Framing::Length(0)),
            keeps: true,
        }
    }

    /// Whether the last exchange has ended in such a way that another one can follow, and the
    /// server has not closed the connection since.
    pub fn is_open(&mut self) -> bool {
        self.is_reusable()
            && self.wire.poll_read(&mut Context::from_waker(Waker::noop()), 0).is_pending()
    }

    /// Whether the last exchange has ended in such a way that another one can follow.
    pub fn is_reusable(&self) -> bool {
        self.keeps
            && self.answer.is_ended()
            && self.sending.is_none()
            && self.unwritable.is_none()
            && self.wire.input.is_empty()
    }

    /// Sends a request and returns the head of its answer. Dropped before its end, the
    /// connection is of no use any more.
    ///
    /// # Errors
    /// With the request itself where it provably was never written.
    pub async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<response::Parts, SendError<Request<B>>> {
        if !self.is_open() {
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "it was closed meanwhile");
            return Err(SendError { unsent: Some(request), error });
        }
        let (head, body) = request.into_parts();
        let len = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        encode::request(&head, len, &mut self.wire.output);
        let chunked = len.is_none();
        self.sending =
            (!body.is_end_stream()).then_some(Sending { body, chunked, owes_line: false });
        (self.keeps, self.informational) = (false, 0);
        let answered = poll_fn(|cx| {
            self.poll_sending(cx)?;
            self.poll_head(cx, &head.method)
        });
        answered.await.map_err(|error| SendError { unsent: None, error })
    }

    /// Goes on with the request as far as it can.
    ///
    /// # Errors
    /// Those of the body.
    pub fn poll_sending(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.unwritable.is_some() {
            return Ok(());
        }
        loop {
            let starved = self.fill(cx)?;
            match self.wire.poll_write(cx) {
                Poll::Ready(Ok(())) if starved || self.sending.is_none() => return Ok(()),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.unwritable = Some(error);
                    self.sending = None;
                    return Ok(());
                }
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Takes of the body what there is room for. Says whether it has no more at the moment.
    fn fill(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        while self.wire.has_room()
            && let Some(Sending { body, chunked, owes_line }) = &mut self.sending
        {
            if std::mem::take(owes_line) {
                self.wire.output.extend_from_slice(b"\r\n");
            }
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(Err(error))) => return Err(io::Error::other(error)),
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if *chunked && !data.is_empty() {
                        encode::chunk_line(data.len(), &mut self.wire.output);
                        *owes_line = true;
                    }
                    self.wire.push(data);
                }
                Poll::Ready(None) => {
                    if *chunked {
                        encode::last_chunk(None, &mut self.wire.output);
                    }
                    self.sending = None;
                    continue;
                }
            }
            if !*chunked && body.is_end_stream() {
                self.sending = None;
            }
        }
        Ok(false)
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
    ) -> Poll<io::Result<response::Parts>> {
        loop {
            let end = self.search.end(&self.wire.input, BOUNDS).map_err(io::Error::other)?;
            let Some(len) = end else {
                match ready!(self.wire.poll_read(cx, 0)) {
                    Ok(0) => return Poll::Ready(Err(self.gone(io::ErrorKind::UnexpectedEof))),
                    Ok(_) => continue,
                    Err(error) => return Poll::Ready(Err(self.gone(error.kind()))),
                }
            };
            let bytes = self.wire.copy(len);
            let head = head::response(&bytes, BOUNDS).map_err(io::Error::other)?;
            if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                self.informational += 1;
                if self.informational > INFORMATIONAL_MAX {
                    let what = "it sends informational answers without end";
                    return Poll::Ready(Err(io::Error::other(what)));
                }
                continue;
            }
            let framing = framing::of_response(method, head.status, &head.headers);
            let framing = framing.map_err(io::Error::other)?;
            self.answer = Decoder::new(framing);
            self.keeps = framing != Framing::UntilClose
                && head.status != StatusCode::SWITCHING_PROTOCOLS
                && keeps_alive(head.version, &head.headers);
            return Poll::Ready(Ok(head));
        }
    }

    /// The connection has ended without an answer.
    fn gone(&mut self, kind: io::ErrorKind) -> io::Error {
        let what = match self.unwritable.take() {
            Some(error) => return error,
            None if self.wire.input.is_empty() => "it closed the connection",
            None => "it closed the connection in the middle of the answer's head",
        };
        io::Error::new(kind, what)
    }

    /// The answer's body goes on. Reads no more than is taken.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            match self.answer.next(&mut self.wire).map_err(io::Error::other)? {
                Piece::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Piece::Trailers(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Piece::End => return Poll::Ready(None),
                Piece::Wanting => {}
            }
            let read = ready!(self.wire.poll_read(cx, self.answer.wanted()));
            if read.is_ok_and(|read| read > 0) {
                continue;
            }
            // A connection that is reset has no proper end.
            return Poll::Ready(match self.answer.close() {
                Ok(()) => None,
                Err(fault) => Some(Err(io::Error::other(fault))),
            });
        }
    }

    /// Whether the answer's body has been taken to its end.
    pub fn is_end_stream(&self) -> bool {
        self.answer.is_ended()
    }

    /// The rest of the answer's body, if it has been read already.
    pub fn take_rest(&mut self) -> Option<Bytes> {
        let left = usize::try_from(self.answer.left()?).ok()?;
        if left == 0 || left > self.wire.input.len() {
            return (left == 0).then(Bytes::new);
        }
        match self.answer.next(&mut self.wire) {
            Ok(Piece::Data(data)) => Some(data),
            _ => None,
        }
    }

    /// How much of the answer's body is still to come.
    pub fn size_hint(&self) -> SizeHint {
        self.answer.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

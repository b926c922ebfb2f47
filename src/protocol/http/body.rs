//! The body that goes to the store: its last bytes are held back until the fence says go.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::client_body::ClientBody;
use super::flight::{BodyFault, Flight};

/// Changes a body on its way, such as out of a client's chunk signatures.
pub trait Decode: Send + 'static {
    /// Takes what the client has sent and gives out what the store is to see.
    ///
    /// # Errors
    /// What is wrong with it.
    fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), String>;

    /// The client's body has ended: gives out what was kept, in one piece.
    ///
    /// # Errors
    /// When it is not complete or not what it says it is.
    fn finish(&mut self, out: &mut VecDeque<Bytes>) -> Result<(), String>;

    /// A header that says about the whole body what its end has said.
    fn checksum(&self) -> Option<(&'static str, String)>;
}

/// Where the bytes come from.
pub enum Source {
    /// As the client sends them.
    Client(ClientBody),
    /// As the client sends them, changed on their way.
    Decoded(ClientBody, Box<dyn Decode>),
    /// They have been read already.
    Held(Bytes),
}

impl Source {
    /// Whether the announced number of bytes is all there is to come.
    fn ends_as_announced(&self) -> bool {
        match self {
            Self::Client(body) => body.ends_as_announced(),
            // A decoder may still find fault with the end of the client's body.
            Self::Decoded(..) => false,
            Self::Held(_) => true,
        }
    }
}

/// See the module.
pub struct FencedBody {
    source: Source,
    flight: Arc<Flight>,
    /// Bytes still to be sent, where that is known.
    left: Option<u64>,
    /// Bytes that the client may still send.
    allowance: u64,
    bytes_max: u64,
    ready: VecDeque<Bytes>,
    source_ended: bool,
    /// The last bytes, while it is not known whether others follow.
    held: Option<Bytes>,
    ended: bool,
}

impl FencedBody {
    /// A body of that length (`None` when nobody knows it), of which the client may send
    /// at most `bytes_max`.
    pub fn new(
        source: Source,
        len: Option<u64>,
        bytes_max: Option<u64>,
        flight: Arc<Flight>,
    ) -> Self {
        let bytes_max = bytes_max.unwrap_or(u64::MAX);
        let ended = len == Some(0) && !matches!(source, Source::Decoded(..));
        Self {
            source,
            flight,
            left: len,
            allowance: bytes_max,
            bytes_max,
            ready: VecDeque::new(),
            source_ended: false,
            held: None,
            ended,
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if self.source_ended {
                return Poll::Ready(None);
            }
            let next = match &mut self.source {
                Source::Held(bytes) => {
                    self.source_ended = true;
                    return Poll::Ready(Some(Ok(std::mem::take(bytes))));
                }
                Source::Client(body) | Source::Decoded(body, _) => body.poll_chunk(cx),
            };
            let Poll::Ready(next) = next else {
                self.flight.starve(true);
                return Poll::Pending;
            };
            self.flight.starve(false);
            let chunk = next.transpose()?;
            if let Some(chunk) = &chunk {
                let Some(allowance) = self.allowance.checked_sub(chunk.len() as u64) else {
                    return Poll::Ready(Some(Err(BodyFault::TooLarge {
                        limit: "body_bytes_max",
                        bytes_max: self.bytes_max,
                    })));
                };
                self.allowance = allowance;
            }
            self.source_ended = chunk.is_none();
            match (&mut self.source, chunk) {
                (Source::Decoded(_, decoder), Some(chunk)) => decoder.push(chunk, &mut self.ready),
                (Source::Decoded(_, decoder), None) => decoder.finish(&mut self.ready),
                (_, Some(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                (_, None) => Ok(()),
            }
            .map_err(BodyFault::Malformed)?;
        }
    }

    fn poll_fenced(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        loop {
            match ready!(self.poll_chunk(cx)?) {
                Some(chunk) => {
                    if let Some(left) = &mut self.left {
                        *left = left.checked_sub(chunk.len() as u64).ok_or_else(too_long)?;
                        let is_decoded = matches!(self.source, Source::Decoded(..));
                        // Past the commit point there is nothing to hold back for.
                        let ends = self.source.ends_as_announced()
                            || self.flight.is_committed() && !is_decoded;
                        if *left == 0 && ends {
                            return Poll::Ready(Some(self.end().map(|()| chunk)));
                        }
                    }
                    let is_amid = self.left.is_some_and(|left| left > 0)
                        && !matches!(self.source, Source::Decoded(..));
                    if is_amid || self.flight.is_committed() {
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                    if let Some(before) = self.held.replace(chunk) {
                        return Poll::Ready(Some(Ok(before)));
                    }
                }
                None if self.left.is_some_and(|left| left > 0) => {
                    return Poll::Ready(Some(Err(BodyFault::Broken)));
                }
                None => {
                    self.end()?;
                    return Poll::Ready(self.held.take().map(Ok));
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), BodyFault> {
        self.flight.commit().map_err(|_| BodyFault::Cut)?;
        self.ended = true;
        self.flight.finish();
        Ok(())
    }
}

fn too_long() -> BodyFault {
    BodyFault::Malformed("the body is longer than it was announced to be".to_owned())
}

impl Body for FencedBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        this.flight.register(cx.waker());
        if this.flight.is_dead() {
            return Poll::Ready(Some(Err(BodyFault::Ended)));
        }
        if this.flight.is_stopped() {
            return Poll::Pending; // Until the answer has been read, and the connection is closed.
        }
        let next = ready!(this.poll_fenced(cx));
        Poll::Ready(next.map(|chunk| match chunk {
            Ok(chunk) => {
                this.flight.progress();
                Ok(Frame::data(chunk))
            }
            Err(fault) => Err(this.flight.fail(fault)),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for FencedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FencedBody").field("left", &self.left).finish_non_exhaustive()
    }
}

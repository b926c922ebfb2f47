//! The body of an answer on its way to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};

use super::body::FencedBody;
use super::flight::Flight;
use super::pump::Pumping;
use crate::net::pool::Lease;

/// An answer: Palisade's own, or the store's.
#[derive(Default)]
pub enum AnswerBody {
    /// Nothing.
    #[default]
    Empty,
    /// Palisade's own.
    Own(Bytes),
    /// The store's, to a fenced write.
    Pumped(Pumped),
    /// The store's, streamed.
    Relayed(Relayed),
}

/// The store's answer as `pump` reads it.
pub struct Pumped {
    frames: mpsc::Receiver<Pumping>,
    hint: SizeHint,
    ended: bool,
}

impl Pumped {
    /// A body of that size.
    pub fn new(frames: mpsc::Receiver<Pumping>, hint: SizeHint) -> Self {
        Self { frames, hint, ended: false }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.frames.poll_recv(cx));
        self.ended = !matches!(next, Some(Some(_)));
        Poll::Ready(match next {
            Some(Some(frame)) => Some(Ok(frame)),
            Some(None) => None,
            None => Some(Err(AnswerFault::GivenUp)),
        })
    }
}

/// The store's answer, with the connection that it comes over.
pub struct Relayed {
    /// While there is something to come.
    lease: Option<Lease<FencedBody>>,
    flight: Arc<Flight>,
    stall_timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    moved: bool,
}

/// Why an answer could not be passed on to its end.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFault {
    /// The store broke it off.
    #[error("the store broke its answer off: {0}")]
    Broken(std::io::Error),
    /// The store broke it off or stalled, or a takeover could not wait any longer for its end.
    #[error("the end of the store's answer did not come in time")]
    GivenUp,
    /// The store stopped sending.
    #[error("the store's answer stalled")]
    Stalled,
}

impl Relayed {
    /// The body of an answer whose head has arrived. The answer to HEAD has none, even if the
    /// store sends one.
    pub fn body(
        mut lease: Lease<FencedBody>,
        flight: Arc<Flight>,
        stall_timeout: Duration,
        to_head: bool,
    ) -> AnswerBody {
        let rest = lease.take_rest();
        let mut relayed =
            Self { lease: Some(lease), flight, stall_timeout, stall: None, moved: false };
        if let Some(rest) = rest {
            relayed.end();
            return if rest.is_empty() { AnswerBody::Empty } else { AnswerBody::Own(rest) };
        }
        if to_head {
            return AnswerBody::Empty;
        }
        AnswerBody::Relayed(relayed)
    }

    /// The answer is complete. The connection is of further use if the request is, too.
    fn end(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.flight.is_done()
        {
            lease.give_back();
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(None) };
        match lease.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.moved = true;
                if lease.is_end_stream() {
                    self.end(); // Nobody asks again after the last frame.
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(AnswerFault::Broken(error))))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_stall(cx),
        }
    }

    /// One timer for the whole body: it is looked at when it fires, not moved with every frame.
    fn poll_stall(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(self.stall_timeout)));
        while stall.as_mut().poll(cx).is_ready() {
            if !std::mem::take(&mut self.moved) {
                self.lease = None;
                return Poll::Ready(Some(Err(AnswerFault::Stalled)));
            }
            stall.as_mut().reset(Instant::now() + self.stall_timeout);
        }
        Poll::Pending
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.flight.kill();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        let this = self.get_mut();
        match this {
            Self::Pumped(pumped) => pumped.poll_frame(cx),
            Self::Relayed(relayed) => relayed.poll_frame(cx),
            Self::Empty => Poll::Ready(None),
            Self::Own(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Own(_) | Self::Pumped(_) => false,
            Self::Relayed(relayed) => relayed.lease.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pumped(pumped) => pumped.hint,
            Self::Relayed(relayed) => match &relayed.lease {
                Some(lease) => lease.size_hint(),
                None => SizeHint::with_exact(0),
            },
        }
    }
}

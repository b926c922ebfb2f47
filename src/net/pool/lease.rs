//! A connection while it is used by one exchange.

use std::io;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use tokio::sync::OwnedSemaphorePermit;

use super::{Idle, Shared, Tasks};
use crate::net::http1::client::{Link, SendError, Sendable};

/// A connection for one exchange. Dropped, it is closed (HTTP/1.1) or the exchange is
/// reset (HTTP/2).
pub struct Lease<B> {
    pub(super) carrier: Carrier<B>,
    pub(super) endpoint: usize,
    pub(super) reused: bool,
    pub(super) home: Weak<Shared<B>>,
    pub(super) _slot: OwnedSemaphorePermit,
}

pub(super) enum Carrier<B> {
    Http1(Box<Link<B>>),
    Http2 { sender: http2::SendRequest<B>, tasks: Tasks, answer: Option<Incoming> },
}

impl<B> Carrier<B> {
    pub(super) fn http2(sender: &http2::SendRequest<B>, tasks: &Tasks) -> Self {
        Self::Http2 { sender: sender.clone(), tasks: tasks.clone(), answer: None }
    }
}

impl<B: Sendable> Lease<B> {
    /// Whether other exchanges went over the connection before.
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Whether it is HTTP/2, where requests name the scheme and the authority.
    pub fn is_http2(&self) -> bool {
        matches!(self.carrier, Carrier::Http2 { .. })
    }

    /// Sends the request and returns the head of the answer.
    ///
    /// # Errors
    /// With the request itself where it provably was never written.
    pub async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<response::Parts, SendError<Request<B>>> {
        match &mut self.carrier {
            Carrier::Http1(link) => link.send(request).await,
            Carrier::Http2 { sender, answer, .. } => {
                match Box::pin(sender.try_send_request(request)).await {
                    Ok(response) => {
                        let (head, incoming) = response.into_parts();
                        *answer = Some(incoming);
                        Ok(head)
                    }
                    Err(mut error) => Err(SendError {
                        unsent: error.take_message(),
                        error: io::Error::other(error.into_error()),
                    }),
                }
            }
        }
    }

    /// Goes on with a request that is still being sent although its answer has begun. HTTP/2
    /// does so by itself.
    ///
    /// # Errors
    /// Those of the request's body.
    pub fn poll_sending(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match &mut self.carrier {
            Carrier::Http1(link) => link.poll_sending(cx),
            Carrier::Http2 { .. } => Ok(()),
        }
    }

    /// The answer's body goes on.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.carrier {
            Carrier::Http1(link) => link.poll_frame(cx),
            Carrier::Http2 { answer: None, .. } => Poll::Ready(None),
            Carrier::Http2 { answer: Some(answer), .. } => {
                Pin::new(answer).poll_frame(cx).map_err(io::Error::other)
            }
        }
    }

    /// Whether the answer's body has been taken to its end.
    pub fn is_end_stream(&self) -> bool {
        match &self.carrier {
            Carrier::Http1(link) => link.is_end_stream(),
            Carrier::Http2 { answer, .. } => answer.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    /// The rest of the answer's body, if all of it is here already.
    pub fn take_rest(&mut self) -> Option<Bytes> {
        match &mut self.carrier {
            Carrier::Http1(link) => link.take_rest(),
            Carrier::Http2 { .. } => self.is_end_stream().then(Bytes::new),
        }
    }

    /// How much of the answer's body is still to come.
    pub fn size_hint(&self) -> SizeHint {
        match &self.carrier {
            Carrier::Http1(link) => link.size_hint(),
            Carrier::Http2 { answer: Some(answer), .. } => answer.size_hint(),
            Carrier::Http2 { answer: None, .. } => SizeHint::with_exact(0),
        }
    }

    /// The exchange has ended cleanly, in both directions.
    pub fn give_back(self) {
        if let (Some(home), Carrier::Http1(link)) = (self.home.upgrade(), self.carrier)
            && link.is_reusable()
        {
            let mut state = home.state();
            let idle = Idle { link, since_sweep: state.sweep };
            state.endpoints[self.endpoint].idle.push(idle);
        }
    }

    /// Closes the connection, HTTP/2 with everything else on it, and returns when no byte
    /// of it can leave this machine any more: what the kernel still has is thrown away.
    pub async fn close(self) {
        // HTTP/1.1 has no task: dropped, it is closed.
        if let Carrier::Http2 { tasks, sender, answer } = self.carrier {
            drop((sender, answer));
            tasks.end.cancel();
            tasks.running.close();
            tasks.running.wait().await;
        }
    }
}

//! The body of a request as the client sends it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;

use super::flight::BodyFault;
use crate::net::http1;

/// The frames of a request's body, without its trailers.
#[derive(Debug)]
pub enum ClientBody {
    /// Over HTTP/1.1. Left before its end, the connection reads and throws away what follows
    /// for a moment, so that the client sees the answer.
    Http1 {
        /// The body.
        incoming: http1::Incoming,
        /// The client waits for `100 Continue`, which goes out with the first poll.
        waits: bool,
    },
    /// Over HTTP/2.
    Http2(Option<hyper::body::Incoming>),
}

impl ClientBody {
    /// Whether there is nothing to read, now or later.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Http1 { incoming, .. } => incoming.is_end_stream(),
            Self::Http2(incoming) => incoming.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    /// The length in bytes, where the client has told it.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Http1 { incoming, .. } => incoming.len(),
            Self::Http2(None) => Some(0),
            Self::Http2(Some(incoming)) => incoming.size_hint().exact(),
        }
    }

    /// Whether the connection is of no use any more once this is refused: the client waits with
    /// its body, and nobody could tell whether it comes; or it is longer than what is read away.
    pub fn spoils_connection(&self) -> bool {
        let Self::Http1 { incoming, waits } = self else { return false };
        let is_long = || incoming.len().is_some_and(|len| len > http1::server::LINGER_BYTES_MAX);
        !incoming.is_end_stream() && (*waits || is_long())
    }

    /// The next bytes; `None` at the end, and only when it really is the end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        let body = match self {
            Self::Http1 { incoming, waits } => {
                *waits = false;
                return incoming.poll_chunk(cx).map_err(|http1::Broken| BodyFault::Broken);
            }
            Self::Http2(body) => body,
        };
        loop {
            let Some(incoming) = body else { return Poll::Ready(None) };
            match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    Err(_trailers) => {}
                },
                Some(Err(_)) => {
                    *body = None;
                    return Poll::Ready(Some(Err(BodyFault::Broken)));
                }
                None => {
                    // hyper takes RST_STREAM with NO_ERROR for an end like any other.
                    let truncated = !incoming.is_end_stream();
                    *body = None;
                    return Poll::Ready(truncated.then_some(Err(BodyFault::Broken)));
                }
            }
        }
    }
}

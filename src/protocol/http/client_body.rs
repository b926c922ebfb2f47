//! The body of a request as the client sends it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::flight::BodyFault;
use crate::net::http1;
use crate::net::http1::server::{LINGER_BYTES_MAX, LINGER_TIMEOUT};

/// How long a body that has been announced without a length, for a method that has none, may take
/// to turn out to be empty.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(1);

/// The frames of a request's body, without its trailers. Dropped before its end, what
/// follows is read and thrown away for a moment, so that the client sees the answer: over
/// HTTP/1.1 by the connection. On HTTP/2 what is still under way of a stream that was reset
/// counts against its connection: h2 remembers 50 such streams a second, and says goodbye after
/// 1,024 frames of forgotten ones.
#[derive(Debug)]
pub struct ClientBody {
    source: Source,
    /// What was read to see whether there is anything.
    first: Option<Result<Bytes, BodyFault>>,
    /// The client waits for `100 Continue`, which goes out with the first poll.
    waits: bool,
}

#[derive(Debug)]
enum Source {
    Http1(http1::Incoming),
    /// Until its end. A stream of HTTP/2 that is reset looks like one that has ended.
    Hyper {
        incoming: Option<Incoming>,
        may_be_reset: bool,
    },
}

impl ClientBody {
    /// The body of a request over HTTP/1.1; `waits` when the client expects `100 Continue`.
    pub fn http1(incoming: http1::Incoming, waits: bool) -> Self {
        Self { source: Source::Http1(incoming), first: None, waits }
    }

    /// The body of a request over HTTP/2.
    pub fn http2(incoming: Incoming) -> Self {
        let source = Source::Hyper { incoming: Some(incoming), may_be_reset: true };
        Self { source, first: None, waits: false }
    }

    /// The body of a request over HTTP/1.1 as hyper reads it, which is the oracle of ours.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn hyper_http1(incoming: Incoming) -> Self {
        let source = Source::Hyper { incoming: Some(incoming), may_be_reset: false };
        Self { source, first: None, waits: false }
    }

    /// Some clients announce a body with every request and send none with GET or DELETE: chunked
    /// without a chunk, or an HTTP/2 stream that ends only with a second frame. On HTTP/2 a length
    /// of 0 is looked at, too: with more than that behind it, the request was never one.
    pub async fn look(&mut self, method: &Method) {
        let has_usually_none =
            matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
        let is_of_none = matches!(self.source, Source::Hyper { .. }) && self.len() == Some(0);
        let is_worth_it = is_of_none || has_usually_none && self.len().is_none();
        if !is_worth_it || self.waits || self.is_empty() {
            return;
        }
        let first = poll_fn(|cx| self.poll_chunk(cx));
        self.first = match Box::pin(timeout(EMPTY_TIMEOUT, first)).await {
            Ok(first) => first,
            Err(_) => is_of_none.then_some(Err(BodyFault::Broken)),
        };
    }

    /// Whether there is nothing to read, now or later.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
            && match &self.source {
                Source::Http1(incoming) => incoming.is_end_stream(),
                Source::Hyper { incoming, .. } => incoming.as_ref().is_none_or(Body::is_end_stream),
            }
    }

    /// Whether nothing can follow the bytes that were announced: on HTTP/2 only the end of the
    /// stream says so, and a stream with more bytes was malformed from its beginning.
    pub fn ends_as_announced(&self) -> bool {
        matches!(self.source, Source::Http1(_)) || self.is_empty()
    }

    /// The length in bytes, where the client has told it.
    pub fn len(&self) -> Option<u64> {
        match (&self.first, &self.source) {
            (Some(Err(_)), _) => None,
            (_, Source::Http1(incoming)) => incoming.announced_len(),
            (_, Source::Hyper { incoming: None, .. }) => Some(0),
            (_, Source::Hyper { incoming: Some(incoming), .. }) => incoming.size_hint().exact(),
        }
    }

    /// Whether the connection is of no use any more once this is refused: the client waits with
    /// its body, and nobody could tell whether it comes; or it is longer than what is read away.
    pub fn spoils_connection(&self) -> bool {
        let is_long = || self.len().is_some_and(|len| len > LINGER_BYTES_MAX);
        matches!(self.source, Source::Http1(_)) && !self.is_empty() && (self.waits || is_long())
    }

    /// The next bytes; `None` at the end, and only when it really is the end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        self.waits = false;
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let (body, may_be_reset) = match &mut self.source {
            Source::Http1(incoming) => {
                return incoming.poll_chunk(cx).map_err(|http1::Broken| BodyFault::Broken);
            }
            Source::Hyper { incoming, may_be_reset } => (incoming, *may_be_reset),
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
                    let truncated = may_be_reset && !incoming.is_end_stream();
                    *body = None;
                    return Poll::Ready(truncated.then_some(Err(BodyFault::Broken)));
                }
            }
        }
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        if let Source::Hyper { incoming, .. } = &mut self.source
            && let Some(incoming) = incoming.take()
            && !incoming.is_end_stream()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(timeout(LINGER_TIMEOUT, linger(incoming)));
        }
    }
}

async fn linger(mut incoming: Incoming) {
    let mut left = LINGER_BYTES_MAX;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        if left == 0 {
            return;
        }
    }
}

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
    /// Until its end.
    Http2(Option<Incoming>),
}

impl ClientBody {
    /// The body of a request over HTTP/1.1; `waits` when the client expects `100 Continue`.
    pub fn http1(incoming: http1::Incoming, waits: bool) -> Self {
        Self { source: Source::Http1(incoming), first: None, waits }
    }

    /// The body of a request over HTTP/2.
    pub fn http2(incoming: Incoming) -> Self {
        Self { source: Source::Http2(Some(incoming)), first: None, waits: false }
    }

    /// Some clients announce a body with every request and send none with GET or DELETE: chunked
    /// without a chunk, or an HTTP/2 stream that ends only with a second frame.
    pub async fn look(&mut self, method: &Method) {
        let has_usually_none =
            matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
        if !has_usually_none || self.waits || self.is_empty() || self.len().is_some() {
            return;
        }
        let first = poll_fn(|cx| self.poll_chunk(cx));
        if let Ok(first) = timeout(EMPTY_TIMEOUT, first).await {
            self.first = first;
        }
    }

    /// Whether there is nothing to read, now or later.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
            && match &self.source {
                Source::Http1(incoming) => incoming.is_end_stream(),
                Source::Http2(incoming) => incoming.as_ref().is_none_or(Body::is_end_stream),
            }
    }

    /// The length in bytes, where the client has told it.
    pub fn len(&self) -> Option<u64> {
        match &self.source {
            Source::Http1(incoming) => incoming.announced_len(),
            Source::Http2(None) => Some(0),
            Source::Http2(Some(incoming)) => incoming.size_hint().exact(),
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
        let body = match &mut self.source {
            Source::Http1(incoming) => {
                return incoming.poll_chunk(cx).map_err(|http1::Broken| BodyFault::Broken);
            }
            Source::Http2(body) => body,
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

impl Drop for ClientBody {
    fn drop(&mut self) {
        if let Source::Http2(incoming) = &mut self.source
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

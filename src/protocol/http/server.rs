//! Serves the connections of one listener.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::answer::{AnswerBody, AnswerFault};
use super::body::FencedBody;
use super::headers::Origin;
use super::metrics::Metrics;
use super::read_ahead::READ_AHEADS_MAX;
use super::session::Session;
use super::settings::Listener;
use super::speech::Speech;
use super::write_stall::WriteStall;
use crate::audit::Audit;
use crate::gate::Gate;
use crate::net::coalesce::{Flusher, coalesce};
use crate::net::connect::{Connector, ConnectorError};
use crate::net::identity::Peer;
use crate::net::pool::Pool;
use crate::telemetry::RateLimit;

/// How often an HTTP/2 client is asked whether it is still there, and how long it may take
/// to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// The read buffer of an HTTP/1.1 connection grows up to this while a large body comes in.
const READ_BUFFER_BYTES_MAX: usize = 128 * 1024;

/// hyper's own bound of a head's lines, which it holds to without clearing memory for each head.
const HYPER_HEADERS_MAX: usize = 100;

/// What all workers share of one listener.
pub struct Front {
    /// Its settings.
    pub listener: Listener,
    /// The fences.
    pub gate: Arc<Gate>,
    /// Where refusals are recorded.
    pub audit: Audit,
    /// What is counted.
    pub metrics: Metrics,
    /// One line a second for each reason: a stale leader in a loop cannot fill a disk.
    pub(super) lines: RateLimit<&'static str>,
    pub(super) speech: Speech,
    pub(super) pseudonym: String,
    pub(super) via: HeaderValue,
    connector: Arc<Connector>,
    /// Room for bodies that have to be read before anybody is asked.
    pub(super) read_aheads: Semaphore,
}

/// What one worker has of one listener: its sockets to the store stay on its runtime.
pub struct Service {
    pub(super) front: Arc<Front>,
    pub(super) pool: Pool<FencedBody>,
    pub(super) detached: TaskTracker,
}

impl Front {
    /// For a listener. `instance` tells this process from all others, so that a request that
    /// comes back to it is known. Reads the upstream's certificates. Metrics handles are made here,
    /// so the recorder has to be installed before.
    ///
    /// # Errors
    /// When TLS to the upstream cannot be set up.
    pub fn new(
        listener: Listener,
        gate: Arc<Gate>,
        audit: Audit,
        instance: &str,
    ) -> Result<Arc<Self>, ConnectorError> {
        let word = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let pseudonym = format!("palisade-{}-{}", word(&listener.name), word(instance));
        let via = HeaderValue::try_from(format!("1.1 {pseudonym}"))
            .expect("letters, digits and dashes can be in a header");
        let connector = Arc::new(Connector::new(Arc::clone(&listener.upstream))?);
        let metrics = Metrics::new(&listener.name, &listener.rules);
        let lines = RateLimit::new(1, Duration::from_secs(1));
        let speech = Speech::new(&listener.flavor, &listener.upstream);
        Ok(Arc::new(Self {
            listener,
            gate,
            audit,
            metrics,
            lines,
            speech,
            pseudonym,
            via,
            connector,
            read_aheads: Semaphore::new(READ_AHEADS_MAX),
        }))
    }
}

impl Service {
    /// For the worker on whose runtime it is called.
    pub fn new(front: Arc<Front>) -> Arc<Self> {
        let pool = Pool::new(Arc::clone(&front.connector));
        Arc::new(Self { front, pool, detached: TaskTracker::new() })
    }

    /// Writes that go on although their clients have hung up. Wait for them before the
    /// runtime ends: `detached().close()`, then `detached().wait()`.
    pub fn detached(&self) -> &TaskTracker {
        &self.detached
    }
}

/// Serves one connection to its end. When `drain` resolves, requests that are under way
/// are finished and no others taken. To cut it off, drop the future: writes past their commit point go
/// on by themselves.
pub async fn serve_connection<I>(
    io: I,
    peer: Peer,
    is_http2: bool,
    service: Arc<Service>,
    drain: impl Future<Output = ()>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = service.front.listener.limits;
    let activity = Arc::new(Activity::default());
    let origin = Origin::new(peer.address);
    let session = Arc::new(Session { service, peer, origin, is_http2 });
    let counted = Arc::clone(&activity);
    let serve = service_fn(move |request| {
        let (session, under_way) = (Arc::clone(&session), is_http2.then(|| counted.begin()));
        // Boxed, or hyper would keep room for it in every connection on which nothing is asked.
        Box::pin(async move {
            let answer = session.answer(request).await;
            Ok::<_, Infallible>(answer.map(|body| Counted { body, _under_way: under_way }))
        })
    });
    // Polled when it is woken, not each time that the connection is.
    let mut drain = FuturesUnordered::from_iter([drain]);
    let io = WriteStall::new(io, limits.body_stall_timeout);
    // hyper's errors are the client's: it hung up or broke the protocol, and hyper has told it so.
    if is_http2 {
        let (io, flusher) = coalesce(io);
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_INTERVAL)
            .serve_connection(TokioIo::new(io), serve);
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            () = flushed(connection.as_mut(), &flusher) => return,
            _ = drain.next() => {}
            () = activity.idle(limits.header_timeout) => {}
        }
        connection.as_mut().graceful_shutdown();
        // A client that answers nothing cannot hold on to it.
        tokio::select! {
            () = flushed(connection, &flusher) => {}
            () = activity.idle(limits.header_timeout) => {}
        }
    } else {
        let mut builder = http1::Builder::new();
        if limits.headers_max != HYPER_HEADERS_MAX {
            builder.max_headers(limits.headers_max);
        }
        let connection = builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_header_size(limits.header_bytes_max)
            .max_buf_size(READ_BUFFER_BYTES_MAX.max(limits.header_bytes_max))
            .serve_connection(TokioIo::new(io), serve);
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            _ = &mut connection => return,
            _ = drain.next() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Drives a connection to its end, and sends after each step what the step has written.
async fn flushed<E>(
    mut connection: Pin<&mut impl Future<Output = Result<(), E>>>,
    flusher: &Flusher<impl AsyncWrite + Unpin>,
) {
    poll_fn(|cx| {
        let ended = connection.as_mut().poll(cx).is_ready();
        // What cannot be sent now wakes this task again when it can.
        match flusher.poll_flush(cx) {
            Poll::Ready(Ok(())) if !ended => Poll::Pending,
            Poll::Pending if !ended => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

/// What goes on on an HTTP/2 connection. HTTP/1.1 has its own timer in hyper.
#[derive(Default)]
struct Activity {
    under_way: AtomicUsize,
    begun: AtomicU64,
}

struct UnderWay(Arc<Activity>);

/// The body of an answer, under way until it has gone.
struct Counted {
    body: AnswerBody,
    _under_way: Option<UnderWay>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Activity {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Resolves when nothing has been asked for one to two of that time.
    async fn idle(&self, timeout: Duration) {
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(timeout).await;
            if self.under_way.load(Ordering::Relaxed) == 0
                && self.begun.load(Ordering::Relaxed) == begun
            {
                return;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

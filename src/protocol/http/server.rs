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
use http::header::EXPECT;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::answer::{AnswerBody, AnswerFault};
use super::body::FencedBody;
use super::client_body::ClientBody;
use super::headers::Origin;
use super::metrics::Metrics;
use super::read_ahead::READ_AHEADS_MAX;
use super::session::Session;
use super::settings::Listener;
use super::speech::Speech;
use super::streams::{self, Streams};
use super::write_stall::WriteStall;
use crate::audit::Audit;
use crate::gate::Gate;
use crate::net::coalesce::{Flusher, coalesce};
use crate::net::connect::{Connector, ConnectorError};
use crate::net::http1;
use crate::net::http1::server::End;
use crate::net::identity::Peer;
use crate::net::pool::Pool;
use crate::telemetry::RateLimit;

/// How often an HTTP/2 client is asked whether it is still there, and how long it may take
/// to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
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
    let origin = Origin::new(peer.address);
    let front = Arc::clone(&service.front);
    let session = Arc::new(Session { service, peer, origin, is_http2 });
    let io = WriteStall::new(io, limits.body_stall_timeout);
    if is_http2 {
        return serve_http2(io, session, drain).await;
    }
    let limits = http1::server::Limits {
        head: http1::Bounds { bytes_max: limits.header_bytes_max, headers_max: limits.headers_max },
        head_timeout: limits.header_timeout,
    };
    let end = http1::server::serve(Box::new(io), limits, Http1(session), drain).await;
    front.metrics.ended(end);
}

struct Http1(Arc<Session>);

impl http1::server::Service for Http1 {
    type Body = AnswerBody;

    async fn answer(&self, request: Request<http1::Incoming>) -> Response<AnswerBody> {
        let waits = request.headers().contains_key(EXPECT);
        self.0.answer(request.map(|incoming| ClientBody::http1(incoming, waits))).await
    }

    fn refuse(&self, fault: &http1::Fault) -> Response<AnswerBody> {
        self.0.answer_to(fault)
    }
}

async fn serve_http2<I>(io: I, session: Arc<Session>, drain: impl Future<Output = ()>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let front = Arc::clone(&session.service.front);
    let limits = front.listener.limits;
    let activity = Arc::new(Activity::default());
    let counted = Arc::clone(&activity);
    let serve = service_fn(move |request: Request<Incoming>| {
        let (session, under_way) = (Arc::clone(&session), counted.begin());
        // Boxed, or hyper would keep room for it in every connection on which nothing is asked.
        Box::pin(async move {
            let request = request.map(ClientBody::http2);
            let answer = session.answer(request).await;
            Ok::<_, Infallible>(answer.map(|body| Counted { body, _under_way: under_way }))
        })
    });
    // Polled when it is woken, not each time that the connection is.
    let mut drain = FuturesUnordered::from_iter([drain]);
    // hyper's errors are the client's: it hung up or broke the protocol, and hyper has told it so.
    let stalled = front.metrics.streams_unread.clone();
    let streams = Streams { stall_timeout: limits.body_stall_timeout, stalled };
    let (io, flusher) = coalesce(io);
    let connection = http2::Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .serve_connection(TokioIo::new(io), serve);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        () = flushed(connection.as_mut(), &flusher, &front.metrics) => return,
        _ = drain.next() => {}
        () = activity.idle(limits.header_timeout) => front.metrics.ended(End::Idle),
    }
    connection.as_mut().graceful_shutdown();
    // A client that answers nothing cannot hold on to it.
    tokio::select! {
        () = flushed(connection, &flusher, &front.metrics) => {}
        () = activity.idle(limits.header_timeout) => {}
    }
}

/// Drives a connection to its end, sends after each step what the step has written, and tells
/// how it ended.
async fn flushed(
    mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
    flusher: &Flusher<impl AsyncWrite + Unpin>,
    metrics: &Metrics,
) {
    poll_fn(|cx| {
        let step = connection.as_mut().poll(cx);
        // What cannot be sent now wakes this task again when it can.
        let flush = flusher.poll_flush(cx);
        match (step, flush) {
            (Poll::Ready(end), _) => metrics.ended_http2(&end),
            (Poll::Pending, Poll::Ready(Err(error))) => metrics.ended(End::of(&error)),
            (Poll::Pending, _) => return Poll::Pending,
        }
        Poll::Ready(())
    })
    .await;
}

/// What goes on on an HTTP/2 connection. HTTP/1.1 has a timer of its own.
#[derive(Default)]
struct Activity {
    under_way: AtomicUsize,
    begun: AtomicU64,
}

struct UnderWay(Arc<Activity>);

/// The body of an answer, under way until it has gone.
struct Counted {
    body: AnswerBody,
    _under_way: UnderWay,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        streams::note(Pin::new(&mut self.body).poll_frame(cx))
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

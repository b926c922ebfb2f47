//! The only way to the store, and the truth about what became of a request on it.
//!
//! Admissions are taken by value: what is not admitted cannot be forwarded. A write past its
//! commit point goes on when its client hangs up, until the store has answered or the
//! rule's time is over; before it, it ends with the client and leaves nothing in the store.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response, request};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::answer::{AnswerBody, Relayed};
use super::body::FencedBody;
use super::flight::{BodyFault, Flight};
use super::pump::Pump;
use crate::fence::Refusal;
use crate::net::connect::ConnectError;
use crate::net::http1::client::SendError;
use crate::net::pool::{Lease, Pool};

/// What became of a request that has no answer from the store.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The client's body was at fault. Nothing of it is in the store.
    #[error(transparent)]
    Body(BodyFault),
    /// The client's body stalled. Nothing of it is in the store.
    #[error("the request's body stalled for longer than body_stall_timeout")]
    ClientStalled,
    /// A takeover came before the commit point. Nothing of it is in the store.
    #[error("a takeover came first")]
    Cut,
    /// The process ends, and the write had not reached its commit point. Nothing of it is in the
    /// store.
    #[error("palisade is shutting down, and drain_timeout is over")]
    Ending,
    /// There was no connection. Nothing was sent.
    #[error(transparent)]
    NotConnected(ConnectError),
    /// The connection broke, or the store stopped reading, before the commit point.
    /// Nothing of it is in the store.
    #[error("the store did not take the request: {0}")]
    NotTaken(String),
    /// The session with a shared ledger was lost, and the write had not reached its commit point.
    /// Nothing of it is in the store.
    #[error("palisade has lost its session with the ledger")]
    Suspended,
    /// Past the commit point, and no answer. Nobody can tell.
    #[error("the store did not answer: {0}")]
    Unknown(String),
}

/// A request on its way, with all that it needs.
pub struct Forwarding {
    /// The head as the store is to see it; the target in origin form.
    pub head: request::Parts,
    /// The body.
    pub body: FencedBody,
    /// What the body shares with the exchange: the admissions.
    pub flight: Arc<Flight>,
    /// It counts from its head on, or has no body at all.
    pub commits_at_head: bool,
    /// How long a body may stall.
    pub stall_timeout: Duration,
}

/// Sends a request and returns the answer, or what became of it. `ended` is told when a
/// fenced write has ended without an answer, even when its client has gone by then.
pub async fn forward(
    forwarding: Forwarding,
    pool: Pool<FencedBody>,
    detached: &TaskTracker,
    ended: impl FnOnce(&Failure, &Flight) + Send + 'static,
) -> Result<Response<AnswerBody>, Failure> {
    let flight = Arc::clone(&forwarding.flight);
    let mut ended = Some(ended);
    if !flight.is_fenced() {
        return exchange(forwarding, &pool, detached, &mut ended).await;
    }
    let (told, tracker) = (Arc::clone(&flight), detached.clone());
    let leg = Box::pin(async move {
        let outcome = exchange(forwarding, &pool, &tracker, &mut ended).await;
        if let (Err(failure), Some(ended)) = (&outcome, ended) {
            ended(failure, &told);
        }
        outcome
    });
    Leg { leg: Some(leg), flight, detached }.await
}

/// Goes on by itself when it is dropped past its commit point.
struct Leg<'a, F: Future<Output: Send> + Send + 'static> {
    leg: Option<Pin<Box<F>>>,
    flight: Arc<Flight>,
    detached: &'a TaskTracker,
}

impl<F: Future<Output: Send> + Send + 'static> Future for Leg<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let leg = self.leg.as_mut().expect("it is not polled after its end");
        let outcome = std::task::ready!(leg.as_mut().poll(cx));
        self.leg = None;
        Poll::Ready(outcome)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Leg<'_, F> {
    fn drop(&mut self) {
        let Some(leg) = self.leg.take() else { return };
        if !self.flight.is_committed() {
            // HTTP/2 sends a body by a task of its own, which may have all of it already.
            self.flight.kill();
        } else if tokio::runtime::Handle::try_current().is_ok() {
            self.detached.spawn(leg);
        }
    }
}

async fn exchange(
    forwarding: Forwarding,
    pool: &Pool<FencedBody>,
    detached: &TaskTracker,
    ended: &mut Option<impl FnOnce(&Failure, &Flight) + Send + 'static>,
) -> Result<Response<AnswerBody>, Failure> {
    let Forwarding { head, body, flight, commits_at_head, stall_timeout } = forwarding;
    let mut lost = pin!(flight.lost());
    let to_head = head.method == Method::HEAD;
    let mut request = Request::from_parts(head, body);
    let mut fresh = false;
    let (head, mut lease) = loop {
        let mut lease = tokio::select! {
            biased;
            lease = pool.lease(fresh) => match lease {
                Ok(lease) => lease,
                Err(error) => {
                    flight.settle();
                    return Err(Failure::NotConnected(error));
                }
            },
            () = &mut lost => return Err(never_sent(&flight)),
        };
        if commits_at_head && flight.commit().is_err() {
            return Err(never_sent(&flight));
        }
        if lease.is_http2() {
            name_target(&mut request, pool);
        }
        let interruption = {
            let mut sending = pin!(lease.send(request));
            tokio::select! {
                biased;
                answer = &mut sending => Ok(answer),
                () = &mut lost => Err(Stall::Lost),
                stall = stalled(&flight, pool.upstream().response_timeout, stall_timeout) => {
                    Err(stall)
                }
            }
        };
        match interruption {
            // The other informational answers are kept below.
            Ok(Ok(head)) if head.status.is_informational() => {
                let what = "it changed the protocol, which nobody had asked for";
                return Err(broken(&flight, lease, None, what.to_owned()).await);
            }
            Ok(Ok(head)) => break (head, lease),
            // It came back unwritten, as it does when the store closes an idle connection
            // just then: whatever it was, it may go out once more.
            Ok(Err(SendError { unsent: Some(unsent), .. })) if lease.is_reused() && !fresh => {
                request = unsent;
                fresh = true;
            }
            Ok(Err(SendError { unsent: Some(_), error })) => {
                flight.settle();
                return Err(Failure::NotTaken(error.to_string()));
            }
            Ok(Err(SendError { unsent: None, error })) => {
                return Err(broken(&flight, lease, None, explain(&error)).await);
            }
            Err(stall) => {
                let what = match stall {
                    Stall::Client | Stall::Store => "it took longer than response_timeout",
                    Stall::Lost => "it was given up on",
                };
                return Err(broken(&flight, lease, Some(stall), what.to_owned()).await);
            }
        }
    };
    flight.stop();
    // A store may begin its answer before it knows how the write ends: S3 sends the head of
    // CompleteMultipartUpload at once and the outcome at the end of the body.
    let ends_later = flight.is_fenced() && flight.is_committed() && !to_head;
    // What is still being sent goes on although the client may not be reading.
    let is_two_way = !flight.is_done() && !flight.is_stopped();
    if (ends_later || is_two_way) && !lease.is_end_stream() {
        let rest = if is_two_way { None } else { lease.take_rest() };
        if let Some(rest) = rest {
            lease.give_back();
            flight.settle();
            return Ok(Response::from_parts(head, AnswerBody::Own(rest)));
        }
        let (pump, body) = Pump::new(lease, Arc::clone(&flight), stall_timeout);
        let (ended, flight) = (ended.take(), Arc::clone(&flight));
        detached.spawn(async move {
            if let (Err(failure), Some(ended)) = (pump.run().await, ended) {
                ended(&failure, &flight);
            }
        });
        return Ok(Response::from_parts(head, body));
    }
    flight.settle();
    let body = Relayed::body(lease, Arc::clone(&flight), stall_timeout, to_head);
    Ok(Response::from_parts(head, body))
}

/// Lost while there was no connection yet, or nothing was sent on it.
fn never_sent(flight: &Flight) -> Failure {
    let why = flight.why();
    flight.settle();
    lost(why)
}

fn lost(why: Option<Refusal>) -> Failure {
    match why {
        Some(Refusal::Stale { .. }) => Failure::Cut,
        Some(Refusal::LedgerUnavailable) => Failure::Suspended,
        _ => Failure::Ending,
    }
}

enum Stall {
    Client,
    /// The admission is lost.
    Lost,
    Store,
}

/// The exchange has ended without an answer: closes the connection and tells what is known.
async fn broken(
    flight: &Flight,
    lease: Lease<FencedBody>,
    stall: Option<Stall>,
    what: String,
) -> Failure {
    if flight.kill() {
        lease.close().await;
        flight.lose();
        return Failure::Unknown(what);
    }
    drop(lease);
    let why = flight.why();
    flight.settle();
    match (flight.fault(), stall) {
        _ if matches!(why, Some(Refusal::Stale { .. })) => Failure::Cut,
        (Some(BodyFault::Cut), _) if why.is_some() => lost(why),
        (Some(fault), _) if !matches!(fault, BodyFault::Cut | BodyFault::Ended) => {
            Failure::Body(fault.clone())
        }
        (_, Some(Stall::Client)) => Failure::ClientStalled,
        (_, Some(Stall::Lost)) => lost(why),
        _ => Failure::NotTaken(what),
    }
}

fn explain(error: &std::io::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// HTTP/2 wants the scheme and the authority in the target, and no Host.
fn name_target(request: &mut Request<FencedBody>, pool: &Pool<FencedBody>) {
    let Some(host) = request.headers_mut().remove(http::header::HOST) else { return };
    let tls = pool.upstream().endpoints.iter().any(|endpoint| endpoint.tls);
    let mut target = std::mem::take(request.uri_mut()).into_parts();
    target.scheme = Some(if tls { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
    target.authority = http::uri::Authority::from_maybe_shared(host).ok();
    if let Ok(uri) = http::Uri::from_parts(target) {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = http::Version::HTTP_2;
}

/// Resolves when the store has been silent for `response_timeout` after the last byte, or
/// one of the two sides has let the body stall. One timer: it is not moved with every
/// frame, so a body's stall is seen after one to one and a half times its limit.
async fn stalled(flight: &Flight, response_timeout: Duration, body_timeout: Duration) -> Stall {
    let started = Instant::now();
    let look = (response_timeout.min(body_timeout) / 2).max(Duration::from_millis(1));
    let (mut seen, mut seen_at) = (0, started);
    let first = if flight.is_done() { response_timeout } else { look };
    let mut timer = pin!(sleep_until(started + first));
    loop {
        timer.as_mut().await;
        let now = Instant::now();
        if flight.is_done() {
            let deadline = flight.done_at().unwrap_or(started) + response_timeout;
            if now >= deadline {
                return Stall::Store;
            }
            timer.as_mut().reset(deadline);
            continue;
        }
        let starved = flight.is_starved();
        if flight.frames() != seen {
            (seen, seen_at) = (flight.frames(), now);
        } else if now - seen_at >= if starved { body_timeout } else { response_timeout } {
            return if starved { Stall::Client } else { Stall::Store };
        }
        timer.as_mut().reset(now + look);
    }
}

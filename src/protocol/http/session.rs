//! One request: checked, classified, admitted, forwarded; or refused.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::{Request, Response, StatusCode, Version, request};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::answer::AnswerBody;
use super::asked::{Asked, Wanted};
use super::body::{FencedBody, Source};
use super::client_body::ClientBody;
use super::flight::Flight;
use super::head::{Asks, Head};
use super::headers::{self, Origin};
use super::malformed::Malformed;
use super::problem::{Denial, Problem};
use super::refusal::{REFUSAL_HEADER, RESOURCE_HEADER, name_resource};
use super::relay::{self, Failure, Forwarding};
use super::server::Service;
use super::speech::Understood;
use super::token::{self, TOKEN_HEADER};
use super::{read_ahead, reserved};
use crate::fence::{Action, Refusal};
use crate::gate::Admission;
use crate::net::connect;
use crate::net::http1;
use crate::net::identity::Peer;
use crate::rules::CommitPoint;

/// The header with which a request bounds how long it waits for a takeover: `5s`, `250ms`.
pub const WAIT_HEADER: HeaderName = HeaderName::from_static("fencing-wait");

/// What all requests of one connection share.
pub struct Session {
    pub(super) service: Arc<Service>,
    pub(super) peer: Peer,
    pub(super) origin: Origin,
    pub(super) is_http2: bool,
}

impl Session {
    /// The answer to a request: the store's, or Palisade's own.
    pub async fn answer(self: &Arc<Self>, request: Request<ClientBody>) -> Response<AnswerBody> {
        let (head, mut body) = request.into_parts();
        let (method, version) = (head.method.clone(), head.version);
        body.look(&method).await;
        // Said beforehand (RFC 9110 section 10.1.1), or a client would send its next request into
        // a connection that is about to be closed.
        let closes = body.spoils_connection();
        let prefix = &self.service.front.listener.prefix;
        let is_reserved = reserved::name(head.uri.path(), prefix).is_some();
        match self.serve(head, body).await {
            Ok(response) => response,
            Err(problem) => {
                let mut response = self.refuse(&problem, is_reserved, &method, version);
                if closes {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        }
    }

    /// The answer to what is no request of HTTP/1.1.
    pub fn answer_to(&self, fault: &http1::Fault) -> Response<AnswerBody> {
        let malformed = Malformed::new(fault.to_string(), fault_mend(fault));
        let problem: Box<Problem> = malformed.with_status(fault_status(fault)).into();
        self.refuse(&problem, false, &http::Method::GET, Version::HTTP_11)
    }

    async fn serve(
        self: &Arc<Self>,
        mut head: request::Parts,
        body: ClientBody,
    ) -> Result<Response<AnswerBody>, Box<Problem>> {
        let started = Instant::now();
        let front = &self.service.front;
        let listener = &front.listener;
        if headers::is_loop(&head.headers, &front.pseudonym) {
            return Err(Denial::Loop.into());
        }
        let Head { host, token, asks } =
            Head::read(listener, &front.speech, &head, !body.is_empty())?;
        let (Understood { mut operation, s3 }, wait) = match asks {
            // Boxed: every request would carry room for it, and a future is moved as a whole.
            Asks::Palisade(name) => {
                return Box::pin(reserved::serve(self, name, &head, token)).await;
            }
            Asks::Store(understood, wait) => (understood, wait),
        };
        let is_write = operation.is_write();
        let mut body = Some(body);
        let mut held = None;
        if let Some(s3) = s3.as_ref().filter(|s3| s3.reads_ahead())
            && let Some(body) = body.take()
        {
            Asked::before_body(listener, &self.peer.identity.name, &operation, token)?;
            let overloaded = || Denial::Fence(Refusal::Overloaded { limit: "read_aheads_max" });
            let _room = front.read_aheads.try_acquire().map_err(|_| overloaded())?;
            let decoder = s3.decode().map(|(decoder, _)| decoder);
            let limit = listener.limits.body_stall_timeout;
            let whole = read_ahead::read(body, decoder, s3.read_ahead_bytes_max(), limit);
            let whole = Box::pin(whole).await;
            let whole = whole.map_err(|failure| Denial::Failed { failure, is_write })?;
            s3.name_targets(&mut operation, &whole.bytes)?;
            held = Some(whole);
        }
        let asked = Asked::new(listener, &self.peer.identity.name, &operation, token)?;
        let len = body.as_ref().and_then(ClientBody::len);
        asked.bound(listener, len, &operation)?;
        let admissions = self.admit(&asked, wait).await?;

        front.speech.rewrite(&mut head, host, s3.as_deref(), held.as_ref(), |headers, host| {
            self.prepare(headers, host);
        })?;
        head.version = Version::HTTP_11;
        let decoder = s3.as_ref().and_then(|s3| s3.decode());
        let (source, len) = match (body.filter(|body| !body.is_empty()), decoder) {
            (None, _) => {
                let held = held.unwrap_or_default().bytes;
                let len = held.len() as u64;
                (Source::Held(held), Some(len))
            }
            (Some(body), Some((decoder, decoded))) => {
                (Source::Decoded(body, decoder), decoded.or(len))
            }
            (Some(body), None) => (Source::Client(body), len),
        };
        let has_body = len != Some(0);
        let flight = Arc::new(Flight::new(admissions, has_body));
        let commits_at_head = !has_body
            || s3.as_ref().map_or(is_write && flight.admissions().is_empty(), |s3| s3.is_command())
            || asked.wanted.iter().any(|wanted| {
                wanted.action == Action::Write
                    && wanted.matched.rule.commit_point == CommitPoint::Head
            });
        let forwarding = Forwarding {
            head,
            body: FencedBody::new(source, len, listener.limits.body_bytes_max, Arc::clone(&flight)),
            flight: Arc::clone(&flight),
            commits_at_head,
            stall_timeout: listener.limits.body_stall_timeout,
        };
        let sent = Instant::now();
        let ended = {
            let (session, asked) = (Arc::clone(self), asked.clone());
            move |failure: &Failure, flight: &Flight| session.tell_ended(&asked, failure, flight)
        };
        let pool = self.service.pool.clone();
        let outcome = relay::forward(forwarding, pool, &self.service.detached, ended).await;
        let answered = Instant::now();
        front.metrics.upstream.record(answered - sent);
        front.metrics.added.record(sent - started);
        match outcome {
            Ok(mut response) => {
                front.metrics.rule(asked.rule()).requests.increment(1);
                self.finish(response.headers_mut(), &asked);
                *response.version_mut() =
                    if self.is_http2 { Version::HTTP_2 } else { Version::HTTP_11 };
                Ok(response)
            }
            Err(failure) => {
                let denial = Denial::Failed { failure, is_write };
                Err(asked.problem(denial, flight.outranked_by()))
            }
        }
    }

    /// Asks the gate for everything that is wanted, in the order of the resources' names.
    async fn admit(
        &self,
        asked: &Asked,
        wait: Option<Duration>,
    ) -> Result<SmallVec<[Admission; 1]>, Box<Problem>> {
        let mut admissions = SmallVec::new();
        for wanted in &asked.wanted {
            let Some(token) = asked.token else { continue };
            let bid = wanted.bid(&self.peer, token, wait);
            let gate = &self.service.front.gate;
            let refused = |refusal| asked.problem_at(wanted, Denial::Fence(refusal));
            match wanted.action {
                Action::Write => admissions.push(gate.admit(&bid).await.map_err(refused)?),
                Action::Raise | Action::Read => drop(gate.seal(&bid).await.map_err(refused)?),
            }
        }
        Ok(admissions)
    }

    /// Makes the headers fit for the store, as far as that is the same for all HTTP.
    fn prepare(&self, headers: &mut HeaderMap, host: HeaderValue) {
        let trailers = headers.get(TE).is_some_and(|te| te.as_bytes() == b"trailers");
        let token_header = self.service.front.listener.token_header.as_str();
        let via = &self.service.front.via;
        headers::prepare_request(headers, &self.origin, host.clone(), via, token_header);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            if self.service.pool.upstream().version == connect::Version::Http1 {
                headers.insert(CONNECTION, HeaderValue::from_static("te"));
            }
        }
        // HTTP/2 has it elsewhere.
        if !headers.contains_key(HOST) {
            headers.insert(HOST, host);
        }
    }

    /// Makes the store's head fit for the client, and says what it was admitted under.
    fn finish(&self, headers: &mut HeaderMap, asked: &Asked) {
        headers::strip_hop_by_hop(headers, |name| {
            [&REFUSAL_HEADER, &RESOURCE_HEADER, &TOKEN_HEADER]
                .iter()
                .any(|ours| ours.as_str() == name)
        });
        // The heads of HTTP/1.1 are copies already.
        if self.is_http2 && self.service.pool.upstream().version == connect::Version::Http2 {
            headers::detach(headers);
        }
        for Wanted { matched, .. } in &asked.wanted {
            name_resource(headers, &matched.resource);
        }
        if let (Some(token), false) = (asked.token, asked.wanted.is_empty()) {
            headers.insert(TOKEN_HEADER, token::header_of(token));
        }
    }

    fn refuse(
        &self,
        problem: &Problem,
        is_reserved: bool,
        method: &http::Method,
        version: Version,
    ) -> Response<AnswerBody> {
        let row = problem.denial.row();
        self.tell_refused(problem, &row);
        let (body, content_type) = match is_reserved {
            true => (problem.document(&row), "application/problem+json"),
            false => self.service.front.speech.document(problem, &row),
        };
        problem.answer(&row, method, version, body, content_type)
    }
}

fn fault_status(fault: &http1::Fault) -> StatusCode {
    match fault {
        http1::Fault::Malformed(_) => StatusCode::BAD_REQUEST,
        http1::Fault::Late => StatusCode::REQUEST_TIMEOUT,
        http1::Fault::TooLarge { .. } | http1::Fault::TooMany { .. } => {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        }
    }
}

fn fault_mend(fault: &http1::Fault) -> &'static str {
    match fault {
        http1::Fault::Malformed(_) => "send it as RFC 9112 has it",
        http1::Fault::Late => "send it at once, or raise header_timeout",
        http1::Fault::TooLarge { .. } => "send a shorter one, or raise header_bytes_max",
        http1::Fault::TooMany { .. } => "send fewer, or raise headers_max",
    }
}

/// How long a request wants to wait at most, where it says so.
pub(super) fn wait(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    let Some(value) = headers.get(WAIT_HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or("");
    let number = |digits: &str| {
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten()
    };
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => number(digits).map(|ms| Duration::from_millis(ms.into())),
        (None, Some(digits)) => number(digits).map(|s| Duration::from_secs(s.into())),
        (None, None) => None,
    };
    let malformed = || Malformed::new(format!("{WAIT_HEADER} is no time"), "send 5s or 250ms");
    parsed.map(Some).ok_or_else(malformed)
}

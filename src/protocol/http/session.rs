//! One request: checked, classified, admitted, forwarded; or refused.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::{Request, Response, Uri, Version, request};
use hyper::body::Incoming;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::answer::AnswerBody;
use super::asked::{Asked, Wanted};
use super::body::{FencedBody, Source};
use super::client_body::ClientBody;
use super::flight::{BodyFault, Flight};
use super::headers::{self, Origin};
use super::malformed::Malformed;
use super::problem::{Denial, Problem};
use super::refusal::{REFUSAL_HEADER, RESOURCE_HEADER, name_resource};
use super::relay::{self, Failure, Forwarding};
use super::server::Service;
use super::token::{self, TOKEN_HEADER};
use super::{classify, integrity, reserved};
use crate::fence::{Action, Token};
use crate::gate::Admission;
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
    pub async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<AnswerBody> {
        let (head, incoming) = request.into_parts();
        let (method, version) = (head.method.clone(), head.version);
        let waits = head.headers.contains_key(EXPECT);
        let body = ClientBody::new(incoming, self.is_http2, waits);
        match self.serve(head, body).await {
            Ok(response) => response,
            Err(problem) => self.refuse(&problem, &method, version),
        }
    }

    async fn serve(
        self: &Arc<Self>,
        mut head: request::Parts,
        body: ClientBody,
    ) -> Result<Response<AnswerBody>, Problem> {
        let started = Instant::now();
        let front = &self.service.front;
        let listener = &front.listener;
        let host = integrity::check(&head, &listener.token_header)?;
        if headers::is_loop(&head.headers, &front.pseudonym) {
            return Err(Denial::Loop.into());
        }
        let token = token::find(&head.headers, &listener.token_header)
            .map_err(|malformed| Problem::from(Denial::TokenMalformed(malformed)))?;
        if let Some(name) = reserved::name(head.uri.path(), &listener.prefix) {
            return reserved::serve(self, name, &head, token).await;
        }
        let operation = classify::classify(&head.method, head.uri.path(), !body.is_empty())?;
        if operation.targets.iter().any(|one| reserved::name(&one.path, &listener.prefix).is_some())
        {
            let mend = "write the reserved prefix as it is configured";
            return Err(Malformed::new("the reserved prefix is encoded", mend).into());
        }
        let host = match head.headers.get(HOST) {
            Some(host) => host.clone(),
            None => {
                HeaderValue::from_str(host).map_err(|_| Malformed::new("bad host", "correct it"))?
            }
        };
        let wait = wait(&head.headers)?;
        let is_write = operation.is_write();
        let asked = Asked::new(front, &self.peer, &operation, token)?;
        if let (Some(len), Some(max)) = (body.len(), listener.limits.body_bytes_max)
            && len > max
        {
            let failure = Failure::Body(BodyFault::TooLarge(max));
            return Err(asked.problem(Denial::Failed { failure, is_write }, None));
        }
        let admissions = self.admit(&asked, wait).await?;

        self.rewrite(&mut head, host);
        let len = body.len();
        let has_body = !body.is_empty();
        let flight = Arc::new(Flight::new(admissions, has_body));
        let source =
            if has_body { Source::Client(body) } else { Source::Held(bytes::Bytes::new()) };
        let commits_at_head = !has_body
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
    ) -> Result<SmallVec<[Admission; 1]>, Problem> {
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

    /// Makes the head fit for the store.
    fn rewrite(&self, head: &mut request::Parts, host: HeaderValue) {
        let listener = &self.service.front.listener;
        let trailers = head.headers.get(TE).is_some_and(|te| te.as_bytes() == b"trailers");
        head.headers.remove(&listener.token_header);
        head.headers.remove(WAIT_HEADER);
        head.headers.remove(EXPECT); // What was expected of us has been answered by us.
        headers::prepare_request(
            &mut head.headers,
            &self.origin,
            host.clone(),
            &self.service.front.via,
        );
        if trailers {
            head.headers.insert(TE, HeaderValue::from_static("trailers"));
            if self.service.pool.upstream().version == crate::net::connect::Version::Http1 {
                head.headers.insert(CONNECTION, HeaderValue::from_static("te"));
            }
        }
        head.headers.insert(HOST, host);
        head.version = Version::HTTP_11;
        if head.uri.authority().is_some() {
            let mut target = http::uri::Parts::default();
            target.path_and_query = head.uri.path_and_query().cloned();
            if let Ok(uri) = Uri::from_parts(target) {
                head.uri = uri;
            }
        }
    }

    /// Makes the store's head fit for the client, and says what it was admitted under.
    fn finish(&self, headers: &mut HeaderMap, asked: &Asked) {
        headers::strip_hop_by_hop(headers);
        headers.remove(REFUSAL_HEADER);
        headers.remove(RESOURCE_HEADER);
        headers.remove(TOKEN_HEADER);
        for Wanted { matched, .. } in &asked.wanted {
            name_resource(headers, &matched.resource);
        }
        if let (Some(token), false) = (asked.token, asked.wanted.is_empty()) {
            headers.insert(TOKEN_HEADER, header_of(token));
        }
    }

    pub(super) fn refuse(
        &self,
        problem: &Problem,
        method: &http::Method,
        version: Version,
    ) -> Response<AnswerBody> {
        let row = problem.denial.row();
        self.tell_refused(problem, &row);
        let body = problem.document(&row);
        problem.answer(&row, method, version, body, "application/problem+json")
    }
}

fn header_of(token: Token) -> HeaderValue {
    match token.incarnation() {
        0 => HeaderValue::from(token.counter()),
        _ => HeaderValue::try_from(token.to_string()).expect("a token is digits and a point"),
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

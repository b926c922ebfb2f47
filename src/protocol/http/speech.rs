//! Where S3 differs from any other HTTP: what a request does, what of its body is read before
//! admission, what the store gets to see, and what a refusal looks like.

use std::time::SystemTime;

use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Uri, request};

use super::body::Decode;
use super::chunks;
use super::malformed::Malformed;
use super::operation::Operation;
use super::problem::{Problem, Row};
use super::read_ahead::Held;
use super::s3::address::{self, Address};
use super::s3::classify::BodyRole;
use super::s3::payload::{self, Payload, Plan};
use super::s3::sign::Signer;
use super::s3::{self, Mode, delete, passthrough, refusal};
use super::settings::Flavor;
use super::{classify, headers};
use crate::net::connect::Upstream;

/// What is spoken on a listener, with what it needs.
pub enum Speech {
    /// Any HTTP.
    Http,
    /// S3.
    S3(Box<S3>),
}

/// See [`Speech::S3`].
pub struct S3 {
    settings: s3::Settings,
    /// When re-signing.
    signer: Option<Signer>,
    /// The store's own name, which is signed when re-signing.
    store: HeaderValue,
}

/// What a request does.
pub struct Understood {
    /// To be admitted.
    pub operation: Operation,
    /// What S3 has to know of it later.
    pub s3: Option<Box<S3Request>>,
}

/// An S3 request between classification and sending.
pub struct S3Request {
    address: Address,
    role: BodyRole,
    plan: Plan,
}

/// Headers that a signature cannot keep on a further hop.
const HOP_BY_HOP: [HeaderName; 4] = [
    http::header::CONNECTION,
    http::header::TE,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
];

impl Speech {
    /// As the configuration says.
    pub fn new(flavor: &Flavor, upstream: &Upstream) -> Self {
        let Flavor::S3(settings) = flavor else { return Self::Http };
        let signer = match &settings.mode {
            Mode::PassThrough => None,
            Mode::ReSign { credentials, region } => {
                Some(Signer::new(credentials.clone(), region.clone()))
            }
        };
        let store = upstream.endpoints.first().and_then(|endpoint| {
            let default = if endpoint.tls { 443 } else { 80 };
            let name = match endpoint.port {
                port if port == default => endpoint.host.to_string(),
                port => format!("{}:{port}", endpoint.host),
            };
            name.parse::<Authority>().ok()?;
            HeaderValue::try_from(name).ok()
        });
        let store = store.unwrap_or(HeaderValue::from_static("store"));
        Self::S3(Box::new(S3 { settings: settings.clone(), signer, store }))
    }

    /// What a request does, by its head.
    ///
    /// # Errors
    /// When it could be read in two ways.
    pub fn classify(
        &self,
        head: &request::Parts,
        host: &str,
        has_body: bool,
    ) -> Result<Understood, Malformed> {
        let Self::S3(s3) = self else {
            let operation = classify::classify(&head.method, head.uri.path(), has_body)?;
            return Ok(Understood { operation, s3: None });
        };
        let domains = &s3.settings.domains;
        if s3.signer.is_none() && !address::is_known_host(host, domains) {
            return Err(Malformed::new(
                "this host is none of domains, so the store could read another bucket in it",
                "name the store's own host, and list it in domains",
            ));
        }
        let address = address::resolve(host, head.uri.path(), domains)?;
        let query = head.uri.query().unwrap_or("");
        let found = s3::classify::classify(&head.method, &address, query, &head.headers)?;
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        if has_body && (found.body == BodyRole::None || is_read) {
            let mend = "send it without";
            return Err(Malformed::new("this operation has no body", mend));
        }
        let plan = payload::plan(&head.headers, found.body, &s3.settings)?;
        if !has_body && plan.transform != payload::Transform::Verbatim {
            // The store would be told the length of a decoded body that never comes, and take
            // the next request on its connection for it.
            return Err(Malformed::new(
                "there is no body, and aws-chunked encoding is never without one",
                "send the body, or leave out what says aws-chunked",
            ));
        }
        let s3 = Some(Box::new(S3Request { address, role: found.body, plan }));
        Ok(Understood { operation: found.operation, s3 })
    }

    /// Makes the head fit for the store. `held` is the body where it has been read whole.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn rewrite(
        &self,
        head: &mut request::Parts,
        host: HeaderValue,
        request: Option<&S3Request>,
        held: Option<&Held>,
        prepare: impl FnOnce(&mut HeaderMap, HeaderValue),
    ) -> Result<(), Malformed> {
        let (Self::S3(s3), Some(request)) = (self, request) else {
            prepare(&mut head.headers, host);
            return origin_form(head, None);
        };
        let Some(signer) = &s3.signer else {
            let query = head.uri.query().unwrap_or("");
            let signed = passthrough::signed_headers(&head.headers, query)?;
            let kept = keep(&head.headers, signed);
            prepare(&mut head.headers, host);
            restore(&mut head.headers, kept);
            return origin_form(head, None);
        };
        prepare(&mut head.headers, host);
        request.plan.apply(&mut head.headers);
        head.headers.insert(HOST, s3.store.clone());
        origin_form(head, Some(request.address.canonical_path()))?;
        let of_held;
        let payload = match held {
            Some(Held { bytes, checksum }) => {
                head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                if let Some((name, value)) = checksum
                    && let Ok(value) = HeaderValue::from_str(value)
                {
                    head.headers.insert(*name, value);
                }
                of_held = Payload::of(bytes);
                &of_held
            }
            None => &request.plan.payload,
        };
        Ok(signer.sign(head, payload, SystemTime::now())?)
    }

    /// A refusal in the words that clients of this listener understand, with its type.
    pub fn document(&self, problem: &Problem, row: &Row) -> (Vec<u8>, &'static str) {
        let Self::S3(_) = self else {
            return (problem.document(row), "application/problem+json");
        };
        let (token, mark) = (problem.token.map(|token| token.to_string()), problem.shown_mark());
        let mark_text = mark.as_ref().map(|mark| mark.token.to_string());
        let fields = [
            ("Reason", Some(row.reason)),
            ("Resource", problem.resource.as_ref().map(|resource| resource.as_str())),
            ("Token", token.as_deref()),
            ("Mark", mark_text.as_deref()),
            ("Holder", mark.as_ref().map(|mark| mark.holder.as_str()).filter(|h| !h.is_empty())),
            ("Outcome", Some(row.outcome)),
            ("Retryable", Some(if row.retryable { "true" } else { "false" })),
        ];
        let fields: Vec<_> =
            fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let message = format!("{}; {}", problem.denial.detail(), row.mend);
        let code = problem.denial.code().unwrap_or_else(|| refusal::code(row.reason));
        (refusal::document(code, &message, &fields).into_bytes(), refusal::CONTENT_TYPE)
    }
}

impl S3Request {
    /// Whether the body has to be read before it is known what the request touches, or whether
    /// it may be sent at all.
    pub fn reads_ahead(&self) -> bool {
        let is_empty =
            matches!(self.plan.transform, payload::Transform::Decode { decoded_length: 0, .. });
        self.names_targets() || is_empty
    }

    /// Whether only the body says what the request touches.
    pub fn names_targets(&self) -> bool {
        self.role == BodyRole::DeleteBatch
    }

    /// Whether the operation has a body.
    pub fn takes_body(&self) -> bool {
        self.role != BodyRole::None
    }

    /// Whether the body is a command, such as XML, rather than data: some stores carry it out
    /// once they have read its last tag, whatever bytes are still to come.
    pub fn is_command(&self) -> bool {
        self.role == BodyRole::Other
    }

    /// The bound of what is read before admission, in bytes, framing included.
    pub fn read_ahead_bytes_max(&self) -> u64 {
        2 * delete::BODY_MAX_BYTES as u64
    }

    /// Replaces the targets by what the body says is touched.
    ///
    /// # Errors
    /// When the body could be read in two ways.
    pub fn name_targets(&self, operation: &mut Operation, body: &[u8]) -> Result<(), Malformed> {
        if self.names_targets() {
            let bucket = self.address.bucket.as_deref().unwrap_or_default();
            operation.targets = delete::targets(bucket, &delete::keys(body)?);
        }
        Ok(())
    }

    /// What the body has to go through, and its length then where that is another.
    pub fn decode(&self) -> Option<(Box<dyn Decode>, Option<u64>)> {
        let decoder = self.plan.decoder()?;
        Some(match self.plan.transform {
            payload::Transform::Decode { decoded_length, .. } => {
                (Box::new(chunks::Plain::new(decoder)), Some(decoded_length))
            }
            payload::Transform::Verbatim | payload::Transform::Watch { .. } => {
                (Box::new(chunks::Watched::new(decoder)), None)
            }
        })
    }
}

/// The target as a store on HTTP/1.1 takes it, with another path if one is given.
fn origin_form(head: &mut request::Parts, path: Option<String>) -> Result<(), Malformed> {
    if path.is_none() && head.uri.authority().is_none() {
        return Ok(());
    }
    let bad = || Malformed::new("the target is no path", "correct it");
    let mut target = http::uri::Parts::default();
    target.path_and_query = match (path, head.uri.query()) {
        (None, _) => head.uri.path_and_query().cloned(),
        (Some(path), None) => Some(PathAndQuery::try_from(path).map_err(|_| bad())?),
        (Some(path), Some(query)) => {
            Some(PathAndQuery::try_from(format!("{path}?{query}")).map_err(|_| bad())?)
        }
    };
    head.uri = Uri::from_parts(target).map_err(|_| bad())?;
    Ok(())
}

type Kept = Vec<(HeaderName, Vec<HeaderValue>)>;

fn keep(headers: &HeaderMap, signed: Vec<HeaderName>) -> Kept {
    signed
        .into_iter()
        .filter(|name| !HOP_BY_HOP.contains(name))
        .map(|name| (name.clone(), headers.get_all(name).iter().cloned().collect()))
        .collect()
}

fn restore(headers: &mut HeaderMap, kept: Kept) {
    for (name, values) in kept {
        // `Host` may only now be a header: HTTP/2 has it elsewhere.
        if name != HOST {
            headers.remove(&name);
            for value in values {
                headers.append(&name, value);
            }
        }
    }
    headers::without_announced_trailers(headers);
}

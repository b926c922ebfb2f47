//! Who may do what on this listener, and what pages in a browser may not.
//!
//! A plain listener on loopback trusts whoever reaches it, and every page that an operator
//! looks at runs on the operator's machine. Two ways in are closed: DNS rebinding, where a
//! foreign name points at loopback, by the `Host` header; and cross-site requests, by a
//! header that no form can send, the media type, `Sec-Fetch-Site` and `Origin`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::net::identity::{Identity, Peer, Source};
use crate::rules::Globs;

/// Every request that changes something brings it, with any value.
pub const OPERATOR_HEADER: &str = "palisade-operator";

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub enum Caller {
    /// With a verified client certificate.
    Certificate(Peer),
    /// On this machine, without one.
    Loopback(SocketAddr),
}

impl Caller {
    /// As the audit log names it.
    pub(super) fn peer(&self) -> Peer {
        match self {
            Self::Certificate(peer) => peer.clone(),
            Self::Loopback(address) => {
                let nothing: Arc<str> = "".into();
                let identity = Identity {
                    name: "operator@loopback".into(),
                    source: Source::Cn,
                    serial: Arc::clone(&nothing),
                    fingerprint: nothing,
                    not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into()),
                };
                Peer { identity: Arc::new(identity), address: *address }
            }
        }
    }

    pub(super) fn may_operate(&self, operators: &Globs) -> bool {
        match self {
            Self::Certificate(peer) => operators.contains(&peer.identity.name),
            Self::Loopback(_) => true,
        }
    }
}

/// Around everything.
pub(super) async fn host(request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions().get::<Caller>() else {
        return Problem::forbidden("nothing is known of this connection").into_response();
    };
    if matches!(caller, Caller::Loopback(_)) {
        let of_uri = request.uri().authority().map(Authority::as_str);
        let of_header = request.headers().get_all(HOST).iter().map(|host| host.to_str().ok());
        let mut hosts = of_uri.map(Some).into_iter().chain(of_header).peekable();
        if hosts.peek().is_none() || !hosts.all(|host| host.is_some_and(is_loopback)) {
            return Problem::forbidden(
                "without TLS the admin listener answers only to localhost, 127.0.0.1 and [::1]; \
                 for other names give it certificates in [admin.tls]",
            )
            .into_response();
        }
    }
    next.run(request).await
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    !host.contains('@')
        && (name.eq_ignore_ascii_case("localhost")
            || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// In front of everything that changes something.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(Problem::forbidden("requests from pages of other sites are refused"));
    }
    if let Some(origin) = text(ORIGIN.as_str()) {
        let of_origin = origin.split_once("://").map(|(_, authority)| authority);
        if of_origin.is_none() || of_origin != text(HOST.as_str()) {
            return Err(Problem::forbidden("requests from pages of other sites are refused"));
        }
    }
    if text(OPERATOR_HEADER).is_none() {
        return Err(Problem::forbidden(format!(
            "the header {OPERATOR_HEADER} is missing; send it with any value, \
             or use `palisade resources`"
        )));
    }
    let media_type = text(CONTENT_TYPE.as_str()).unwrap_or_default();
    if media_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Problem::bad_request("the body has to be of type application/json"));
    }
    Ok(())
}

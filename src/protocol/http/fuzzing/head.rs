//! Heads, without a connection around them: what is understood of one is understood again of
//! what the store gets to see of it.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version, request};

use super::rig::LEADER;
use crate::protocol::http::asked::Asked;
use crate::protocol::http::head::{Asks, Head};
use crate::protocol::http::headers::{self, Origin};
use crate::protocol::http::preview::Preview;
use crate::protocol::http::problem::Problem;
use crate::protocol::http::server::Front;
use crate::protocol::http::settings::Flavor;
use crate::protocol::http::speech::Understood;
use crate::protocol::http::{classify, s3};

/// The first byte says which service, the others are a head: `METHOD TARGET`, then lines of
/// `NAME: VALUE`, ended by LF.
///
/// # Panics
/// When the store would be asked for something else than the rules were, or a refusal makes no
/// document.
pub fn head(data: &[u8]) {
    let Some((&first, text)) = data.split_first() else { return };
    let Some(parts) = parts(text, first & 4 != 0) else { return };
    super::connection::with_rig(|rig| {
        let front = rig.front(usize::from(first & 3));
        match sent(&front, parts.clone(), first & 8 != 0) {
            Ok(()) => {}
            Err(problem) => check_document(&front, &problem),
        }
        // What is explained is what would be done, so it ends in the same way or sooner.
        let _ = Preview::new(&front.listener, LEADER, &parts);
    });
}

fn parts(text: &[u8], is_http2: bool) -> Option<request::Parts> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::from_bytes(method.as_bytes()).ok()?;
    head.uri = Uri::from_maybe_shared(Bytes::copy_from_slice(target.as_bytes())).ok()?;
    head.version = if is_http2 { Version::HTTP_2 } else { Version::HTTP_11 };
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        head.headers.try_append(name, value).ok()?;
    }
    Some(head)
}

fn sent(front: &Front, mut head: request::Parts, has_body: bool) -> Result<(), Box<Problem>> {
    let before = head.clone();
    let Head { host, token, asks } = Head::read(&front.listener, &front.speech, &before, has_body)?;
    let Asks::Store(Understood { operation, s3 }, _) = asks else { return Ok(()) };
    assert!(!operation.targets.is_empty(), "nothing is touched by {before:?}");
    for target in &operation.targets {
        assert!(target.path.starts_with('/'), "{operation:?} of {before:?}");
        assert!(!target.path.contains('\0'), "{operation:?} of {before:?}");
    }
    Asked::new(&front.listener, LEADER, &operation, token)?;
    let origin = Origin::new(([127, 0, 0, 1], 1).into());
    let via = HeaderValue::from_static("1.1 fuzz");
    front.speech.rewrite(&mut head, host, s3.as_deref(), None, |headers, host| {
        let token_header = front.listener.token_header.as_str();
        headers::prepare_request(headers, &origin, host, &via, token_header);
    })?;
    let path = head.uri.path();
    assert!(path.starts_with('/') && head.uri.authority().is_none(), "{head:?} of {before:?}");
    // What a store makes of it, read as anything else would read it.
    let again = match &front.listener.flavor {
        Flavor::Http => classify::classify(&head.method, path, has_body).expect("as before"),
        Flavor::S3(settings) => {
            let host = head.headers.get(http::header::HOST).or(before.headers.get("host"));
            let host = host.and_then(|host| host.to_str().ok());
            let host = host.or(before.uri.authority().map(|a| a.as_str())).unwrap_or_default();
            let address = s3::address::resolve(host, path, &settings.domains);
            let address = address.unwrap_or_else(|why| panic!("{why}: {head:?} of {before:?}"));
            let query = head.uri.query().unwrap_or_default();
            let found = s3::classify::classify(&head.method, &address, query, &head.headers);
            found.unwrap_or_else(|why| panic!("{why}: {head:?} of {before:?}")).operation
        }
    };
    assert_eq!(again, operation, "{head:?} of {before:?}");
    Ok(())
}

fn check_document(front: &Front, problem: &Problem) {
    let row = problem.denial.row();
    let (document, content_type) = front.speech.document(problem, &row);
    let text = std::str::from_utf8(&document).expect("documents are UTF-8");
    if content_type == s3::refusal::CONTENT_TYPE {
        super::xml::check_well_formed(text);
    } else {
        let value: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(value["reason"], row.reason);
    }
}

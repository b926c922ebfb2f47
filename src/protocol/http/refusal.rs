//! Problems as bytes: RFC 9457 documents for HTTP, S3's own error documents for S3.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Response, Version};
use serde::Serialize;

use super::answer::AnswerBody;
use super::problem::{Denial, Problem, Row};
use super::token::{self, TOKEN_HEADER};
use crate::fence::{Mark, Refusal, Resource};

/// The answer's header that names the resource, percent-encoded beyond ASCII; several times
/// where a request touches several.
pub const RESOURCE_HEADER: HeaderName = HeaderName::from_static("fencing-resource");
/// The header of an answer that Palisade itself gave, with the reason: also where there is
/// no body, as after HEAD.
pub const REFUSAL_HEADER: HeaderName = HeaderName::from_static("fencing-refusal");

/// Room for a usual document.
const DOCUMENT_BYTES_USUAL: usize = 768;
/// When to try again what may be tried again, in seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<&'a str>,
    retryable: bool,
    outcome: &'a str,
    mend: &'a str,
}

impl Problem {
    /// The mark that the refusal shows, from wherever it is known.
    pub fn shown_mark(&self) -> Option<Mark> {
        match &self.denial {
            Denial::Fence(Refusal::Stale { mark, .. }) => Some(mark.clone()),
            Denial::Fence(Refusal::Conflict { token, holder }) => {
                Some(Mark { token: *token, holder: holder.clone() })
            }
            Denial::Fence(Refusal::Implausible { mark, .. }) => {
                Some(Mark { token: *mark, holder: crate::fence::Holder::new("") })
            }
            _ => self.mark.clone(),
        }
    }

    /// As a problem document.
    pub fn document(&self, row: &Row) -> Vec<u8> {
        let mark = self.shown_mark();
        let document = Document {
            r#type: format!("urn:palisade:problem:{}", row.reason),
            title: row.title,
            status: row.status.as_u16(),
            detail: self.denial.detail(),
            reason: row.reason,
            resource: self.resource.as_ref().map(Resource::as_str),
            token: self.token.map(|token| token.to_string()),
            mark: mark.as_ref().map(|mark| mark.token.to_string()),
            holder: mark.as_ref().map(|mark| mark.holder.as_str()).filter(|name| !name.is_empty()),
            retryable: row.retryable,
            outcome: row.outcome,
            mend: &row.mend,
        };
        let mut bytes = Vec::with_capacity(DOCUMENT_BYTES_USUAL);
        // Only strings and numbers: there is nothing in it that cannot be encoded.
        let _ = serde_json::to_writer(&mut bytes, &document);
        bytes
    }

    /// The whole answer, with a body of that type.
    pub fn answer(
        &self,
        row: &Row,
        method: &Method,
        version: Version,
        body: Vec<u8>,
        content_type: &'static str,
    ) -> Response<AnswerBody> {
        let body = match *method {
            Method::HEAD => AnswerBody::Empty,
            _ => AnswerBody::Own(Bytes::from(body)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = row.status;
        let headers = response.headers_mut();
        headers.reserve(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(REFUSAL_HEADER, HeaderValue::from_static(row.reason));
        if row.retryable {
            headers.insert(RETRY_AFTER, RETRY_AFTER_S);
        }
        if let Some(resource) = &self.resource {
            name_resource(headers, resource);
        }
        if let Some(token) = self.token {
            headers.insert(TOKEN_HEADER, token::header_of(token));
        }
        // What cannot be read in one way leaves nothing to go on from.
        if version != Version::HTTP_2 && matches!(self.denial, Denial::Malformed(_)) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Names a resource in an answer.
pub fn name_resource(headers: &mut HeaderMap, resource: &Resource) {
    const BEYOND: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%').add(b' ');
    let name = resource.as_str();
    let plain = HeaderValue::from_str(name)
        .ok()
        .filter(|_| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%'));
    let value = plain.or_else(|| {
        let encoded = percent_encoding::utf8_percent_encode(name, BEYOND).to_string();
        HeaderValue::try_from(encoded).ok()
    });
    if let Some(value) = value {
        headers.append(RESOURCE_HEADER, value);
    }
}

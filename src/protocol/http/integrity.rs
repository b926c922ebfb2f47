//! Requests that could be read in two ways, or that ask for a tunnel, are refused here,
//! before anything of them is looked at.
//!
//! Over HTTP/1.1, broken framing has been refused already (`net::http1`); HTTP/2 can bring some
//! of it, too. What the store sees is framed anew in every case.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode, Version, request};

use super::headers::listed;
use super::malformed::Malformed;

/// Headers that mean something beyond this connection. A request that lists one in
/// `Connection` wants it to be dropped on the way.
const END_TO_END: [HeaderName; 7] = [
    http::header::AUTHORIZATION,
    http::header::CONTENT_LENGTH,
    http::header::CONTENT_TYPE,
    http::header::COOKIE,
    http::header::HOST,
    http::header::RANGE,
    http::header::VIA,
];

/// Headers by which some servers take another method or another path than the request's own,
/// past every rule.
fn overrides(name: &str) -> bool {
    matches!(
        name,
        "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-original-url"
            | "x-rewrite-url"
    )
}

/// Refuses what is ambiguous, and tells which host the request is for.
///
/// # Errors
/// What is wrong with the request and how to mend it.
pub fn check<'a>(
    parts: &'a request::Parts,
    token_header: &HeaderName,
) -> Result<&'a str, Malformed> {
    version(parts.version)?;
    method(&parts.method)?;
    let headers = &parts.headers;
    if headers.keys().any(|name| name.as_str().contains('"')) {
        return Err(Malformed::new("a header's name is no word", "correct it"));
    }
    if headers.contains_key(UPGRADE) {
        return Err(Malformed::new("it asks for another protocol", "leave out Upgrade"));
    }
    if let Some(name) = headers.keys().map(HeaderName::as_str).find(|name| overrides(name)) {
        return Err(Malformed::new(
            format!("{name} asks for another method or path than the request does"),
            "send the method and the path that are meant",
        ));
    }
    if let Some(name) = headers.keys().find(|name| passes_for_another(name, token_header)) {
        return Err(Malformed::new(
            format!("some servers take {name} for the header with - in the place of _"),
            "leave it out, or write it with -",
        ));
    }
    framing(headers)?;
    if let Some(expected) = headers.get(EXPECT)
        && !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(Malformed::new("only 100-continue can be expected", "correct Expect")
            .with_status(StatusCode::EXPECTATION_FAILED));
    }
    if headers.contains_key(CONNECTION)
        && let Some(name) = listed(headers).find(|name| {
            name.eq_ignore_ascii_case(token_header.as_str())
                || END_TO_END.iter().any(|header| name.eq_ignore_ascii_case(header.as_str()))
                || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
        })
    {
        return Err(Malformed::new(
            format!("Connection lists {name}, so nobody could say whether it counts"),
            "leave it out of Connection",
        ));
    }
    let host = host(parts)?;
    match parts.uri.path_and_query().map(|target| target.as_str()) {
        Some(target) if !target.is_ascii() => {
            Err(Malformed::new("the target has bytes that need encoding", "percent-encode them"))
        }
        Some(target) if target.starts_with('/') => Ok(host),
        _ => Err(Malformed::new(
            "the target is no path of this server",
            "send a path that begins with /",
        )),
    }
}

/// CGI and its kin do not tell `_` from `-`: to them it is a header that decides something here,
/// or a second one beside it.
fn passes_for_another(name: &HeaderName, token_header: &HeaderName) -> bool {
    let name = name.as_str();
    name.contains('_') && {
        let plain = name.replace('_', "-");
        let framing = [CONTENT_LENGTH, TRANSFER_ENCODING];
        plain == token_header.as_str()
            || framing.iter().any(|header| header.as_str() == plain)
            || overrides(&plain)
    }
}

fn version(version: Version) -> Result<(), Malformed> {
    match version {
        Version::HTTP_11 | Version::HTTP_2 => Ok(()),
        _ => Err(Malformed::new("this version of HTTP is not spoken here", "use HTTP/1.1 or 2")
            .with_status(StatusCode::HTTP_VERSION_NOT_SUPPORTED)),
    }
}

fn method(method: &Method) -> Result<(), Malformed> {
    match *method {
        Method::DELETE
        | Method::GET
        | Method::HEAD
        | Method::OPTIONS
        | Method::PATCH
        | Method::POST
        | Method::PUT => Ok(()),
        _ => Err(Malformed::new(
            format!("the method {method} is not taken here"),
            "use DELETE, GET, HEAD, OPTIONS, PATCH, POST or PUT",
        )
        .with_status(StatusCode::METHOD_NOT_ALLOWED)),
    }
}

fn framing(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (coding, length) = (codings.next(), lengths.next());
    if codings.next().is_some()
        || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(Malformed::new("the transfer coding is not just chunked", "send chunked"));
    }
    // Many a store counts in 63 bits, and takes more for a negative number or for none.
    let one_number = |length: &http::HeaderValue| {
        length.as_bytes().iter().all(u8::is_ascii_digit)
            && (length.len() < 19 || length.to_str().is_ok_and(|text| text.parse::<i64>().is_ok()))
    };
    if lengths.next().is_some() || !length.is_none_or(one_number) {
        return Err(Malformed::new("Content-Length is not one number", "send one length"));
    }
    if coding.is_some() && length.is_some() {
        return Err(Malformed::new(
            "Transfer-Encoding and Content-Length contradict each other",
            "send one of them",
        ));
    }
    Ok(())
}

fn host(parts: &request::Parts) -> Result<&str, Malformed> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (header, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Malformed::new("there are several Host headers", "send one"));
    }
    let header = header
        .map(|host| host.to_str().map_err(|_| Malformed::new("Host is not ASCII", "correct it")))
        .transpose()?;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = match (authority, header) {
        (Some(authority), Some(header)) if !authority.eq_ignore_ascii_case(header) => {
            return Err(Malformed::new(
                "Host and the authority of the target differ",
                "send the same in both",
            ));
        }
        (Some(authority), None) if parts.version == Version::HTTP_2 => authority,
        (_, Some(header)) => header,
        (_, None) => return Err(Malformed::new("Host is missing", "send it")),
    };
    let plausible =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(plausible) {
        return Err(Malformed::new("Host is no name and no address", "send name or name:port"));
    }
    Ok(host)
}

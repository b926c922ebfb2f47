//! What the client's own signature covers, where it is kept valid.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName};

use super::malformed::Malformed;
use super::query::Query;

/// The headers that the client signed: they go on byte by byte, `Host` among them, even if they
/// are the token's or `Expect`. All others may be stripped. Empty where nothing is signed.
///
/// # Errors
/// When it cannot be told what is signed.
pub fn signed_headers(headers: &HeaderMap, query: &str) -> Result<Vec<HeaderName>, Malformed> {
    let query = Query::parse(query)?;
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let authorization = authorizations.next();
    let bad = |why| Malformed::Header { name: "authorization", why };
    if authorizations.next().is_some() {
        return Err(bad("is there twice"));
    }
    let lower = |name: &str| {
        query.pairs().find(|p| p.name.eq_ignore_ascii_case(name)).and_then(|p| p.value.as_deref())
    };
    if let Some(names) = lower("X-Amz-SignedHeaders") {
        return parse(names);
    }
    let Some(authorization) = authorization else {
        let is_v2 = lower("Signature").is_some();
        return Ok(if is_v2 { version_2(headers) } else { Vec::new() });
    };
    let text = authorization.to_str().map_err(|_| bad("is not ASCII"))?;
    if text.starts_with("AWS ") {
        return Ok(version_2(headers));
    }
    if !text.starts_with("AWS4-") {
        return Ok(Vec::new());
    }
    let names = text
        .split([',', ' '])
        .find_map(|part| part.strip_prefix("SignedHeaders="))
        .ok_or(bad("has no SignedHeaders"))?;
    parse(names)
}

fn parse(names: &str) -> Result<Vec<HeaderName>, Malformed> {
    names
        .split(';')
        .map(|name| {
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| Malformed::Header {
                name: "authorization",
                why: "has SignedHeaders with something that is no header",
            })
        })
        .collect()
}

/// Version 2 signs the same headers always.
fn version_2(headers: &HeaderMap) -> Vec<HeaderName> {
    let fixed = [CONTENT_TYPE, DATE, HeaderName::from_static("content-md5")];
    let amz = headers.keys().filter(|name| name.as_str().starts_with("x-amz-")).cloned();
    // `Host` is in it too, where it names the bucket.
    fixed.into_iter().chain([http::header::HOST]).chain(amz).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_signed() {
        let v4 = "AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, \
                  SignedHeaders=host;fencing-token;x-amz-date, Signature=00";
        for (authorization, query, expected) in [
            (v4, "", Some("host fencing-token x-amz-date")),
            (&v4.replace(", ", ","), "", Some("host fencing-token x-amz-date")),
            ("AWS4-HMAC-SHA256 Signature=00", "", None),
            ("AWS4-HMAC-SHA256 SignedHeaders=a;;b", "", None),
            ("AWS id:signature", "", Some("content-type date content-md5 host x-amz-acl")),
            ("Bearer x", "", Some("")),
            ("", "", Some("")),
            ("", "X-Amz-SignedHeaders=host%3Bfencing-token", Some("host fencing-token")),
            ("", "x-amz-signedheaders=host;fencing-token", Some("host fencing-token")),
            (
                "",
                "AWSAccessKeyId=a&Signature=b&Expires=1",
                Some("content-type date content-md5 host x-amz-acl"),
            ),
            ("", "a=%zz", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-acl", HeaderValue::from_static("private"));
            if !authorization.is_empty() {
                headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
            }
            let found = signed_headers(&headers, query).ok();
            let found = found
                .map(|names| names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), expected, "{authorization} {query}");
        }
    }
}

//! AWS Signature Version 4 for S3, as the store sees it when Palisade holds the credentials.
//!
//! Written here, not called: the key of a day is derived once, so that a request costs one HMAC
//! and not five; values of headers may be bytes; and one canonical form of path and query is both
//! signed and forwarded. `aws-sigv4` is the oracle in the tests, and a store that checks.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use aws_lc_rs::{digest, hmac};
use http::header::{AUTHORIZATION, DATE, EXPECT, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use zeroize::Zeroizing;

use super::encoding;
use super::malformed::Malformed;
use super::payload::Payload;
use super::query::Query;
use super::settings::Credentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const AMZ_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// What belongs to the client's own signature, and `Expect`, which Palisade has answered.
const CLIENTS_OWN: [HeaderName; 7] = [
    AUTHORIZATION,
    DATE,
    EXPECT,
    AMZ_DATE,
    HeaderName::from_static("x-amz-region-set"),
    HeaderName::from_static("x-amz-s3session-token"),
    HeaderName::from_static("x-amz-security-token"),
];

/// Signs requests to one store.
pub struct Signer {
    credentials: Arc<Credentials>,
    region: Arc<str>,
    /// The key of the day that was signed for last.
    key: ArcSwapOption<DayKey>,
}

struct DayKey {
    /// `20261121`
    day: String,
    key: hmac::Key,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("credentials", &self.credentials)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// With a store's credentials, for one region of it.
    pub fn new(credentials: Arc<Credentials>, region: Arc<str>) -> Self {
        Self { credentials, region, key: ArcSwapOption::empty() }
    }

    /// Replaces the client's signature by Palisade's, and writes path and query canonically.
    ///
    /// `Host` has to be the store's already, or the URI has to have an authority. Signed are
    /// `host`, `content-type`, `content-md5` and all `x-amz-*`: these must not change after.
    ///
    /// # Errors
    /// When path or query cannot be written canonically, or there is no one `Host`.
    pub fn sign(
        &self,
        head: &mut Parts,
        payload: &Payload,
        now: SystemTime,
    ) -> Result<(), Malformed> {
        let now = jiff::Timestamp::try_from(now)
            .map_err(|_| Malformed::Unfenceable("the clock of this machine is out of range"))?;
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = &time[..8];
        for name in &CLIENTS_OWN {
            head.headers.remove(name);
        }
        set_host(head)?;
        head.headers.insert(AMZ_DATE, header_value(&time)?);
        head.headers.insert(AMZ_SHA256, header_value(payload.as_str())?);

        let path = encoding::path(&encoding::decode(head.uri.path()).map_err(Malformed::Path)?);
        let query = Query::parse(head.uri.query().unwrap_or_default())?.without_auth();
        let (canonical, signed) = canonical_request(head, &path, &query, payload);

        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let mut to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n");
        push_hex(&mut to_sign, digest::digest(&digest::SHA256, &canonical).as_ref());
        let mut authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed}, Signature=",
            self.credentials.access_key_id
        );
        let tag = hmac::sign(&self.day_key(day).key, to_sign.as_bytes());
        push_hex(&mut authorization, tag.as_ref());
        let mut authorization = header_value(&authorization)?;
        authorization.set_sensitive(true);
        head.headers.insert(AUTHORIZATION, authorization);
        set_target(head, path, &query)
    }

    fn day_key(&self, day: &str) -> Arc<DayKey> {
        if let Some(key) = self.key.load_full().filter(|key| key.day == day) {
            return key;
        }
        let secret = Zeroizing::new(format!("AWS4{}", *self.credentials.secret_access_key));
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        for part in [day, &*self.region, "s3", "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        let key = Arc::new(DayKey { day: day.to_owned(), key });
        self.key.store(Some(Arc::clone(&key)));
        key
    }
}

/// Appends bytes in lower-case hexadecimal.
pub(super) fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn header_value(text: &str) -> Result<HeaderValue, Malformed> {
    // Only the access key id and the region, from the configuration, could be to blame.
    HeaderValue::from_str(text).map_err(|_| {
        Malformed::Unfenceable("the access key id or the region in the configuration is not ASCII")
    })
}

fn set_host(head: &mut Parts) -> Result<(), Malformed> {
    const BAD: Malformed = Malformed::Header { name: "host", why: "is not there exactly once" };
    match head.headers.get_all(HOST).iter().count() {
        0 => {
            let authority = head.uri.authority().ok_or(BAD)?;
            let host = HeaderValue::from_str(authority.as_str()).map_err(|_| BAD)?;
            head.headers.insert(HOST, host);
            Ok(())
        }
        1 => Ok(()),
        _ => Err(BAD),
    }
}

fn set_target(head: &mut Parts, path: String, query: &Query) -> Result<(), Malformed> {
    let mut target = path;
    let query = query.forwarded();
    if !query.is_empty() {
        target.push('?');
        target.push_str(&query);
    }
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    let bad = |_| Malformed::Path("the path is not one of an URI");
    uri.path_and_query = Some(PathAndQuery::try_from(target).map_err(bad)?);
    head.uri = Uri::from_parts(uri).map_err(|_| Malformed::Path("the URI is not one"))?;
    Ok(())
}

fn is_signed(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-amz-") || matches!(name, "content-md5" | "content-type" | "host")
}

/// The canonical request, in bytes because values of headers may be no text, and the names of
/// the signed headers.
fn canonical_request(
    head: &Parts,
    path: &str,
    query: &Query,
    payload: &Payload,
) -> (Vec<u8>, String) {
    let mut names: Vec<&HeaderName> = head.headers.keys().filter(|name| is_signed(name)).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let signed = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(";");
    let mut out = Vec::with_capacity(512);
    for part in [head.method.as_str(), path, &query.canonical()] {
        out.extend_from_slice(part.as_bytes());
        out.push(b'\n');
    }
    for name in names {
        out.extend_from_slice(name.as_str().as_bytes());
        for (at, value) in head.headers.get_all(name).iter().enumerate() {
            out.push(if at == 0 { b':' } else { b',' });
            push_value(&mut out, value.as_bytes());
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload.as_str().as_bytes());
    (out, signed)
}

/// A header's value without space around it, runs of spaces as one.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first);
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod store;
#[cfg(test)]
mod tests;

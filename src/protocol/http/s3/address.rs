//! Which bucket and key a request addresses, or why that is not certain.
//!
//! The percent-encoding of the path is undone exactly once, `+` is literal, nothing is folded.
//! S3 itself takes a key as bytes, but proxies, HTTP libraries and stores on a file system fold
//! some of them, so that the object written would not be the one that a rule was asked about.
//! These are refused, in a path, in a copy source and in a batch delete alike:
//!
//! - segments that are empty, `.` or `..` (`a//b`, `a/./b`, `/bucket//a`); one `/` at the end of
//!   a key is usual (a "folder") and stays;
//! - control characters, NUL, bad UTF-8, and raw bytes that belong percent-encoded;
//! - `%2F`, which S3 and an intermediary read differently; SDKs write the slashes of keys plain;
//! - escapes of escapes (`%25XX`) that would turn into a letter, digit, `-._~`, `/`, `\`, `%` or
//!   a control character if anybody decoded twice: they would move a boundary, or nobody needs
//!   them. A key may well hold a literal `%3A` or `%20`, as Hive and Spark write them: these
//!   are passed, as `%253A`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{self, hex};
use super::malformed::Malformed;

/// The longest key, in bytes of UTF-8: S3's own limit.
pub const KEY_MAX_BYTES: usize = 1024;

/// What a request addresses: the service, a bucket (no key), or an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The bucket; `None` is the service itself.
    pub bucket: Option<String>,
    /// Decoded. Never without a bucket, never empty.
    pub key: Option<String>,
    /// Where the bucket was found.
    pub style: Style,
}

/// Where in a request the bucket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// `https://HOST/bucket/key`
    Path,
    /// `https://bucket.DOMAIN/key`
    VirtualHost,
}

impl Address {
    /// What rules are asked about: `/`, `/bucket` or `/bucket/key`, decoded.
    pub fn target(&self) -> String {
        match (&self.bucket, &self.key) {
            (None, _) => "/".to_owned(),
            (Some(bucket), None) => format!("/{bucket}"),
            (Some(bucket), Some(key)) => format!("/{bucket}/{key}"),
        }
    }

    /// The one way to write this address in path style: what is forwarded and signed when
    /// re-signing, so that the store reads the very key that the rules were asked about.
    pub fn canonical_path(&self) -> String {
        encoding::path(&self.target())
    }
}

/// The bucket and key of a request, by its `Host` and the path of its URI as received.
///
/// `domains` are host names without port. A host below one of them names a bucket (virtual-host
/// style, the longest domain decides); a domain itself, and any other host, is path style.
///
/// # Errors
/// When host or path could be read in more than one way: see the module.
pub fn resolve(host: &str, raw_path: &str, domains: &[String]) -> Result<Address, Malformed> {
    let by_host = bucket_of_host(&host_name(host)?, domains)?;
    let style = if by_host.is_some() { Style::VirtualHost } else { Style::Path };
    let rest = raw_path.strip_prefix('/').ok_or(Malformed::Path("the path begins with no /"))?;
    let (bucket, raw_key) = match by_host {
        Some(bucket) => (Some(bucket), rest),
        None if rest.is_empty() => (None, ""),
        None => {
            let (bucket, raw_key) = rest.split_once('/').unwrap_or((rest, ""));
            check_bucket(bucket)?;
            (Some(bucket.to_owned()), raw_key)
        }
    };
    let key = if raw_key.is_empty() { None } else { Some(decode_key(raw_key)?) };
    Ok(Address { bucket, key, style })
}

/// Whether the store is sure to see the same style as [`resolve`]: the host is an IP address, one
/// of the domains, or below one. In pass-through mode the store sees the client's `Host`, and a
/// host that only the store knows as a domain would name another bucket there, past every rule.
pub fn is_known_host(host: &str, domains: &[String]) -> bool {
    host_name(host).is_ok_and(|name| {
        name.parse::<Ipv4Addr>().is_ok()
            || name.starts_with('[')
            || domains.iter().any(|domain| below(&name, domain).is_some())
    })
}

/// Decodes a key as it is in a path or in a copy source, and checks it.
pub(super) fn decode_key(raw: &str) -> Result<String, Malformed> {
    if raw.contains("%2F") || raw.contains("%2f") {
        return Err(Malformed::Path(
            "an encoded slash (%2F) is ambiguous: write / between the parts of a key",
        ));
    }
    let key = encoding::decode(raw).map_err(Malformed::Path)?;
    check_key(&key)?;
    Ok(key)
}

/// Checks a decoded key against what stores and intermediaries fold.
pub(super) fn check_key(key: &str) -> Result<(), Malformed> {
    if key.is_empty() {
        return Err(Malformed::Path("a key is not empty"));
    }
    if key.len() > KEY_MAX_BYTES {
        return Err(Malformed::Path("a key has at most 1024 bytes"));
    }
    if key.chars().any(char::is_control) {
        return Err(Malformed::Path("a key with control characters is refused"));
    }
    for (at, _) in key.match_indices('%') {
        if let Some([high, low, ..]) = key.as_bytes().get(at + 1..)
            && is_risky_escape(*high, *low)
        {
            return Err(Malformed::Path(
                "the key is percent-encoded twice: encode it once, a literal % is %25",
            ));
        }
    }
    // One slash at the end is a "folder", not an empty segment.
    check_segments(key.strip_suffix('/').unwrap_or(key))
}

/// Checks the prefix of a listing. Its last segment is only a part of one, so it may be anything.
pub(super) fn check_prefix(prefix: &str) -> Result<(), Malformed> {
    if prefix.len() > KEY_MAX_BYTES {
        return Err(Malformed::Query("a prefix has at most 1024 bytes"));
    }
    if prefix.chars().any(char::is_control) {
        return Err(Malformed::Query("a prefix with control characters is refused"));
    }
    prefix.rsplit_once('/').map_or(Ok(()), |(whole, _)| check_segments(whole))
}

/// Checks a bucket's name by S3's rules of today, so it is one path segment.
pub(super) fn check_bucket(name: &str) -> Result<(), Malformed> {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let is_valid = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| inner(*byte))
        && outer(bytes.first())
        && outer(bytes.last())
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err();
    if is_valid {
        Ok(())
    } else {
        Err(Malformed::Bucket(
            "a bucket has 3 to 63 lower-case letters, digits, - and ., and no escapes",
        ))
    }
}

fn check_segments(text: &str) -> Result<(), Malformed> {
    if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        Err(Malformed::Path("a key with an empty, . or .. segment is refused: stores fold them"))
    } else {
        Ok(())
    }
}

/// Whether an escape that is itself escaped would, decoded, move a boundary or serve nobody.
fn is_risky_escape(high: u8, low: u8) -> bool {
    hex(high).zip(hex(low)).is_some_and(|(high, low)| {
        let byte = high << 4 | low;
        byte.is_ascii_control()
            || byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\' | b'%')
    })
}

/// A `Host` without its port and the dot at its end, in lower case.
fn host_name(host: &str) -> Result<String, Malformed> {
    const BAD: Malformed = Malformed::Path("the Host header is not a host name with a port");
    let (name, port) = if host.starts_with('[') {
        let end = host.find(']').ok_or(BAD)?;
        host[1..end].parse::<Ipv6Addr>().map_err(|_| BAD)?;
        (&host[..=end], &host[end + 1..])
    } else {
        let end = host.find(':').unwrap_or(host.len());
        (&host[..end], &host[end..])
    };
    let port_is_valid = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.len() <= 5);
    let name_is_valid = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    if !port_is_valid || !name_is_valid {
        return Err(BAD);
    }
    Ok(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

/// What stands before a domain: empty for the domain itself, `None` where it is not below it.
fn below<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(domain.len())?;
    if !name.is_char_boundary(at) || !name[at..].eq_ignore_ascii_case(domain) {
        return None;
    }
    if at == 0 { Some("") } else { name[..at].strip_suffix('.') }
}

fn bucket_of_host(name: &str, domains: &[String]) -> Result<Option<String>, Malformed> {
    let shortest = domains
        .iter()
        .filter(|domain| !domain.is_empty())
        .filter_map(|domain| below(name, domain))
        .min_by_key(|bucket| bucket.len());
    match shortest {
        // `.DOMAIN` has the same empty rest as `DOMAIN`, but no bucket at all.
        Some("") if name.starts_with('.') => {
            Err(Malformed::Bucket("the Host names no bucket before the domain"))
        }
        None | Some("") => Ok(None),
        Some(bucket) => {
            check_bucket(bucket)?;
            Ok(Some(bucket.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;

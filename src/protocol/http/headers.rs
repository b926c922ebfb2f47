//! What of a message's head is for the next hop, and what is only for this one.
//!
//! The header map of the request is kept and changed in place.

use std::net::SocketAddr;

use bytes::BytesMut;
use http::header::{CONNECTION, FORWARDED, HeaderMap, HeaderName, HeaderValue, TRAILER, VIA};
use smallvec::SmallVec;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What every request of one connection is marked with.
#[derive(Debug)]
pub struct Origin {
    forwarded: HeaderValue,
    forwarded_for: HeaderValue,
}

impl Origin {
    /// For a client at that address, which has come over TLS.
    pub fn new(address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        let node = if ip.is_ipv6() { format!("\"[{ip}]\"") } else { ip.to_string() };
        let value = |text: String| {
            HeaderValue::try_from(text).expect("an address is made of printable ASCII")
        };
        Self {
            forwarded: value(format!("for={node};proto=https")),
            forwarded_for: value(ip.to_string()),
        }
    }
}

/// The names that `Connection` lists.
pub fn listed(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("").split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Removes what RFC 9110 section 7.6.1 says is for one connection only, and what else is not
/// wanted.
pub fn strip_hop_by_hop(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    if headers.contains_key(CONNECTION) {
        let names: Vec<HeaderName> = listed(headers).filter_map(|name| name.parse().ok()).collect();
        for name in names {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    remove_where(headers, |name| {
        matches!(
            name,
            "keep-alive"
                | "proxy-authenticate"
                | "proxy-authorization"
                | "proxy-connection"
                | "te"
                | "transfer-encoding"
                | "upgrade"
        ) || is_unwanted(name)
    });
}

/// Removes the headers of these names. One pass over what is there is cheaper than to look for
/// a dozen names of which hardly any ever is.
pub fn remove_where(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    let unwanted = |name: &&HeaderName| is_unwanted(name.as_str());
    let names: SmallVec<[HeaderName; 4]> = headers.keys().filter(unwanted).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Makes a request's head fit for the store. What the client said about where it comes from
/// is replaced by what is known. Request trailers are dropped, so they are not announced; what
/// was expected of us has been answered by us.
pub fn prepare_request(
    headers: &mut HeaderMap,
    origin: &Origin,
    host: HeaderValue,
    via: &HeaderValue,
    token_header: &str,
) {
    strip_hop_by_hop(headers, |name| {
        name == token_header
            || matches!(
                name,
                "expect"
                    | "fencing-wait"
                    | "http2-settings"
                    | "trailer"
                    | "x-forwarded-port"
                    | "x-real-ip"
            )
    });
    headers.insert(FORWARDED, origin.forwarded.clone());
    headers.insert(X_FORWARDED_FOR, origin.forwarded_for.clone());
    headers.insert(X_FORWARDED_HOST, host);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    headers.append(VIA, via.clone());
}

/// Copies the values out of the buffer that they were read into. HTTP/2 keeps those that it has
/// sent, for its compression, and with one of them it would keep the whole buffer.
pub fn detach(headers: &mut HeaderMap) {
    let mut copies = BytesMut::with_capacity(headers.values().map(HeaderValue::len).sum());
    for value in headers.values_mut().filter(|value| !value.is_empty()) {
        copies.extend_from_slice(value.as_bytes());
        let mut copy = HeaderValue::from_maybe_shared(copies.split().freeze())
            .expect("it was a value before it was copied");
        copy.set_sensitive(value.is_sensitive());
        *value = copy;
    }
}

/// Request trailers are dropped, so they are not announced, whatever else is kept.
pub fn without_announced_trailers(headers: &mut HeaderMap) {
    headers.remove(TRAILER);
}

/// Whether the request has already been through the proxy of that pseudonym.
pub fn is_loop(headers: &HeaderMap, pseudonym: &str) -> bool {
    headers.get_all(VIA).iter().any(|value| {
        value.to_str().is_ok_and(|via| {
            via.split(',').any(|hop| hop.split_whitespace().nth(1) == Some(pseudonym))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |&(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn nothing_of_this_hop_goes_on_to_the_next() {
        let mut headers = map(&[
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "secret"),
            ("upgrade", "h2c"),
            ("trailer", "x"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("via", "1.1 other"),
            ("x-token", "7"),
            ("expect", "100-continue"),
            ("fencing-wait", "5s"),
            ("x-kept", "1"),
        ]);
        let origin = Origin::new("[2001:db8::1]:5".parse().unwrap());
        let via = HeaderValue::from_static("1.1 palisade-x");
        prepare_request(&mut headers, &origin, HeaderValue::from_static("h"), &via, "x-token");
        let expected = [
            ("forwarded", "for=\"[2001:db8::1]\";proto=https"),
            ("via", "1.1 other"),
            ("via", "1.1 palisade-x"),
            ("x-forwarded-for", "2001:db8::1"),
            ("x-forwarded-host", "h"),
            ("x-forwarded-proto", "https"),
            ("x-kept", "1"),
        ];
        let mut rest: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        rest.sort_unstable();
        assert_eq!(rest, expected);
    }

    #[test]
    fn detached_values_hold_on_to_nothing_that_was_read() {
        let read = bytes::Bytes::from(vec![b'a'; 8192]);
        let mut headers = map(&[("x-empty", ""), ("x-static", "s")]);
        let mut secret = HeaderValue::from_maybe_shared(read.slice(..4)).unwrap();
        secret.set_sensitive(true);
        headers.append("x-read", secret);
        headers.append("x-read", HeaderValue::from_maybe_shared(read.slice(4..6)).unwrap());
        let before = headers.clone();
        assert!(!read.is_unique());
        detach(&mut headers);
        assert_eq!(headers, before);
        assert!(headers.get("x-read").unwrap().is_sensitive());
        drop(before);
        assert!(read.is_unique(), "and so it can be freed");
    }

    #[test]
    fn a_loop_is_known_by_the_pseudonym() {
        let check =
            |via, expected| assert_eq!(is_loop(&map(&[("via", via)]), "me"), expected, "{via}");
        check("1.1 me", true);
        check("1.1 other, 2 me (comment)", true);
        check("1.1 meme", false);
        check("me", false);
    }
}

//! What a name must look like to be an identity, by the field it is from.

use super::{NAME_BYTES_MAX, Source};

/// For common names in an encoding that is neither UTF-8 nor ASCII.
pub(super) const ENCODING: &str = "it is not UTF-8; issue it as a UTF8String";

const LABEL_BYTES_MAX: usize = 63;

/// Whether a URI claims to be a SPIFFE ID, in whatever case.
pub(super) fn is_spiffe(uri: &str) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
}

/// Why a name cannot be an identity.
pub(super) fn check(source: Source, name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > NAME_BYTES_MAX {
        return Err("it is longer than 256 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("it has control characters");
    }
    match source {
        Source::Cn => common_name(name),
        Source::Dns => dns(name),
        Source::Email => email(name),
        Source::Spiffe => spiffe(name),
    }
}

fn common_name(name: &str) -> Result<(), &'static str> {
    if name.trim() != name {
        return Err("it begins or ends with a space");
    }
    // Whoever may choose a common name must not be able to choose a SPIFFE ID with it.
    if is_spiffe(name) {
        return Err("a SPIFFE ID belongs into a URI among the subject's alternative names");
    }
    Ok(())
}

fn dns(name: &str) -> Result<(), &'static str> {
    let label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.contains('*') {
        return Err("a wildcard names nobody in particular");
    }
    if !name.split('.').all(label) {
        return Err("it is not a DNS name (letters, digits, `-`, `_`, dots between labels)");
    }
    Ok(())
}

fn email(name: &str) -> Result<(), &'static str> {
    let (local, domain) = name.split_once('@').ok_or("it has no `@`")?;
    if local.is_empty() || !local.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("what stands before the `@` is empty or not printable ASCII");
    }
    dns(domain).map_err(|_| "what stands behind the `@` is not a DNS name")
}

/// The form that the SPIFFE ID standard gives for a workload: a trust domain in lower case
/// and a path that is not empty.
fn spiffe(name: &str) -> Result<(), &'static str> {
    let rest = name.strip_prefix("spiffe://").ok_or("it does not begin with `spiffe://`")?;
    let (domain, path) = rest.split_once('/').ok_or("it has no path behind the trust domain")?;
    let small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    if domain.is_empty() || !domain.bytes().all(small) {
        return Err("its trust domain is not of a-z, 0-9, `.`, `-`, `_`");
    }
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if !path.split('/').all(segment) {
        return Err("its path has an empty, dot or otherwise malformed segment");
    }
    Ok(())
}

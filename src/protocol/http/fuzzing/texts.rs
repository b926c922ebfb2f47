//! Small texts out of a head: a path, and where S3 finds bucket and key.

use crate::protocol::http::path;
use crate::protocol::http::s3::address;

/// Any bytes as the path of generic HTTP.
///
/// # Panics
/// When a path is taken that could be read in a second way.
pub fn path(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else { return };
    let Ok(path) = path::decode(raw) else { return };
    let once: Vec<u8> = percent_encoding::percent_decode_str(raw).collect();
    assert_eq!(path.as_bytes(), once, "{raw:?}");
    let slashes = |text: &str| text.matches('/').count();
    assert_eq!(slashes(raw), slashes(&path), "{raw:?}");
    let twice: Vec<u8> = percent_encoding::percent_decode_str(&path).collect();
    if raw.starts_with('/') {
        for reading in [&once[..], &twice[..]] {
            let reading = String::from_utf8_lossy(reading);
            let segments: Vec<_> = reading.split('/').collect();
            let is_dot = |segment: &&str| matches!(*segment, "." | "..");
            assert!(!segments.iter().any(is_dot), "{raw:?} leads elsewhere: {reading:?}");
            assert!(!segments[1..segments.len() - 1].contains(&""), "{raw:?}: {reading:?}");
            assert!(!reading.contains(['\\', '\0', '\r', '\n']), "{raw:?}: {reading:?}");
        }
    }
}

/// `HOST PATH` as an address of S3.
///
/// # Panics
/// When the store would find another key than the rules were asked about.
pub fn s3_address(data: &[u8]) {
    let Some((host, path)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once(' '))
    else {
        return;
    };
    let domains = ["s3.example".to_owned(), "eu.s3.example".to_owned()];
    let Ok(found) = address::resolve(host, path, &domains) else { return };
    let canonical = found.canonical_path();
    let again = address::resolve("other", &canonical, &domains);
    let again = again.unwrap_or_else(|why| panic!("{why}: {canonical:?} of {host:?} {path:?}"));
    assert_eq!((&again.bucket, &again.key), (&found.bucket, &found.key), "{canonical:?}");
    assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{canonical:?}");
    assert_eq!(again.target(), found.target());
    let target = found.target();
    assert!(!target.contains("//") && !target.contains("/../"), "{target:?}");
}

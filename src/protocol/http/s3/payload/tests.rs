//! Heads of requests, one table: what happens to the body and to the headers about it.

use std::sync::Arc;

use super::*;
use crate::protocol::http::s3::Credentials;

const HMAC: (&str, &str) = (SHA256, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
const HMAC_TRAILER: (&str, &str) = (SHA256, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
const UNSIGNED_TRAILER: (&str, &str) = (SHA256, "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
const CHUNKED: (&str, &str) = ("content-encoding", "aws-chunked");
const CRC32: (&str, &str) = (TRAILER, "x-amz-checksum-crc32");
const NINE: (&str, &str) = (DECODED_LENGTH, "9");

fn settings(aws_chunked: AwsChunked) -> Settings {
    let credentials = Credentials {
        access_key_id: "id".into(),
        secret_access_key: zeroize::Zeroizing::new("secret".into()),
    };
    let mode = Mode::ReSign { credentials: Arc::new(credentials), region: "r".into() };
    Settings { domains: Vec::new(), mode, aws_chunked }
}

fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn decoded(is_signed: bool, trailer: Option<Algorithm>) -> Option<Plan> {
    let transform = Transform::Decode { is_signed, decoded_length: 9, trailer };
    Some(Plan { transform, payload: Payload::Unsigned })
}

fn watched(is_signed: bool, trailer: Option<Algorithm>, payload: Payload) -> Option<Plan> {
    let transform = Transform::Watch { is_signed, decoded_length: 9, trailer };
    Some(Plan { transform, payload })
}

fn verbatim(payload: Payload) -> Option<Plan> {
    Some(Plan { transform: Transform::Verbatim, payload })
}

#[track_caller]
fn check(headers: &[(&'static str, &str)], forward: Option<Plan>, decode: Option<Plan>) {
    for (setting, expected) in [(AwsChunked::Forward, forward), (AwsChunked::Decode, decode)] {
        let planned = plan(&map(headers), BodyRole::Object, &settings(setting));
        assert_eq!(planned.clone().ok(), expected, "{setting:?} {headers:?}: {planned:?}");
    }
}

#[test]
fn bodies() {
    let crc32 = Some(Algorithm::Crc32);
    let both = |plan: Option<Plan>| (plan.clone(), plan);
    let signed = both(decoded(true, None));
    let unsigned = (watched(false, crc32, Payload::UnsignedTrailer), decoded(false, crc32));
    let sha = Payload::of(b"x");
    let shouted = sha.as_str().to_uppercase();
    for (headers, (forward, decode)) in [
        (&[][..], both(verbatim(Payload::Unsigned))),
        (&[(SHA256, "UNSIGNED-PAYLOAD")], both(verbatim(Payload::Unsigned))),
        (&[(SHA256, &shouted)], both(verbatim(sha.clone()))),
        (&[("content-encoding", "gzip")], both(verbatim(Payload::Unsigned))),
        (&[HMAC, NINE], signed.clone()),
        (&[HMAC, NINE, CHUNKED], signed),
        (&[HMAC_TRAILER, NINE, CRC32, CHUNKED], both(decoded(true, crc32))),
        (&[UNSIGNED_TRAILER, NINE, CRC32, CHUNKED], unsigned.clone()),
        // An SDK without credentials.
        (&[NINE, CRC32, CHUNKED], unsigned),
        // Contradictions.
        (&[HMAC], both(None)),
        (&[HMAC, (DECODED_LENGTH, "+9")], both(None)),
        (&[HMAC, (DECODED_LENGTH, "")], both(None)),
        (&[HMAC, (DECODED_LENGTH, "99999999999999999999")], both(None)),
        (&[HMAC, NINE, NINE], both(None)),
        (&[HMAC, HMAC, NINE], both(None)),
        (&[HMAC_TRAILER, NINE, (TRAILER, "x-amz-checksum-md5")], both(None)),
        (&[HMAC_TRAILER, NINE, (TRAILER, "x-amz-checksum-crc32,x-other")], both(None)),
        (&[HMAC, NINE, CHUNKED, CHUNKED], both(None)),
        (&[CHUNKED, (SHA256, "UNSIGNED-PAYLOAD")], both(None)),
        (&[CHUNKED, (SHA256, &shouted)], both(None)),
        (&[(SHA256, "STREAMING-SOMETHING-ELSE")], both(None)),
        (&[(SHA256, "abc")], both(None)),
    ] {
        check(headers, forward, decode);
    }
    let none = plan(&HeaderMap::new(), BodyRole::None, &settings(AwsChunked::Forward)).unwrap();
    assert_eq!(none.payload, Payload::of(b""));
}

#[test]
fn a_batch_delete_is_always_decoded_before_it_is_read() {
    let headers = map(&[UNSIGNED_TRAILER, NINE, CRC32, CHUNKED]);
    let planned = plan(&headers, BodyRole::DeleteBatch, &settings(AwsChunked::Forward));
    assert_eq!(planned.ok(), decoded(false, Some(Algorithm::Crc32)));
    let through = Settings { mode: Mode::PassThrough, ..settings(AwsChunked::Forward) };
    assert!(plan(&headers, BodyRole::DeleteBatch, &through).is_err());
}

#[test]
fn the_clients_signature_keeps_its_body() {
    let through = Settings { mode: Mode::PassThrough, ..settings(AwsChunked::Decode) };
    for headers in [&[HMAC, NINE, CHUNKED][..], &[UNSIGNED_TRAILER, NINE, CRC32, CHUNKED]] {
        let mut headers = map(headers);
        let before = headers.clone();
        let planned = plan(&headers, BodyRole::Object, &through).unwrap();
        assert!(matches!(planned.transform, Transform::Watch { .. }), "{planned:?}");
        planned.apply(&mut headers);
        assert_eq!(headers, before);
    }
}

#[test]
fn headers_follow_the_decoded_body() {
    let mut headers = map(&[
        HMAC_TRAILER,
        NINE,
        CRC32,
        ("content-encoding", "gzip, aws-chunked"),
        ("content-encoding", "br"),
        ("content-length", "123"),
        ("transfer-encoding", "chunked"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-meta-a", "b"),
    ]);
    let planned = plan(&headers, BodyRole::Object, &settings(AwsChunked::Forward)).unwrap();
    assert!(planned.decoder().is_some());
    planned.apply(&mut headers);
    let expected = map(&[
        HMAC_TRAILER,
        ("content-encoding", "gzip, br"),
        ("content-length", "9"),
        ("x-amz-meta-a", "b"),
    ]);
    assert_eq!(headers, expected);

    let mut headers = map(&[HMAC, NINE, CHUNKED]);
    planned.apply(&mut headers);
    assert!(!headers.contains_key("content-encoding"));
}

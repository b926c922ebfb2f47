//! Signatures: the examples of the S3 documentation, and `aws-sigv4` as oracle.

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::Request;
use proptest::prelude::*;

use super::*;

pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(super) const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const HOST_NAME: &str = "examplebucket.s3.amazonaws.com";

fn signer() -> Signer {
    let credentials =
        Credentials { access_key_id: ID.into(), secret_access_key: Zeroizing::new(SECRET.into()) };
    Signer::new(Arc::new(credentials), "us-east-1".into())
}

/// 2013-05-24T00:00:00Z, the time of the documentation's examples.
fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_369_353_600)
}

pub(super) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn authorization(head: &Parts) -> &str {
    head.headers[AUTHORIZATION].to_str().unwrap()
}

#[test]
fn examples_of_the_documentation() {
    for (target, signature) in [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "/?max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ] {
        let mut head = head("GET", target, &[("host", HOST_NAME)]);
        signer().sign(&mut head, &Payload::of(b""), time()).unwrap();
        assert_eq!(
            authorization(&head),
            format!(
                "AWS4-HMAC-SHA256 Credential={ID}/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
            )
        );
        assert_eq!(head.uri, target);
        assert_eq!(head.headers["x-amz-date"], "20130524T000000Z");
        assert!(head.headers[AUTHORIZATION].is_sensitive());
    }
}

#[test]
fn nothing_of_the_clients_signature_is_left() {
    let target = "/b/k%7e;x?uploads&X-Amz-Signature=0&X-Amz-Credential=c&versionId=a/b";
    let headers = [
        ("host", "h"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=client/x"),
        ("x-amz-security-token", "t"),
        ("x-amz-date", "19990101T000000Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-content-sha256", "other"),
        ("date", "yesterday"),
        ("expect", "100-continue"),
        ("x-amz-meta-a", "b"),
        ("range", "bytes=0-1"),
    ];
    let mut head = head("POST", target, &headers);
    signer().sign(&mut head, &Payload::UnsignedTrailer, time()).unwrap();
    assert_eq!(head.uri, "/b/k~%3Bx?uploads&versionId=a%2Fb");
    let mut names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["authorization", "host", "range", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a"]
    );
    assert_eq!(head.headers["x-amz-content-sha256"], "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    assert_eq!(head.headers.get_all("x-amz-content-sha256").iter().count(), 1);
}

#[test]
fn the_host_is_certain() {
    let mut from_uri = head("GET", "http://store:9000/b/k", &[]);
    signer().sign(&mut from_uri, &Payload::Unsigned, time()).unwrap();
    assert_eq!(from_uri.headers["host"], "store:9000");
    assert_eq!(from_uri.uri, "http://store:9000/b/k");
    let mut none = head("GET", "/b/k", &[]);
    assert!(signer().sign(&mut none, &Payload::Unsigned, time()).is_err());
    let mut two = head("GET", "/b/k", &[("host", "a"), ("host", "b")]);
    assert!(signer().sign(&mut two, &Payload::Unsigned, time()).is_err());
}

#[test]
fn the_key_follows_the_day() {
    let signer = signer();
    let sign = |signer: &Signer, at| {
        let mut head = head("GET", "/b/k", &[("host", "h")]);
        signer.sign(&mut head, &Payload::Unsigned, at).unwrap();
        authorization(&head).to_owned()
    };
    let first = sign(&signer, time());
    let tomorrow = time() + Duration::from_secs(86_400);
    assert_eq!(sign(&signer, tomorrow), sign(&self::signer(), tomorrow));
    assert_eq!(sign(&signer, time()), first);
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?}", signer());
    assert!(shown.contains(ID) && !shown.contains(SECRET), "{shown}");
}

/// What `aws-sigv4` says of a request that is canonical already.
fn oracle(method: &str, target: &str, headers: &[(&str, &str)], payload: &Payload) -> String {
    let identity = aws_credential_types::Credentials::new(ID, SECRET, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(time())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let body = match payload {
        Payload::Sha256(hex) => SignableBody::Precomputed(hex.clone()),
        Payload::Unsigned => SignableBody::UnsignedPayload,
        Payload::UnsignedTrailer => SignableBody::StreamingUnsignedPayloadTrailer,
    };
    let uri = format!("https://{HOST_NAME}{target}");
    let request = SignableRequest::new(method, uri, headers.iter().copied(), body).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let found = instructions.headers().find(|(name, _)| *name == "authorization");
    found.unwrap().1.to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn agrees_with_the_oracle(
        method in "(GET|PUT|POST|DELETE|HEAD)",
        key in "[a-zA-Z0-9 /+%é;=&*~'()!,:@$.-]{1,20}",
        prefix in "[a-zA-Z0-9 /+%é;=&*~'()-]{0,8}",
        meta in "[!-~]([!-~ ]{0,12}[!-~])?",
        content_type in "(text/plain|a/b; c=d)",
        payload in prop_oneof![
            Just(Payload::Unsigned),
            Just(Payload::UnsignedTrailer),
            Just(Payload::of(b"body")),
        ],
    ) {
        let mut query = String::from("uploads&prefix=");
        encoding::push_component(&mut query, &prefix);
        query.push_str("&a-b=1&A=2&a=3");
        let target = format!("/bucket/{}?{query}", encoding::path(&key));
        let signed = [("content-type", content_type.as_str()), ("x-amz-meta-a", &meta), ("x-amz-acl", "private")];
        let mut head = head(&method, &target, &signed);
        head.headers.insert(HOST, HeaderValue::from_static(HOST_NAME));
        head.headers.insert("fencing-token", HeaderValue::from_static("34"));
        signer().sign(&mut head, &payload, time()).unwrap();
        prop_assert_eq!(head.uri.to_string(), target.clone());
        prop_assert_eq!(authorization(&head), oracle(&method, &target, &signed, &payload));
    }
}

//! Signed requests against a store that checks them: bodies of SDKs as the relay would send them.

use bytes::Bytes;
use http_body_util::BodyExt;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

use super::tests::{ID, SECRET, head};
use super::*;
use crate::protocol::http::s3::chunked::Step;
use crate::protocol::http::s3::classify::BodyRole;
use crate::protocol::http::s3::payload;
use crate::protocol::http::s3::{AwsChunked, Mode, Settings, address};

struct Store {
    service: S3Service,
    settings: Settings,
    _folder: tempfile::TempDir,
}

impl Store {
    fn new(aws_chunked: AwsChunked, secret: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bucket")).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ID, secret.to_owned()));
        let credentials = Arc::new(Credentials {
            access_key_id: ID.into(),
            secret_access_key: Zeroizing::new(SECRET.into()),
        });
        let mode = Mode::ReSign { credentials, region: "us-east-1".into() };
        let settings = Settings { domains: Vec::new(), mode, aws_chunked };
        Self { service: builder.build(), settings, _folder: folder }
    }

    /// Does what the relay does with a request, without the wire between.
    async fn ask(&self, mut head: Parts, body: &str) -> (u16, String) {
        let Mode::ReSign { credentials, region } = &self.settings.mode else { unreachable!() };
        let role = if body.is_empty() { BodyRole::None } else { BodyRole::Object };
        let plan = payload::plan(&head.headers, role, &self.settings).unwrap();
        plan.apply(&mut head.headers);
        let mut sent = Bytes::copy_from_slice(body.as_bytes());
        if matches!(plan.transform, payload::Transform::Decode { .. })
            && let Some(mut decoder) = plan.decoder()
        {
            let mut plain = Vec::new();
            while let Step::Data(data) = decoder.step(&mut sent).unwrap() {
                plain.extend_from_slice(&data);
            }
            assert_eq!(decoder.step(&mut sent), Ok(Step::Done));
            sent = plain.into();
        }
        let address = address::resolve("proxy", head.uri.path(), &[]).unwrap();
        let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        head.uri = format!("{}{query}", address.canonical_path()).parse().unwrap();
        head.headers.insert(HOST, HeaderValue::from_static("store:9000"));
        let signer = Signer::new(Arc::clone(credentials), Arc::clone(region));
        signer.sign(&mut head, &plan.payload, SystemTime::now()).unwrap();
        let request = http::Request::from_parts(head, s3s::Body::from(sent));
        let response = self.service.call(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

const KEY: &str = "/bucket/a+b/%7e%3A%C3%A9;x!";

async fn check(aws_chunked: AwsChunked, headers: &[(&str, &str)], body: &str) {
    let store = Store::new(aws_chunked, SECRET);
    let put = store.ask(head("PUT", KEY, headers), body).await;
    assert_eq!(put.0, 200, "{aws_chunked:?} {headers:?}: {}", put.1);
    let got = store.ask(head("GET", &format!("{KEY}?x-id=GetObject"), &[]), "").await;
    assert_eq!(got, (200, "123456789".to_owned()), "{aws_chunked:?} {headers:?}");
    let listed = store.ask(head("GET", "/bucket?prefix=a%2Bb/&list-type=2", &[]), "").await;
    assert!(listed.1.contains("<Key>a+b/~:é;x!</Key>"), "{}", listed.1);
}

#[tokio::test]
async fn the_store_takes_what_was_signed() {
    let sha = Payload::of(b"123456789");
    let plain = [("x-amz-content-sha256", sha.as_str()), ("content-length", "9")];
    check(AwsChunked::Forward, &plain, "123456789").await;
    check(AwsChunked::Forward, &[("content-length", "9")], "123456789").await;

    let crc = "x-amz-checksum-crc32:y/Q5Jg==\r\n";
    let body = format!("4\r\n1234\r\n5\r\n56789\r\n0\r\n{crc}\r\n");
    let length = body.len().to_string();
    let trailer = [
        ("content-encoding", "aws-chunked"),
        ("content-length", length.as_str()),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "9"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    check(AwsChunked::Forward, &trailer, &body).await;
    check(AwsChunked::Decode, &trailer, &body).await;

    let signature = format!(";chunk-signature={}", "0".repeat(64));
    let body = format!("9{signature}\r\n123456789\r\n0{signature}\r\n\r\n");
    let length = body.len().to_string();
    let signed = [
        ("content-length", length.as_str()),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("x-amz-decoded-content-length", "9"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=client"),
    ];
    check(AwsChunked::Forward, &signed, &body).await;
}

#[tokio::test]
async fn the_store_does_check() {
    let store = Store::new(AwsChunked::Forward, "another secret");
    let put = store.ask(head("PUT", KEY, &[("content-length", "9")]), "123456789").await;
    assert!(put.0 == 403 && put.1.contains("SignatureDoesNotMatch"), "{put:?}");
}

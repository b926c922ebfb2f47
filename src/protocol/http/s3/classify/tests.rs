//! Requests, one table: the operation, what it touches, what its body is.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::protocol::http::s3::operations::OPERATIONS;

fn ask(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> Result<Classified, Malformed> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let address = address::resolve("proxy", path, &[])?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    classify(&Method::from_bytes(method.as_bytes()).unwrap(), &address, query, &map)
}

fn shown(result: Result<Classified, Malformed>) -> String {
    match result {
        Err(error) => format!("refused {}", error.code()),
        Ok(Classified { operation, .. }) => {
            let mut out = operation.name.to_owned();
            for target in operation.targets {
                out.push_str(if target.action == Action::Read { " r:" } else { " w:" });
                out.push_str(&target.path);
            }
            out
        }
    }
}

#[track_caller]
fn check(request: &str, headers: &[(&'static str, &str)], expected: &str) {
    let (method, uri) = request.split_once(' ').unwrap();
    assert_eq!(shown(ask(method, uri, headers)), expected, "{request}");
}

/// Every row answers to its own request, and to nothing that is nearly so.
#[test]
fn every_row_is_found_exactly() {
    for row in OPERATIONS {
        let path = match row.level {
            Level::Service => "/",
            Level::Bucket => "/bucket",
            Level::Object => "/bucket/k",
        };
        let query = [row.selector, row.with]
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect::<Vec<_>>()
            .join("&");
        let headers: &[(&'static str, &str)] = match row.touches {
            Touches::AddressAndRenamed => &[("x-amz-rename-source", "bucket/old")],
            _ => &[],
        };
        let uri = format!("{path}?{query}");
        let found = ask(row.method, &uri, headers).unwrap();
        assert_eq!((found.operation.name, found.body), (row.name, row.body), "{uri}");
        assert_eq!(found.operation.targets[0], Target { path: path.into(), action: row.action });
        let presigned = format!("{uri}&X-Amz-Signature=0&X-Amz-SignedHeaders=host;x-amz-date");
        assert_eq!(ask(row.method, &presigned, headers), Ok(found), "{presigned}");
        if !row.selector.is_empty() {
            for near in [format!("{}x", row.selector), row.selector.to_uppercase()] {
                if near == row.selector {
                    continue;
                }
                let near_uri = format!("{path}?{}", query.replacen(row.selector, &near, 1));
                let shown = shown(ask(row.method, &near_uri, &[]));
                let written = format!("Unknown w:{path}");
                assert!(shown == written || shown.starts_with("refused"), "{near_uri}: {shown}");
            }
            let other = if row.selector == "acl" { "tagging" } else { "acl" };
            check(&format!("{} {uri}&{other}", row.method), headers, "refused InvalidArgument");
        }
    }
}

#[test]
fn rows_do_not_hide_each_other() {
    for (at, row) in OPERATIONS.iter().enumerate() {
        let hidden = OPERATIONS[..at].iter().any(|earlier| {
            (earlier.method, earlier.level, earlier.selector)
                == (row.method, row.level, row.selector)
                && (earlier.with.is_empty() || earlier.with == row.with)
        });
        assert!(!hidden, "{} can never be found", row.name);
    }
}

#[test]
fn only_reads_are_reads() {
    for row in OPERATIONS {
        let is_named_read = ["Get", "Head", "List", "Options", "Select"]
            .iter()
            .any(|word| row.name.starts_with(word));
        assert_eq!(row.action == Action::Read, is_named_read, "{}", row.name);
    }
}

#[test]
fn requests() {
    for (request, expected) in [
        ("GET /", "ListBuckets r:/"),
        ("GET /bucket", "ListObjects r:/bucket"),
        ("GET /bucket?prefix=", "ListObjects r:/bucket"),
        ("GET /bucket?list-type=2&prefix=a/b%20c&delimiter=/", "ListObjectsV2 r:/bucket/a/b c"),
        ("GET /bucket?versions&prefix=a/", "ListObjectVersions r:/bucket/a/"),
        ("GET /bucket?uploads&prefix=a/", "ListMultipartUploads r:/bucket/a/"),
        ("GET /bucket?prefix=../x", "refused InvalidURI"),
        ("GET /bucket?prefix=a+b", "refused InvalidArgument"),
        ("GET /bucket?prefix=a&prefix=b", "refused InvalidArgument"),
        ("GET /bucket?acl&prefix=a", "GetBucketAcl r:/bucket"),
        ("GET /bucket/k?versionId=1&partNumber=1&x-id=GetObject", "GetObject r:/bucket/k"),
        ("GET /bucket/k?x-amz-checksum-mode=ENABLED", "GetObject r:/bucket/k"),
        ("GET /bucket/k?%61cl", "GetObjectAcl r:/bucket/k"),
        ("GET /bucket/k?acl=1", "GetObjectAcl r:/bucket/k"),
        ("POST /bucket/k?select&select-type=2", "SelectObjectContent r:/bucket/k"),
        ("PUT /bucket/k?x-id=PutObject", "PutObject w:/bucket/k"),
        ("PUT /bucket/k?partNumber=1&uploadId=u", "UploadPart w:/bucket/k"),
        ("DELETE /bucket/k?versionId=v", "DeleteObject w:/bucket/k"),
        ("POST /bucket?delete", "DeleteObjects w:/bucket"),
        // What nobody knows is a write.
        ("GET /bucket/k?frobnicate", "Unknown w:/bucket/k"),
        ("GET /bucket/k?acl&frobnicate", "Unknown w:/bucket/k"),
        ("GET /bucket/k?ACL", "Unknown w:/bucket/k"),
        ("GET /bucket/k?acl%20", "Unknown w:/bucket/k"),
        ("GET /bucket/k?delete", "Unknown w:/bucket/k"),
        ("HEAD /bucket/k?acl", "Unknown w:/bucket/k"),
        ("PUT /bucket/k?uploadId=u", "Unknown w:/bucket/k"),
        ("DELETE /bucket/k?acl", "Unknown w:/bucket/k"),
        ("PUT /", "Unknown w:/"),
        ("GET /?usage", "Unknown w:/"),
        // What may touch more than it addresses is refused.
        ("POST /", "refused InvalidRequest"),
        ("POST /bucket", "refused InvalidRequest"),
        ("POST /bucket?frobnicate", "refused InvalidRequest"),
        ("POST /bucket/k", "refused InvalidRequest"),
        ("POST /bucket/k?delete", "refused InvalidRequest"),
        ("POST /bucket/k?select", "refused InvalidRequest"),
        ("GET /bucket?session", "refused InvalidRequest"),
        ("COPY /bucket/k", "refused InvalidRequest"),
        ("PATCH /bucket/k", "refused InvalidRequest"),
        ("put /bucket/k", "refused InvalidRequest"),
        ("PUT /bucket/k?X-Amz-Copy-Source=a/b", "refused InvalidArgument"),
        ("GET /bucket/k?acl&acl", "refused InvalidArgument"),
        ("GET /bucket/k?a=%zz", "refused InvalidArgument"),
    ] {
        check(request, &[], expected);
    }
}

#[test]
fn headers_that_touch_more() {
    const COPY: (&str, &str) = ("x-amz-copy-source", "/source/a%20b?versionId=v");
    const RENAME: (&str, &str) = ("x-amz-rename-source", "bucket/old");
    for (request, header, expected) in [
        ("PUT /bucket/k", COPY, "CopyObject w:/bucket/k r:/source/a b"),
        ("PUT /bucket/k?partNumber=1&uploadId=u", COPY, "UploadPartCopy w:/bucket/k r:/source/a b"),
        ("PUT /bucket/k?acl", COPY, "refused InvalidArgument"),
        ("PUT /bucket/k?frobnicate", COPY, "refused InvalidArgument"),
        ("GET /bucket/k", COPY, "refused InvalidArgument"),
        ("PUT /bucket/k?renameObject", RENAME, "RenameObject w:/bucket/k w:/bucket/old"),
        ("PUT /bucket/k?renameObject", COPY, "refused InvalidArgument"),
        ("PUT /bucket/k", RENAME, "refused InvalidArgument"),
        ("PUT /other/k?renameObject", RENAME, "refused InvalidArgument"),
        ("GET /bucket/k", ("x-http-method-override", "DELETE"), "refused InvalidRequest"),
        ("PUT /bucket/k", ("x-amz-meta-snowball-auto-extract", "true"), "refused InvalidRequest"),
        ("DELETE /bucket/k", ("x-minio-force-delete", "true"), "refused InvalidRequest"),
    ] {
        check(request, &[header], expected);
    }
    check("PUT /bucket/k?renameObject", &[], "refused InvalidArgument");
    let copy = ask("PUT", "/bucket/k", &[COPY]).unwrap();
    assert_eq!(copy.body, BodyRole::None);
}

proptest! {
    #[test]
    fn nothing_panics_and_targets_are_never_empty(
        method in "(GET|HEAD|PUT|POST|DELETE|OPTIONS|BREW)",
        path in "(/|/bucket|/bucket/k)",
        query in "((acl|uploads|uploadId|partNumber|delete|prefix|list-type|versions|[!-~]{0,6})(=[!-~]{0,5})?&?){0,4}",
        source in "[ -~]{0,20}",
        has_source: bool,
    ) {
        let headers = [("x-amz-copy-source", source.as_str())];
        let headers = if has_source { &headers[..] } else { &[] };
        if let Ok(classified) = ask(&method, &format!("{path}?{query}"), headers) {
            let targets = classified.operation.targets;
            prop_assert!(!targets.is_empty());
            // GET and HEAD apart, nothing but a select is let through as a read.
            if !["GET", "HEAD", "OPTIONS"].contains(&method.as_str()) {
                prop_assert!(targets.iter().any(|t| t.action == Action::Write));
            }
        }
    }
}

/// `boto3.tsv` is what boto3 1.43 put on the wire for every operation it has, once with the
/// required parameters alone and once with every parameter that goes into the query: name,
/// method, target, copy source, rename source.
#[test]
fn every_operation_of_boto3_is_known_by_its_name() {
    for line in include_str!("boto3.tsv").lines() {
        let [name, method, uri, copy, rename] =
            line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let headers: Vec<_> = [("x-amz-copy-source", copy), ("x-amz-rename-source", rename)]
            .into_iter()
            .filter(|(_, value)| *value != "-")
            .collect();
        let found = ask(method, uri, &headers);
        if name == "CreateSession" {
            assert!(found.is_err(), "{line}");
            continue;
        }
        assert_eq!(found.unwrap().operation.name, name, "{line}");
    }
}

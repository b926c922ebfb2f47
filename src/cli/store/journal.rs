//! What the store applied, in the order in which it applied it.
//!
//! A write's whole body is taken in first; then, under one lock, it is applied and recorded.
//! So the journal's order is the order of application, whatever happens on the wire. And as
//! real stores do, a store with a journal goes on with a request it has whole, even when the
//! client is gone: that is the write that lands late.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use s3s::service::S3Service;
use serde::Serialize;
use tokio::sync::Mutex;

/// Bytes of a body that is held; what is larger is refused.
const BODY_BYTES_MAX: usize = 64 << 20;
/// User metadata in which a test's writer puts its token.
const TOKEN: &str = "x-amz-meta-token";
/// User metadata in which a test's writer names the write.
const WRITE: &str = "x-amz-meta-write";
/// User metadata that asks the store to take its time: milliseconds before a whole request is applied.
const DELAY_MS: &str = "x-amz-meta-delay-ms";
const DELAY_MS_MAX: u64 = 60_000;

/// One applied write.
#[derive(Debug, Serialize)]
struct Line<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    token: Option<&'a str>,
    write: Option<&'a str>,
    /// When the store had all of it, in milliseconds since 1970.
    whole_ms: u64,
    /// When it was applied.
    applied_ms: u64,
}

/// The journal of a store.
#[derive(Debug)]
pub(super) struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// A journal at the end of that file.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("opening the journal {}", path.display()))?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Answers a request; a write is recorded when it was applied.
    pub(super) async fn answer(
        self: Arc<Self>,
        s3: &S3Service,
        request: Request<Incoming>,
    ) -> Result<Response<s3s::Body>, s3s::HttpError> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return s3.call(request.map(s3s::Body::from)).await;
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            let mut refused = Response::new(s3s::Body::empty());
            *refused.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(refused);
        };
        // On its own task: a client that goes away now does not undo the write.
        let applying = tokio::spawn(self.apply(s3.clone(), parts, body.to_bytes()));
        applying.await.map_err(|error| s3s::HttpError::new(Box::new(error)))?
    }

    async fn apply(
        self: Arc<Self>,
        s3: S3Service,
        parts: Parts,
        body: Bytes,
    ) -> Result<Response<s3s::Body>, s3s::HttpError> {
        let whole_ms = now_ms();
        tokio::time::sleep(delay(&parts)).await;
        let request = Request::from_parts(parts.clone(), s3s::Body::from(body));
        let mut file = self.file.lock().await;
        let response = s3.call(request).await?;
        if response.status().is_success() {
            // One short append to a file that is in the page cache; the tests read it.
            let line =
                line(&parts, whole_ms).map_err(|error| s3s::HttpError::new(Box::new(error)))?;
            file.write_all(&line).map_err(|error| s3s::HttpError::new(Box::new(error)))?;
        }
        Ok(response)
    }
}

fn delay(parts: &Parts) -> Duration {
    let asked = header(parts, DELAY_MS).and_then(|text| text.parse().ok()).unwrap_or(0);
    Duration::from_millis(asked.min(DELAY_MS_MAX))
}

fn line(parts: &Parts, whole_ms: u64) -> serde_json::Result<Vec<u8>> {
    let line = Line {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or(""),
        token: header(parts, TOKEN),
        write: header(parts, WRITE),
        whole_ms,
        applied_ms: now_ms(),
    };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

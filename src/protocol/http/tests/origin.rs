//! The store of the tests: a hyper server that records what it received.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::rig::PATIENCE;
use crate::net::connect::Version;

/// A request as the origin saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub body: Vec<u8>,
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub bytes: usize,
    /// The body came to its end.
    pub complete: bool,
}

#[derive(Default)]
pub struct Record {
    pub seen: Mutex<Vec<Seen>>,
    pub connections: Mutex<usize>,
    /// Bytes of bodies that have arrived so far.
    pub arrived: Mutex<usize>,
    /// Lets requests to paths with `hold` be answered.
    pub release: Notify,
}

/// Serves until the test ends. What it does is said by words in the path: `hold` waits for
/// the release, `silent` never answers, `reset` hangs up after the body, `early` answers 403
/// without reading the body, `slow` reads a little at a time.
pub async fn origin(record: Arc<Record>, version: Version) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((socket, _)) = listener.accept().await else { return };
            *record.connections.lock().unwrap() += 1;
            let record = Arc::clone(&record);
            let serve = service_fn(move |request| serve(Arc::clone(&record), request));
            let io = TokioIo::new(socket);
            if version == Version::Http2 {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(io, serve));
            } else {
                let builder = hyper::server::conn::http1::Builder::new();
                tokio::spawn(builder.serve_connection(io, serve));
            }
        }
    });
    address
}

type Answer = UnsyncBoxBody<Bytes, std::io::Error>;

async fn serve(
    record: Arc<Record>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, std::io::Error> {
    let dribbles = request.uri().path().contains("dribble");
    let response = answer(Arc::clone(&record), request).await?;
    if !dribbles {
        return Ok(response.map(|whole| whole.map_err(|never| match never {}).boxed_unsync()));
    }
    // Half of it at once, as S3 does while it still assembles an object.
    let (head, whole) = response.into_parts();
    let whole = whole.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
    let half = whole.slice(..whole.len() / 2);
    let (first, rest) = (half.clone(), whole.slice(half.len()..));
    let frames = futures_util::stream::unfold((Some(first), Some(rest)), move |(first, rest)| {
        let record = Arc::clone(&record);
        async move {
            if let Some(first) = first {
                return Some((Ok(Frame::data(first)), (None, rest)));
            }
            let rest = rest?;
            record.release.notified().await;
            Some((Ok(Frame::data(rest)), (None, None)))
        }
    });
    Ok(Response::from_parts(head, StreamBody::new(frames).boxed_unsync()))
}

async fn answer(
    record: Arc<Record>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, mut body) = request.into_parts();
    let does = |word: &str| head.uri.path().contains(word);
    if does("early") {
        push(&record, &head, 0, false, &[]);
        let mut response = Response::new(Full::new("no".into()));
        *response.status_mut() = http::StatusCode::FORBIDDEN;
        if does("drop") {
            drop(body);
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                drop(body);
            });
        }
        return Ok(response);
    }
    let mut recording =
        Recording { record: &record, head: &head, bytes: 0, complete: false, body: Vec::new() };
    loop {
        if does("slow") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        match body.frame().await {
            Some(Ok(frame)) => {
                let count = frame.data_ref().map_or(0, Bytes::len);
                recording.bytes += count;
                if recording.bytes < 65_536 {
                    recording.body.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                }
                *record.arrived.lock().unwrap() += count;
            }
            Some(Err(_)) => return Err(std::io::Error::other("the body broke off")),
            None => break,
        }
    }
    recording.complete = true;
    drop(recording);
    if does("hold") {
        record.release.notified().await;
    }
    if does("silent") {
        std::future::pending::<Infallible>().await;
    }
    if does("reset") {
        return Err(std::io::Error::other("as the path says"));
    }
    let mut response = Response::new(Full::new(Bytes::from("stored")));
    response.headers_mut().insert("connection", "x-hop, keep-alive".parse().unwrap());
    if version_is_http2(&head) {
        response.headers_mut().remove("connection");
    }
    response.headers_mut().insert("x-hop", "1".parse().unwrap());
    response.headers_mut().insert("fencing-refusal", "forged".parse().unwrap());
    Ok(response)
}

fn version_is_http2(head: &http::request::Parts) -> bool {
    head.version == http::Version::HTTP_2
}

/// Records when dropped, so that a request that was broken off is recorded too.
struct Recording<'a> {
    record: &'a Record,
    head: &'a http::request::Parts,
    bytes: usize,
    complete: bool,
    body: Vec<u8>,
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        push(self.record, self.head, self.bytes, self.complete, &self.body);
    }
}

fn push(record: &Record, head: &http::request::Parts, bytes: usize, complete: bool, body: &[u8]) {
    let seen = Seen {
        body: body.to_vec(),
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers.clone(),
        bytes,
        complete,
    };
    record.seen.lock().unwrap().push(seen);
}

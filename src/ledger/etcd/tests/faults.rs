//! Servers that are no etcd, are full, or say what cannot be.

use std::convert::Infallible;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::grpc::{Method, framed};
use super::super::testing::{Cluster, Options};
use super::super::wire::{
    Change, ChangeKind, Header, KeyValue, RangeResponse, StatusResponse, WatchResponse,
};
use super::super::{Endpoint, Settings};
use super::*;

fn settings(endpoints: Vec<Endpoint>, timeout_ms: u64) -> Settings {
    Settings {
        endpoints,
        namespace: "faults".into(),
        tls: None,
        login: None,
        timeout: Duration::from_millis(timeout_ms),
    }
}

/// A server that answers every connection with some bytes, and keeps it.
async fn server(answer: &'static [u8]) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let _ = stream.write_all(answer).await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            });
        }
    });
    Endpoint { host: "127.0.0.1".into(), port }
}

#[tokio::test]
async fn what_is_no_etcd_is_left_in_time() {
    let silent = server(b"").await;
    let web = server(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let noise = server(&[0; 4096]).await;
    for endpoint in [&silent, &web, &noise] {
        let store = Etcd::new(settings(vec![endpoint.clone()], 400)).unwrap();
        let begun = Instant::now();
        let error = store.read(&resource("a")).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_millis(900), "{error}");
        assert!(error.0.contains(&format!("etcd at 127.0.0.1:{}", endpoint.port)), "{error}");
        let session = SessionId::new("r1", 1);
        let ends = store.swap(&session, &[change("a", 0, "")]).await;
        assert!(matches!(ends[..], [Swapped::Failed(_)]), "{ends:?}");
        let (sender, _events) = mpsc::channel(1);
        store.follow(None, &sender).await;
    }
    // The one that is left is found behind them.
    let etcd = super::super::testing::shared().await;
    let mut endpoints = vec![silent, web, noise];
    endpoints.extend(etcd.endpoints());
    let store = Etcd::new(settings(endpoints, 3000)).unwrap();
    store.begin("r1", TTL, "").await.unwrap();
}

#[tokio::test]
async fn settings_that_cannot_be_right() {
    let none = Etcd::new(settings(vec![], 400)).err().unwrap();
    assert!(none.0.contains("give at least one"), "{none}");
    let endpoint = Endpoint { host: "127.0.0.1".into(), port: 1 };
    let slash = Settings { namespace: "a/b".into(), ..settings(vec![endpoint], 400) };
    assert!(Etcd::new(slash).err().unwrap().0.contains("without a slash"));
}

/// When its space ends, etcd refuses a change that it has just made. So that is not known, and
/// only what it refuses from then on is.
#[tokio::test]
async fn an_etcd_without_space() {
    let arguments = vec!["--quota-backend-bytes=1000000".to_owned()];
    let etcd = Cluster::start(1, Options { arguments, tls: None }).await;
    let store = etcd.store("full");
    let session = store.begin("r1", TTL, "").await.unwrap();
    let text = "x".repeat(100_000);
    for index in 0..100 {
        let name = index.to_string();
        let mut ends = store.swap(&session, &[change(&name, 0, &text)]).await;
        match ends.remove(0) {
            Swapped::Done(_) => {}
            Swapped::Unknown(why) => {
                assert!(why.contains("etcdctl alarm disarm"), "{why}");
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("it is never full");
}

/// A member that goes wrong in a way that a real one does only in old versions, and seldom: its
/// watch begins with changes that are older than what was asked for.
async fn one_that_goes_back() -> Endpoint {
    let changed = |key: &str, mod_revision| {
        let key = format!("/palisade/v1/faults/{key}").into_bytes();
        let kv = Some(KeyValue { key, mod_revision, value: b"x".to_vec(), lease: 0 });
        Change { kind: ChangeKind::Put.into(), kv }
    };
    let begun = WatchResponse { created: true, ..WatchResponse::default() };
    let events = vec![changed("session/r1#1", 3), changed("row/a", 10), changed("row/a", 11)];
    let told = WatchResponse { events, ..WatchResponse::default() };
    let watch = Bytes::from([framed(&begun), framed(&told)].concat());
    let header = Some(Header { cluster_id: 1, revision: 10 });
    let range = framed(&RangeResponse { header: header.clone(), ..RangeResponse::default() });
    let status = framed(&StatusResponse { header, leader: 1, ..StatusResponse::default() });

    let answer = move |request: Request<Incoming>| {
        let is_watch = request.uri().path() == Method::WATCH.0;
        let body = match request.uri().path() {
            path if path == Method::STATUS.0 => status.clone(),
            path if path == Method::RANGE.0 => range.clone(),
            _ => watch.clone(),
        };
        async move {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", if is_watch { "14" } else { "0" }.parse().unwrap());
            trailers.insert("grpc-message", "etcdserver: no leader".parse().unwrap());
            let body = Full::new(body).with_trailers(async { Some(Ok(trailers)) });
            let response = Response::builder().header("content-type", "application/grpc");
            Ok::<_, Infallible>(response.body(body).unwrap())
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let serving = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer.clone()));
            tokio::spawn(async move {
                let _ = serving.await;
            });
        }
    });
    Endpoint { host: "127.0.0.1".into(), port }
}

#[tokio::test]
async fn a_feed_does_not_go_back() {
    let endpoint = one_that_goes_back().await;
    let store = Arc::new(Etcd::new(settings(vec![endpoint], 3000)).unwrap());
    let mut feed = Feed::of(&store, Some(10));
    let told = Event::Row { resource: resource("a"), stored: row(11, "x") };
    assert_eq!(feed.batch().await, (vec![told], 11));
    let why = feed.end().await;
    assert!(why.contains("knows no leader"), "{why}");
}

//! Serving the folder over HTTP/1.1.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::S3Result;
use s3s::auth::SimpleAuth;
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::Settings;
use super::journal::Journal;

/// Connections at once; more have to wait.
const CONNECTIONS_MAX: usize = 1_024;
/// After `accept` failed, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a request's head may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A store that is being served, until this is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Store {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Store {
    /// Where it listens.
    pub(in crate::cli) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Service {
    s3: S3Service,
    journal: Option<Arc<Journal>>,
}

/// Serves a folder as an S3 store. It ends, with its connections, when the [`Store`] is dropped.
///
/// # Errors
/// When the folder cannot be made, the journal not be opened, or the address not be taken.
pub(in crate::cli) async fn serve(settings: Settings, listen: SocketAddr) -> anyhow::Result<Store> {
    let service = Service {
        s3: s3(&settings)?,
        journal: match &settings.journal {
            Some(path) => Some(Arc::new(Journal::create(path)?)),
            None => None,
        },
    };
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen} for the store"))?;
    let address = listener.local_addr().context("asking for the store's own address")?;
    let accepting = tokio::spawn(accept(listener, service)).abort_handle();
    Ok(Store { address, accepting })
}

fn s3(settings: &Settings) -> anyhow::Result<S3Service> {
    make(&settings.dir)?;
    for bucket in &settings.buckets {
        make(&settings.dir.join(bucket))?;
    }
    let folder = s3s_fs::FileSystem::new(&settings.dir)
        .map_err(|error| anyhow::anyhow!("opening {}: {error:?}", settings.dir.display()))?;
    let mut builder = S3ServiceBuilder::new(folder);
    if let Some(domain) = settings.domain.clone() {
        builder.set_host(Below { domain });
    }
    if let Some((id, secret)) = &settings.credentials {
        builder.set_auth(SimpleAuth::from_single(id.clone(), secret.clone()));
    }
    Ok(builder.build())
}

/// Buckets named by host, whatever the port: the store may be reached through a proxy.
struct Below {
    domain: String,
}

impl S3Host for Below {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let below = name.strip_suffix(self.domain.as_str()).and_then(|name| name.strip_suffix('.'));
        let found = VirtualHost::new(&self.domain);
        Ok(match below {
            Some(bucket) => found.with_bucket(bucket),
            None => found,
        })
    }
}

fn make(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("making the folder {}", dir.display()))
}

async fn accept(listener: TcpListener, service: Service) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, service.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, service: Service) {
    // Head and body go out in two writes; with Nagle's algorithm on, small answers take 40 ms.
    let _ = stream.set_nodelay(true);
    let handler = hyper::service::service_fn(move |request| answer(service.clone(), request));
    // What goes wrong on one connection is the client's to see.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), handler)
        .await;
}

async fn answer(
    service: Service,
    request: Request<Incoming>,
) -> Result<Response<s3s::Body>, s3s::HttpError> {
    match service.journal {
        Some(journal) => journal.answer(&service.s3, request).await,
        None => service.s3.call(request.map(s3s::Body::from)).await,
    }
}

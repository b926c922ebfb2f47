//! One connection to one member: many calls at once over HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use rustls_pki_types::ServerName;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::failure::{Failure, explained};
use super::grpc::{Frames, Method, Status, decoded, framed};
use super::settings::Endpoint;
use super::wire::{Empty, StatusResponse};
use crate::net::connect::tcp;
use crate::net::stream::Stream;

/// How often a member with an open stream is asked whether it is still there. etcd hangs up on
/// those who ask more often than every five seconds, or without a stream.
const PING_INTERVAL: Duration = Duration::from_secs(6);

/// How long a connection may take to say why it has ended, when its first call has failed.
const FAREWELL: Duration = Duration::from_millis(50);

/// A member: where it is, and how it is spoken to.
pub(super) struct Target {
    endpoint: Endpoint,
    /// As in errors, and in requests.
    pub(super) name: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// For the sentences of errors.
    pub(super) user: Option<String>,
    pub(super) prefix: String,
}

impl Target {
    pub(super) fn new(
        endpoint: &Endpoint,
        tls: Option<(TlsConnector, ServerName<'static>)>,
        user: Option<&str>,
        prefix: &str,
    ) -> Self {
        let Endpoint { host, port } = endpoint;
        let name =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let user = user.map(str::to_owned);
        Self { endpoint: endpoint.clone(), name, tls, user, prefix: prefix.to_owned() }
    }

    fn failure(&self, status: &Status) -> Failure {
        Failure::of(&self.name, status, self.user.as_deref(), &self.prefix)
    }
}

/// See the module. Dropping it closes the connection.
pub(super) struct Link {
    sender: http2::SendRequest<Outgoing>,
    pub(super) target: Arc<Target>,
    /// What the member said of itself.
    pub(super) status: StatusResponse,
    driver: JoinHandle<Option<String>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Connects, and has the member say what it is: only one that answers, has a leader and a
    /// voice is of use. A connection alone shows nothing, as the kernel makes it for a process
    /// that is frozen, too. Without a limit of time, but for `ping_timeout`.
    pub(super) async fn open(
        target: &Arc<Target>,
        ping_timeout: Duration,
    ) -> Result<Self, Failure> {
        let unreached = |why: String| Failure::unreached(&target.name, why);
        let Endpoint { host, port } = &target.endpoint;
        let tcp = tcp((&**host, *port)).await.map_err(|error| unreached(explained(&error)))?;
        let stream = match &target.tls {
            None => Stream::Plain(tcp),
            Some((connector, name)) => {
                let connecting = connector.connect(name.clone(), tcp);
                let stream = connecting.await.map_err(|error| unreached(explained(&error)))?;
                Stream::Tls(Box::new(stream))
            }
        };
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(ping_timeout)
            .keep_alive_while_idle(false)
            .adaptive_window(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreached(explained(&error)))?;
        let driver =
            tokio::spawn(async move { connection.await.err().map(|error| explained(&error)) });
        let status = StatusResponse::default();
        let mut link = Self { sender, target: Arc::clone(target), status, driver };
        match link.unary(Method::STATUS, framed(&Empty {}), None).await {
            Ok(status) => link.status = status,
            // Nothing but this was sent. When a certificate is refused, that is the first to hear
            // of it, and the connection knows more of the why.
            Err(failure) => {
                let ended = timeout(FAREWELL, &mut link.driver).await;
                return Err(match ended {
                    Ok(Ok(Some(why))) => unreached(why),
                    _ => Failure { is_undone: true, ..failure },
                });
            }
        }
        if link.status.is_learner {
            return Err(unreached("it is a learner; promote it, or leave it out".to_owned()));
        }
        if link.status.leader == 0 {
            let status = Status { code: 14, message: "etcdserver: no leader".to_owned() };
            return Err(target.failure(&status));
        }
        Ok(link)
    }

    /// Whether calls can be sent over it.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends one message and waits for the one that answers it.
    pub(super) async fn unary<A: Message + Default>(
        &self,
        method: Method,
        message: Bytes,
        token: Option<&HeaderValue>,
    ) -> Result<A, Failure> {
        let mut answers = self.call(method, Outgoing::one(message), token).await?;
        let answer = answers.next().await?;
        let Some(answer) = answer else {
            return Err(Failure::nonsense(&self.target.name, "an answer without a message"));
        };
        // What it is worth is told behind it.
        match answers.next().await? {
            None => Ok(answer),
            Some::<A>(_) => Err(Failure::nonsense(&self.target.name, "two answers to one call")),
        }
    }

    /// Sends one message and keeps the stream open, for as many answers as come.
    pub(super) async fn watch(
        &self,
        message: Bytes,
        token: Option<&HeaderValue>,
    ) -> Result<Answers, Failure> {
        self.call(Method::WATCH, Outgoing { message: Some(message), stays_open: true }, token).await
    }

    async fn call(
        &self,
        Method(path): Method,
        body: Outgoing,
        token: Option<&HeaderValue>,
    ) -> Result<Answers, Failure> {
        let target = &self.target;
        let scheme = if target.tls.is_some() { "https" } else { "http" };
        let mut request = Request::post(format!("{scheme}://{}{path}", target.name))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", concat!("palisade/", env!("CARGO_PKG_VERSION")))
            // A member that is cut off from the others says so, instead of letting us wait.
            .header("hasleader", "true");
        if let Some(token) = token {
            request = request.header("token", token);
        }
        let request =
            request.body(body).map_err(|error| Failure::unreached(&target.name, error))?;
        let sent = self.sender.clone().try_send_request(request).await;
        let response = sent.map_err(|mut error| {
            let is_unsent = error.take_message().is_some();
            let why = explained(error.error());
            match is_unsent {
                true => Failure::unreached(&target.name, why),
                false => Failure::broken(&target.name, why),
            }
        })?;
        Answers::new(response, target)
    }
}

/// The messages that answer a call.
pub(super) struct Answers {
    body: Incoming,
    frames: Frames,
    target: Arc<Target>,
}

impl Answers {
    fn new(response: Response<Incoming>, target: &Arc<Target>) -> Result<Self, Failure> {
        let headers = response.headers();
        let content_type = headers.get("content-type").map(HeaderValue::as_bytes);
        let is_grpc = content_type.is_some_and(|it| it.starts_with(b"application/grpc"));
        if !response.status().is_success() || !is_grpc {
            let why =
                format!("it answers with HTTP status {} where gRPC is spoken", response.status());
            return Err(Failure::nonsense(&target.name, why));
        }
        if let Some(status) = Status::of(headers)
            && !status.is_ok()
        {
            return Err(target.failure(&status));
        }
        Ok(Self {
            body: response.into_body(),
            frames: Frames::default(),
            target: Arc::clone(target),
        })
    }

    /// The next one; `None` after the last, when all has gone well.
    pub(super) async fn next<A: Message + Default>(&mut self) -> Result<Option<A>, Failure> {
        let name = &self.target.name;
        loop {
            let whole = self.frames.next().map_err(|error| Failure::nonsense(name, error))?;
            if let Some(message) = whole {
                return decoded(message).map(Some).map_err(|error| Failure::nonsense(name, error));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.frames.push(data.chunk()),
                    Err(frame) => {
                        let trailers = frame.trailers_ref();
                        let status = trailers.and_then(Status::of);
                        return match status {
                            Some(status) if status.is_ok() => Ok(None),
                            Some(status) => Err(self.target.failure(&status)),
                            None => Err(Failure::broken(name, "an answer without a status")),
                        };
                    }
                },
                Some(Err(error)) => return Err(Failure::broken(name, explained(&error))),
                None => return Err(Failure::broken(name, "an answer that breaks off")),
            }
        }
    }
}

/// What is sent: one message, and then either the end or nothing.
struct Outgoing {
    message: Option<Bytes>,
    stays_open: bool,
}

impl Outgoing {
    fn one(message: Bytes) -> Self {
        Self { message: Some(message), stays_open: false }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.message.take() {
            Some(message) => Poll::Ready(Some(Ok(Frame::data(message)))),
            // Nothing ever comes after it, so nobody has to be woken.
            None if self.stays_open => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && !self.stays_open
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.message.as_ref().map_or(0, |message| message.len() as u64);
        match self.stays_open {
            // No content-length for what is never complete.
            true => SizeHint::default(),
            false => SizeHint::with_exact(length),
        }
    }
}

//! The members of one etcd: which is spoken to, who comes next when it fails, and the login.
//!
//! One member is used for as long as it answers. What it does not answer in time goes to the next
//! one, as far as it may be done twice; what may not is told as unknown.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::HeaderValue;
use prost::Message;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::failure::{Cause, Failure};
use super::grpc::{Method, framed};
use super::link::{Link, Target};
use super::settings::Settings;
use super::wire::{AuthenticateRequest, AuthenticateResponse};
use crate::ledger::Unavailable;
use crate::net::connect::{client_config, server_name};
use crate::net::tls::Alpn;

/// How often a call is tried, at most: members that answer at once that they cannot are soon
/// all asked, and its `timeout` is the other bound.
const ATTEMPTS_MAX: u32 = 16;
/// How long it is waited between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);
/// Among how many members the time for connecting is divided, at most.
const CONNECT_SHARES_MAX: usize = 3;
/// How often a login is renewed within one call.
const LOGINS_MAX: u32 = 2;

/// Whether a call may be done more than once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Repeat {
    /// It makes no difference.
    Freely,
    /// Only if it is certain that it was not done.
    Never,
}

/// What is known of the login.
#[derive(Clone)]
enum Login {
    Unknown,
    /// With this token; without one where authentication is switched off.
    As(Option<HeaderValue>),
}

/// See the module.
pub(super) struct Client {
    targets: Vec<Arc<Target>>,
    pub(super) timeout: Duration,
    login: Option<(String, Zeroizing<String>)>,
    link: Mutex<Option<Arc<Link>>>,
    connecting: tokio::sync::Mutex<()>,
    /// Whose turn it is when the calls need a connection, and when the feed does.
    turn: AtomicUsize,
    pub(super) feed_turn: AtomicUsize,
    token: Mutex<Login>,
    logging_in: tokio::sync::Mutex<()>,
    /// Which cluster it was the first time; 0: not known yet.
    cluster: AtomicU64,
}

impl Client {
    /// Reads the files of TLS.
    pub(super) fn new(settings: &Settings, prefix: &str) -> Result<Self, Unavailable> {
        let wrong = |why: String| Unavailable(format!("etcd: {why}"));
        if settings.endpoints.is_empty() {
            return Err(wrong("there is no endpoint; give at least one".to_owned()));
        }
        let user = settings.login.as_ref().map(|(user, _)| user.as_str());
        let connector = match &settings.tls {
            Some(tls) => {
                let config = client_config(tls, Alpn::Http2);
                let config = config.map_err(|error| wrong(error.to_string()))?;
                Some((TlsConnector::from(Arc::new(config)), tls))
            }
            None => None,
        };
        let mut targets = Vec::new();
        for endpoint in &settings.endpoints {
            let tls = match &connector {
                Some((connector, tls)) => {
                    let name = server_name(tls, &endpoint.host);
                    Some((connector.clone(), name.map_err(|error| wrong(error.to_string()))?))
                }
                None => None,
            };
            targets.push(Arc::new(Target::new(endpoint, tls, user, prefix)));
        }
        Ok(Self {
            targets,
            timeout: settings.timeout,
            login: settings.login.clone(),
            link: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(()),
            turn: AtomicUsize::new(0),
            feed_turn: AtomicUsize::new(0),
            token: Mutex::new(Login::Unknown),
            logging_in: tokio::sync::Mutex::new(()),
            cluster: AtomicU64::new(0),
        })
    }

    /// Asks whoever answers.
    pub(super) async fn call<A: Message + Default>(
        &self,
        method: Method,
        request: &impl Message,
        repeat: Repeat,
    ) -> Result<A, Failure> {
        let message = framed(request);
        let deadline = Instant::now() + self.timeout;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let link = self.link(deadline).await?;
            let now = Instant::now();
            // So that there is time left for another one.
            let until = match repeat {
                Repeat::Freely if self.targets.len() > 1 => now + deadline.duration_since(now) / 2,
                _ => deadline,
            };
            let asked = self.ask(&link, method, message.clone(), until).await;
            let failure = match asked {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if failure.cause == Cause::Member {
                self.leave(&link);
            }
            let may_repeat = failure.is_undone || repeat == Repeat::Freely;
            let is_over = deadline <= Instant::now() + ATTEMPT_PAUSE || attempt == ATTEMPTS_MAX;
            if failure.cause != Cause::Member || !may_repeat || is_over {
                return Err(failure);
            }
            drop(link);
            sleep(ATTEMPT_PAUSE).await;
        }
    }

    /// Asks one member, with a login that is valid there.
    pub(super) async fn ask<A: Message + Default>(
        &self,
        link: &Link,
        method: Method,
        message: bytes::Bytes,
        until: Instant,
    ) -> Result<A, Failure> {
        let begun = Instant::now();
        let late = || Failure::timeout(&link.target.name, begun.elapsed());
        let mut logins = 0;
        loop {
            let token = self.token(link, until).await?;
            let asked = link.unary(method, message.clone(), token.as_ref());
            let failure = match timeout_at(until, asked).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => return Err(late()),
            };
            if failure.cause != Cause::Token || self.login.is_none() {
                return Err(failure);
            }
            if logins == LOGINS_MAX {
                return Err(failure);
            }
            logins += 1;
            self.forget(token.as_ref());
        }
    }

    /// What stands for user and password; `None` where there are none.
    pub(super) async fn token(
        &self,
        link: &Link,
        until: Instant,
    ) -> Result<Option<HeaderValue>, Failure> {
        let Some((user, password)) = &self.login else { return Ok(None) };
        if let Login::As(token) = self.known_login() {
            return Ok(token);
        }
        let name = &link.target.name;
        let logging_in = async {
            // etcd takes its time over a password: one login is enough for all who wait.
            let _turn = self.logging_in.lock().await;
            if let Login::As(token) = self.known_login() {
                return Ok(token);
            }
            let request =
                AuthenticateRequest { name: user.clone(), password: password.as_str().to_owned() };
            let message = framed(&request);
            drop(Zeroizing::new(request.password));
            let asked = link.unary::<AuthenticateResponse>(Method::AUTHENTICATE, message, None);
            let token = match asked.await {
                // Authentication is switched off there: nobody asks for a token.
                Err(failure) if failure.what.contains("authentication is not enabled") => None,
                answer => {
                    let mut token = HeaderValue::from_str(&answer?.token).map_err(|_| {
                        Failure::nonsense(name, "it gave a token that cannot be sent")
                    })?;
                    token.set_sensitive(true);
                    Some(token)
                }
            };
            *self.logins() = Login::As(token.clone());
            Ok(token)
        };
        let begun = Instant::now();
        let ended = timeout_at(until, logging_in).await;
        let ended = ended.unwrap_or_else(|_| Err(Failure::timeout(name, begun.elapsed())));
        // Nothing but the login was sent.
        ended.map_err(|failure| Failure { is_undone: true, ..failure })
    }

    /// A token, or none, that a member has not accepted, unless there is a newer one already.
    fn forget(&self, refused: Option<&HeaderValue>) {
        let mut login = self.logins();
        if matches!(&*login, Login::As(token) if token.as_ref() == refused) {
            *login = Login::Unknown;
        }
    }

    fn known_login(&self) -> Login {
        self.logins().clone()
    }

    fn logins(&self) -> MutexGuard<'_, Login> {
        self.token.lock().expect("nothing panics while it holds this lock")
    }

    fn links(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().expect("nothing panics while it holds this lock")
    }

    /// The connection that all calls share.
    pub(super) async fn link(&self, deadline: Instant) -> Result<Arc<Link>, Failure> {
        let open = || self.links().clone().filter(|link| link.is_open());
        if let Some(link) = open() {
            return Ok(link);
        }
        let connecting = async {
            let _turn = self.connecting.lock().await;
            if let Some(link) = open() {
                return Ok(link);
            }
            let link = Arc::new(self.connect(&self.turn, deadline).await?);
            *self.links() = Some(Arc::clone(&link));
            Ok(link)
        };
        timeout_at(deadline, connecting).await.unwrap_or_else(|_| {
            let why = format!("no connection within {} ms", self.timeout.as_millis());
            Err(Failure::unreached(&self.names(), why))
        })
    }

    /// Uses another member from now on. What is under way on this connection is waited for.
    fn leave(&self, left: &Arc<Link>) {
        let mut link = self.links();
        if link.as_ref().is_some_and(|link| Arc::ptr_eq(link, left)) {
            *link = None;
        }
    }

    /// Connects to the first of the members that can be used, from the one on whose turn it is.
    pub(super) async fn connect(
        &self,
        turn: &AtomicUsize,
        deadline: Instant,
    ) -> Result<Link, Failure> {
        let count = self.targets.len();
        let share = self.timeout / count.min(CONNECT_SHARES_MAX) as u32;
        let mut failures = Vec::new();
        for _ in 0..count {
            // Counted before, so that the next who comes does not begin with one that hangs.
            let target = &self.targets[turn.fetch_add(1, Ordering::Relaxed) % count];
            let until = deadline.min(Instant::now() + share);
            let begun = Instant::now();
            let opened = match timeout_at(until, Link::open(target, self.timeout)).await {
                Ok(opened) => opened.and_then(|link| self.known(link)),
                Err(_) => Err(Failure::timeout(&target.name, begun.elapsed())),
            };
            match opened {
                Ok(link) => return Ok(link),
                Err(failure) => failures.push(failure.what),
            }
        }
        Err(Failure { is_undone: true, cause: Cause::Member, what: failures.join("; ") })
    }

    /// Refuses a member of another cluster than the first one's: it knows nothing of our marks.
    fn known(&self, link: Link) -> Result<Link, Failure> {
        let cluster = link.status.header.as_ref().map_or(0, |header| header.cluster_id);
        let unset = self.cluster.compare_exchange(0, cluster, Ordering::AcqRel, Ordering::Acquire);
        match unset {
            Err(known) if known != cluster => Err(Failure::unreached(
                &link.target.name,
                "it belongs to another cluster than the member that answered first; correct the \
                 endpoints, or start Palisade anew if the cluster was replaced",
            )),
            _ => Ok(link),
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.targets.iter().map(|target| target.name.as_str()).collect();
        names.join(", ")
    }
}

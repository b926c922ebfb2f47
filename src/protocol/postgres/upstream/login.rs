//! Logging in: from a connection to the first ReadyForQuery.

use std::fmt;
use std::io;
use std::sync::Arc;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::super::codec::frame::HEADER_BYTES;
use super::super::codec::message::read::{backend_key, parameter_status};
use super::super::codec::message::write::{message, put_text, put_u32, startup};
use super::binding;
use super::keys::{Cache, Name};
use super::scram::{Binding, Exchange, Expected, MECHANISM, MECHANISM_PLUS, NONCE_BYTES};
use super::settings::{Password, TargetSessionAttrs};
use super::wire::{Message, ServerError, Wire, WireError};
use crate::net::stream::Stream;

/// Notices of a login that are kept for the client, each of [`super::wire::MESSAGE_BYTES_MAX`]
/// at most; further ones are dropped.
pub const NOTICES_MAX: usize = 16;

/// Settings that a server may report at login. PostgreSQL reports about fifteen.
pub const PARAMETERS_MAX: usize = 256;

/// Messages of one login.
const MESSAGES_MAX: usize = 1_024;

/// A session of a server, logged in and idle.
pub struct Backend {
    /// Nothing is outstanding on it.
    pub stream: Stream,
    /// Which of the upstream's endpoints.
    pub host: usize,
    /// Its process.
    pub pid: u32,
    /// For a request to cancel.
    pub secret: Box<[u8]>,
    /// What the server has reported, in order.
    pub parameters: Vec<(String, String)>,
    /// NoticeResponses as they came, header and all.
    pub notices: Vec<Vec<u8>>,
    /// Bytes after the first ReadyForQuery; usually none.
    pub rest: Vec<u8>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Backend");
        shown.field("host", &self.host).field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The server said no.
    #[error("server {host} refuses the session: {}", ServerError::read(body))]
    Refused {
        /// Its ErrorResponse, without header, to be relayed.
        body: Vec<u8>,
        /// Which of the endpoints.
        host: usize,
    },
    /// No server could be connected to.
    #[error("no server of upstream {upstream} can be reached: {cause}")]
    Unreachable {
        /// The upstream's name.
        upstream: Arc<str>,
        /// What the last one that was tried said.
        cause: io::Error,
    },
    /// Servers answered, and none is what is asked for.
    #[error(
        "no server of upstream {upstream} is what target_session_attrs asks for ({target:?}); is \
         a failover under way?"
    )]
    NoHost {
        /// The upstream's name.
        upstream: Arc<str>,
        /// What is asked for.
        target: TargetSessionAttrs,
    },
    /// It took too long.
    #[error("{limit} of upstream {upstream} is over")]
    Timeout {
        /// The upstream's name.
        upstream: Arc<str>,
        /// `connect_timeout` or `login_timeout`.
        limit: &'static str,
    },
    /// The server and we cannot agree on who we are; what to do about it.
    #[error("cannot log in as {role}: {why}")]
    Auth {
        /// The role.
        role: String,
        /// Why, and the mend.
        why: String,
    },
    /// A role that the configuration has no login for.
    #[error("the upstream has no login for role {0}; add it to its roles")]
    UnknownRole(String),
    /// What is there is no PostgreSQL, or is of another age.
    #[error("a server of upstream {upstream} cannot be spoken with: {why}")]
    Protocol {
        /// The upstream's name.
        upstream: Arc<str>,
        /// What it did.
        why: String,
    },
}

/// As whom a session is begun.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) role: &'a str,
    pub(super) password: &'a Password,
    /// Whether it is Palisade's own.
    pub(super) is_control: bool,
    pub(super) database: &'a str,
    /// Without user and database.
    pub(super) parameters: &'a [(String, String)],
}

/// What a login brings, beside the connection.
#[derive(Default)]
pub(super) struct Greeting {
    pub(super) key: Option<(u32, Box<[u8]>)>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) notices: Vec<Vec<u8>>,
}

/// Why a login failed, before it is known whose.
pub(super) enum Failure {
    Refused(Vec<u8>),
    Auth(String),
    Wire(WireError),
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// How far proving has come.
enum Proof {
    /// Nothing was asked yet, or a password was given.
    Open,
    /// The server's challenge is awaited.
    Begun(Exchange),
    /// Its proof is.
    Answered(Expected),
    /// It has proved itself.
    Mutual,
}

/// Sends the start-up packet, proves who we are, and reads up to the first ReadyForQuery. The
/// caller limits the time.
pub(super) async fn log_in(
    wire: &mut Wire,
    account: Account<'_>,
    keys: &Cache,
) -> Result<Greeting, Failure> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut parameters = vec![pair("user", account.role), pair("database", account.database)];
    parameters.extend_from_slice(account.parameters);
    let mut packet = Vec::new();
    startup(&mut packet, &parameters);
    wire.send(&packet).await?;
    let mut greeting = Greeting::default();
    let mut proof = Proof::Open;
    for _ in 0..MESSAGES_MAX {
        let Message { tag, body } = wire.message().await?;
        match tag {
            b'R' => proof = authenticate(wire, account, keys, proof, &body).await?,
            b'E' => return Err(Failure::Refused(body)),
            b'N' if greeting.notices.len() < NOTICES_MAX => {
                greeting.notices.push(built(b'N', &[&body]));
            }
            b'N' => {}
            b'S' if greeting.parameters.len() < PARAMETERS_MAX => {
                let (name, value) = parameter_status(&body).map_err(WireError::from)?;
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                greeting.parameters.push((text(name), text(value)));
            }
            b'K' => {
                let (pid, secret) = backend_key(&body).map_err(WireError::from)?;
                greeting.key = Some((pid, secret.into()));
            }
            b'Z' => return Ok(greeting),
            _ => return Err(WireError::Protocol("a message of it belongs to no login").into()),
        }
    }
    Err(WireError::Protocol("its login has too many messages").into())
}

/// A message of these parts.
fn built(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    // At once, so that no part of a password is left behind by growing.
    let mut out = Vec::with_capacity(HEADER_BYTES + parts.iter().map(|it| it.len()).sum::<usize>());
    message(&mut out, tag, |out| parts.iter().for_each(|part| out.extend_from_slice(part)));
    out
}

async fn authenticate(
    wire: &mut Wire,
    account: Account<'_>,
    keys: &Cache,
    proof: Proof,
    body: &[u8],
) -> Result<Proof, Failure> {
    let malformed = WireError::Protocol("its demand for a proof is malformed");
    let (code, body) = body.split_first_chunk().ok_or(malformed)?;
    match (u32::from_be_bytes(*code), proof) {
        (0, proof @ (Proof::Open | Proof::Mutual)) => Ok(proof),
        (0, _) => Err(Failure::Auth(
            "the server let us in without having proved that it knows the password".into(),
        )),
        (3, Proof::Open) => {
            if matches!(wire.stream(), Stream::Plain(_)) {
                return Err(Failure::Auth(CLEARTEXT.into()));
            }
            let password = password(account)?;
            let message = Zeroizing::new(built(b'p', &[password.as_bytes(), &[0]]));
            wire.send(&message).await?;
            Ok(Proof::Open)
        }
        (5, _) => Err(Failure::Auth(MD5.into())),
        (10, Proof::Open) => {
            // Before the exchange: without a password it could not be ended.
            password(account)?;
            let (exchange, first) = begin(wire.stream(), body)?;
            wire.send(&first).await?;
            Ok(Proof::Begun(exchange))
        }
        (11, Proof::Begun(exchange)) => {
            let challenge = exchange.challenge(body).map_err(auth)?;
            let name = Name {
                is_control: account.is_control,
                role: account.role.to_owned(),
                salt: challenge.salt.clone(),
                iterations: challenge.iterations,
            };
            let ending = || Failure::Auth("the process is ending".into());
            let keys = keys.keys(name, password(account)?).await.ok_or_else(ending)?;
            let (expected, last) = challenge.answer(&keys);
            wire.send(&built(b'p', &[&last])).await?;
            Ok(Proof::Answered(expected))
        }
        (12, Proof::Answered(expected)) => {
            expected.verify(body).map_err(auth)?;
            Ok(Proof::Mutual)
        }
        (7..=9, _) => Err(Failure::Auth(
            "the server asks for Kerberos or SSPI, which Palisade does not speak; give it a line \
             with `scram-sha-256` or `cert` in pg_hba.conf"
                .into(),
        )),
        _ => Err(WireError::Protocol("an unknown or untimely demand for a proof").into()),
    }
}

const CLEARTEXT: &str = "the server asks for the password in clear text, and the connection is \
     not encrypted; write `scram-sha-256` in place of `password` in pg_hba.conf, or give the \
     upstream a `tls` table";
const MD5: &str = "the server asks for an MD5 hash, which is as good as the password itself to \
     whoever reads it; set password_encryption = 'scram-sha-256' there, set the role's password \
     again, and write `scram-sha-256` in place of `md5` in pg_hba.conf";

/// Chooses the mechanism among those that the server offers.
fn begin(stream: &Stream, offered: &[u8]) -> Result<(Exchange, Vec<u8>), Failure> {
    let offers = |name: &str| offered.split(|byte| *byte == 0).any(|it| it == name.as_bytes());
    let binding = match binding::end_point(stream) {
        Some(hash) if offers(MECHANISM_PLUS) => Binding::EndPoint(hash),
        Some(_) => Binding::NotOffered,
        None => Binding::Unsupported,
    };
    let mechanism = binding.mechanism();
    if !offers(mechanism) {
        let shown: Vec<_> = offered.split(|byte| *byte == 0).filter(|it| !it.is_empty()).collect();
        let shown =
            String::from_utf8_lossy(&shown.join(&b' ')).chars().take(100).collect::<String>();
        return Err(Failure::Auth(format!(
            "the server offers {shown:?} and not {MECHANISM}, which Palisade speaks"
        )));
    }
    let mut nonce = [0; NONCE_BYTES];
    rand::fill(&mut nonce).map_err(|_| io::Error::other("no random bytes are to be had"))?;
    let (exchange, first) = Exchange::begin("", &nonce, binding);
    let mut out = Vec::new();
    message(&mut out, b'p', |out| {
        put_text(out, mechanism);
        put_u32(out, first.len() as u32);
        out.extend_from_slice(&first);
    });
    Ok((exchange, out))
}

fn password<'a>(account: Account<'a>) -> Result<&'a Zeroizing<String>, Failure> {
    account.password.0.as_ref().filter(|it| !it.is_empty()).ok_or_else(|| {
        Failure::Auth(
            "the server asks for a password, and none is configured; give the role one".into(),
        )
    })
}

fn auth(error: super::scram::ScramError) -> Failure {
    Failure::Auth(error.to_string())
}

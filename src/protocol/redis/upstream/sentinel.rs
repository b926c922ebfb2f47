//! Asking the Sentinels which server is the primary.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use redis::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::connect::Dialer;
use super::error::OpenError;
use super::login::{self, Login};
use super::settings::{Endpoint, Sentinel, Upstream};
use super::wire::{Batch, LOGIN_BYTES_MAX, Wire, refusal, text};

/// How long one Sentinel may take, connection and all, before the next is asked.
pub const SENTINEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Replicas that are taken from a Sentinel's list.
pub const REPLICAS_MAX: usize = 64;

/// What the Sentinels have said last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) endpoint: Endpoint,
    /// Counts the primaries that have been named: of two, the later one has the larger number.
    pub(super) view: u64,
}

/// See the module.
pub(super) struct Sentinels {
    /// The one to ask first: it answered last.
    preferred: AtomicUsize,
    /// Whoever asks holds the lock: many that ask at once are answered by one asking.
    state: Mutex<State>,
    /// That of `state`, without waiting for who asks.
    view: AtomicU64,
}

#[derive(Default)]
struct State {
    said: Option<(Instant, Result<Said, OpenError>)>,
    /// The address and `config-epoch` that were accepted last.
    accepted: Option<Named>,
    view: u64,
}

/// A primary, as one Sentinel names it. Each failover has a larger epoch than those before.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Named {
    endpoint: Endpoint,
    epoch: u64,
}

impl State {
    fn accept(&mut self, named: Named) -> Said {
        if self.accepted.as_ref().is_none_or(|known| known.endpoint != named.endpoint) {
            self.view += 1;
        }
        let said = Said { endpoint: named.endpoint.clone(), view: self.view };
        self.accepted = Some(named);
        said
    }
}

impl Sentinels {
    pub(super) fn new() -> Self {
        Self { preferred: AtomicUsize::new(0), state: Mutex::default(), view: AtomicU64::new(0) }
    }

    /// The primary, as a Sentinel has said not longer than `age_max` ago.
    ///
    /// A Sentinel that was cut off still names the primary of before a failover: its epoch is
    /// smaller than one seen already, and the next Sentinel is asked. Where all of them answer and
    /// none has a newer epoch, they were set up again, and the largest one counts.
    pub(super) async fn primary(
        &self,
        dialer: &Dialer,
        sentinel: &Sentinel,
        age_max: Duration,
    ) -> Result<Said, OpenError> {
        let mut state = self.state.lock().await;
        if let Some((at, said)) = &state.said
            && at.elapsed() < age_max
        {
            return said.clone();
        }
        let said = self.ask_primary(&mut state, dialer, sentinel).await;
        // That none tells, too: many that ask one after the other would wait for long.
        state.said = Some((Instant::now(), said.clone()));
        said
    }

    async fn ask_primary(
        &self,
        state: &mut State,
        dialer: &Dialer,
        sentinel: &Sentinel,
    ) -> Result<Said, OpenError> {
        let command: [&[u8]; 3] = [b"SENTINEL", b"MASTER", sentinel.service.as_bytes()];
        let least = state.accepted.as_ref().map_or(0, |accepted| accepted.epoch);
        let mut outdated: Vec<Named> = Vec::new();
        let newest = self.ask(dialer, sentinel, &command, |answer| {
            let named = named(answer)?;
            if named.epoch >= least {
                return Some(named);
            }
            outdated.push(named);
            None
        });
        let named = match newest.await {
            Ok(named) => named,
            Err(error) => {
                let are_all = outdated.len() == dialer.upstream().endpoints.len();
                let newest = outdated.into_iter().max_by_key(|named| named.epoch);
                newest.filter(|_| are_all).ok_or(error)?
            }
        };
        let said = state.accept(named);
        self.view.store(said.view, Ordering::Release);
        Ok(said)
    }

    /// How many primaries have been named so far.
    pub(super) fn view(&self) -> u64 {
        self.view.load(Ordering::Acquire)
    }

    /// What was said last is not so.
    pub(super) async fn forget(&self, endpoint: &Endpoint) {
        let mut state = self.state.lock().await;
        if matches!(&state.said, Some((_, Ok(said))) if said.endpoint == *endpoint) {
            state.said = None;
        }
    }

    /// The servers that are not the primary: replicas, and what was the primary once.
    pub(super) async fn others(
        &self,
        dialer: &Dialer,
        sentinel: &Sentinel,
    ) -> Result<Vec<Endpoint>, OpenError> {
        let command: [&[u8]; 3] = [b"SENTINEL", b"REPLICAS", sentinel.service.as_bytes()];
        self.ask(dialer, sentinel, &command, replicas).await
    }

    /// Asks one after the other until one gives an answer that can be read.
    async fn ask<T>(
        &self,
        dialer: &Dialer,
        sentinel: &Sentinel,
        command: &[&[u8]],
        mut read: impl FnMut(&Value) -> Option<T>,
    ) -> Result<T, OpenError> {
        let upstream = dialer.upstream();
        let count = upstream.endpoints.len();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failed: Option<OpenError> = None;
        for index in (0..count).map(|step| (first + step) % count) {
            let endpoint = &upstream.endpoints[index];
            let asking = ask_one(dialer, sentinel, endpoint, command);
            let late = || OpenError::Unreachable {
                upstream: upstream.name.clone(),
                cause: format!("{endpoint}: no answer within {} s", SENTINEL_TIMEOUT.as_secs()),
            };
            let answer = timeout(SENTINEL_TIMEOUT, asking).await.unwrap_or_else(|_| Err(late()));
            let error = match answer {
                Ok(answer) => match read(&answer) {
                    Some(answer) => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    None => unknown(upstream, endpoint, &answer),
                },
                Err(error) => error,
            };
            // What one has said, says more than that another one is silent.
            if failed.is_none() || !matches!(error, OpenError::Unreachable { .. }) {
                failed = Some(error);
            }
        }
        Err(failed.unwrap_or_else(|| OpenError::Sentinel {
            upstream: upstream.name.clone(),
            why: "there is none; give the upstream their addresses as endpoints".to_owned(),
        }))
    }
}

async fn ask_one(
    dialer: &Dialer,
    sentinel: &Sentinel,
    endpoint: &Endpoint,
    command: &[&[u8]],
) -> Result<Value, OpenError> {
    let mut wire = Wire::new(dialer.dial(endpoint, false).await?);
    let upstream = dialer.upstream();
    let host: Arc<str> = endpoint.to_string().into();
    let asked = Login { upstream, host: &host };
    let mut batch = Batch::new();
    login::auth(&mut batch, sentinel.user.as_deref(), &sentinel.password);
    batch.push(command);
    let answers = wire.ask(&batch, LOGIN_BYTES_MAX, upstream.login_timeout).await;
    let mut answers = answers.map_err(|error| asked.failed(error, upstream.login_timeout))?;
    if let Some(why) = answers.iter().find_map(refusal) {
        return Err(OpenError::Sentinel {
            upstream: upstream.name.clone(),
            why: format!(
                "{host} says {why:?}; see `service`, `user` and `password_file` of \
                 [upstreams.{}.redis.sentinel]",
                upstream.name
            ),
        });
    }
    match (answers.pop(), answers.len() + 1 == batch.len()) {
        (Some(answer), true) => Ok(answer),
        _ => Err(asked.strange("it ends the connection in the middle of the login")),
    }
}

fn unknown(upstream: &Upstream, endpoint: &Endpoint, answer: &Value) -> OpenError {
    let why = match named(answer) {
        Some(named) => format!(
            "{endpoint} names {}, of before a failover, and no other Sentinel answers",
            named.endpoint
        ),
        None => format!("{endpoint} gives an answer that is none"),
    };
    OpenError::Sentinel { upstream: upstream.name.clone(), why }
}

/// A value of a flat map.
fn value<'a>(answer: &'a Value, name: &[u8]) -> Option<&'a [u8]> {
    let Value::Array(pairs) = answer else { return None };
    let pair = pairs.chunks_exact(2).find(|pair| text(&pair[0]) == Some(name))?;
    text(&pair[1])
}

/// A flat map with `ip`, `port`, `config-epoch`.
fn named(answer: &Value) -> Option<Named> {
    let epoch = std::str::from_utf8(value(answer, b"config-epoch")?).ok()?.parse().ok()?;
    Some(Named { endpoint: address(answer)?, epoch })
}

/// A list of them.
fn replicas(answer: &Value) -> Option<Vec<Endpoint>> {
    let Value::Array(replicas) = answer else { return None };
    Some(replicas.iter().take(REPLICAS_MAX).filter_map(address).collect())
}

fn address(answer: &Value) -> Option<Endpoint> {
    let host = std::str::from_utf8(value(answer, b"ip")?).ok().filter(|host| !host.is_empty())?;
    let port = std::str::from_utf8(value(answer, b"port")?).ok()?.parse().ok()?;
    Some(Endpoint::Tcp { host: host.into(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[&str]) -> Value {
        let bulk = |text: &&str| Value::BulkString(text.as_bytes().to_vec());
        Value::Array(pairs.iter().map(bulk).collect())
    }

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp { host: host.into(), port }
    }

    #[test]
    fn what_a_sentinel_says() {
        let check = |host, port, epoch, expected| {
            let answer = map(&["name", "main", "ip", host, "port", port, "config-epoch", epoch]);
            assert_eq!(named(&answer).map(|it| (it.endpoint, it.epoch)), expected, "{answer:?}");
        };
        check("10.0.0.1", "6379", "7", Some((tcp("10.0.0.1", 6379), 7)));
        check("2001:db8::1", "6379", "0", Some((tcp("2001:db8::1", 6379), 0)));
        check("", "6379", "0", None);
        check("10.0.0.1", "65536", "0", None);
        check("10.0.0.1", "6379", "-1", None);
        assert_eq!(named(&map(&["ip", "10.0.0.1", "port", "1"])), None);
        assert_eq!(named(&Value::Nil), None);

        let replica = |port| map(&["ip", "10.0.0.2", "port", port, "flags", "slave"]);
        let answer = Value::Array(vec![replica("1"), replica("no"), replica("2")]);
        assert_eq!(replicas(&answer), Some(vec![tcp("10.0.0.2", 1), tcp("10.0.0.2", 2)]));
        let many = Value::Array(vec![replica("1"); REPLICAS_MAX + 1]);
        assert_eq!(replicas(&many).map(|it| it.len()), Some(REPLICAS_MAX));
    }

    #[test]
    fn another_primary_is_another_view() {
        let mut state = State::default();
        let mut view =
            |port, epoch| state.accept(Named { endpoint: tcp("10.0.0.1", port), epoch }).view;
        assert_eq!([view(1, 0), view(1, 0), view(2, 1), view(2, 2), view(1, 3)], [1, 1, 2, 2, 3]);
    }
}

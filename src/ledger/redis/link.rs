//! One connection to a server, logged in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::script::{Answer, Call, Script, parts, text};
use super::settings::Login;
use crate::net::stream::Stream;

/// Characters of a server's own words that are shown.
const WORDS_MAX: usize = 300;

/// By these words a server says that it has not begun what it was asked.
const NOT_BEGUN: [&str; 11] = [
    "NOSCRIPT",
    "NOAUTH",
    "READONLY",
    "MASTERDOWN",
    "LOADING",
    "BUSY",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "WRONGPASS",
    "CLUSTERDOWN",
];

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// What was asked is certainly not done, and never will be.
    NotDone(String),
    /// It may have been done, or may still be.
    Unknown(String),
}

impl Fault {
    pub(super) fn why(&self) -> &str {
        match self {
            Self::NotDone(why) | Self::Unknown(why) => why,
        }
    }
}

/// How many replicas have to have acknowledged a change, and within what time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quorum {
    pub(super) replicas: u32,
    pub(super) within: Duration,
}

/// What is asked behind a script, in the same breath.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behind {
    /// ROLE: a server that was made a replica still answers what only reads, out of date.
    Role,
    /// WAIT; how many have acknowledged is for the caller to judge.
    Wait(Quorum),
    /// A server that was made a replica refuses changes by itself.
    Nothing,
}

/// See the module. What was not sent when the last one who has it lets go is never sent.
pub(super) struct Link {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
    is_given_up: AtomicBool,
    /// `HOST:PORT`.
    pub(super) at: Arc<str>,
    /// Which of the servers that were the primary one after the other: see `Links`.
    pub(super) view: u64,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Speaks RESP2 on a stream, and logs in. `answers_within`: the longest that any answer may
    /// take; who asks gives up sooner.
    pub(super) async fn new(
        stream: Stream,
        at: Arc<str>,
        answers_within: Duration,
    ) -> Result<Self, RedisError> {
        // Nothing is sent by the library itself: what the server says to AUTH is wanted as it is.
        let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(answers_within));
        let opened = MultiplexedConnection::new_with_config(&bare, stream, config).await;
        let (connection, driver) = opened?;
        let is_given_up = AtomicBool::new(false);
        Ok(Self { connection, driver: tokio::spawn(driver), is_given_up, at, view: 0 })
    }

    /// AUTH, SELECT, CLIENT SETNAME, as far as there is anything to say.
    pub(super) async fn log_in(
        &self,
        login: &Login,
        database: u32,
        name: &str,
    ) -> Result<(), String> {
        let auth = match (&login.user, &login.password) {
            (Some(user), password) => {
                let password = password.as_deref().map_or("", String::as_str);
                Some(redis::cmd("AUTH").arg(user).arg(password).to_owned())
            }
            (None, Some(password)) => Some(redis::cmd("AUTH").arg(password.as_str()).to_owned()),
            (None, None) => None,
        };
        if let Some(auth) = auth {
            self.ask(&auth).await?;
        }
        if database != 0 {
            self.ask(redis::cmd("SELECT").arg(database)).await?;
        }
        // For people who look at CLIENT LIST; a server that does not allow it is as good.
        let _ = self.ask(redis::cmd("CLIENT").arg("SETNAME").arg(name)).await;
        Ok(())
    }

    /// One command; an answer that is an error is an error.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, String> {
        match self.connection.clone().send_packed_command(command).await {
            Ok(Value::ServerError(error)) => Err(words(&error.into())),
            Ok(answer) => Ok(answer),
            Err(error) => {
                if !is_said(&error) {
                    self.give_up();
                }
                Err(words(&error))
            }
        }
    }

    /// Whether it is worth asking something.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_given_up.load(Ordering::Acquire) && !self.driver.is_finished()
    }

    /// It is not used for anything that has not begun.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
    }

    /// Runs a script. The second answer is how many replicas have acknowledged what it has
    /// changed; 0 where none were asked.
    pub(super) async fn run(
        &self,
        script: &Script,
        call: &Call,
        behind: Behind,
        until: Instant,
    ) -> Result<(Answer, u32), Fault> {
        let mut answers = self.send(script.command(call, true), behind, until).await?;
        if matches!(&answers[0], Err(Fault::NotDone(why)) if why.starts_with("NOSCRIPT")) {
            answers = self.send(script.command(call, false), behind, until).await?;
        }
        let mut answers = answers.into_iter();
        let first =
            answers.next().unwrap_or_else(|| Err(Fault::Unknown("no answer".to_owned())))?;
        let strange = || Fault::Unknown(format!("{}: it answers what no script says", self.at));
        let answer = Answer::read(first).ok_or_else(strange)?;
        let acknowledged = match (behind, answers.next()) {
            (Behind::Nothing, _) => 0,
            (Behind::Wait(_), Some(Ok(Value::Int(count)))) => u32::try_from(count).unwrap_or(0),
            (Behind::Role, Some(Ok(role))) if is_primary(&role) => 0,
            (Behind::Role, Some(Ok(_))) => {
                self.give_up();
                return Err(Fault::Unknown(format!("{} is not the primary any more", self.at)));
            }
            (_, Some(Err(fault))) => {
                return Err(Fault::Unknown(format!("{}: {}", self.at, fault.why())));
            }
            (Behind::Wait(_), _) | (_, None) => return Err(strange()),
        };
        Ok((answer, acknowledged))
    }

    /// One answer for each command, at least one.
    async fn send(
        &self,
        command: Cmd,
        behind: Behind,
        until: Instant,
    ) -> Result<Vec<Result<Value, Fault>>, Fault> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(command);
        let mut until = until;
        match behind {
            Behind::Nothing => {}
            Behind::Role => {
                pipeline.cmd("ROLE");
            }
            Behind::Wait(Quorum { replicas, within }) => {
                pipeline.cmd("WAIT").arg(replicas).arg(milliseconds(within));
                until += within;
            }
        }
        let count = pipeline.len();
        let mut connection = self.connection.clone();
        let sending = connection.send_packed_commands(&pipeline, 0, count);
        match timeout_at(until, sending).await {
            Ok(Ok(values)) if values.len() == count => {
                Ok(values.into_iter().map(|value| self.sort(value)).collect())
            }
            Ok(Ok(_)) => Err(Fault::Unknown(format!("{}: answers are missing", self.at))),
            Ok(Err(error)) => {
                self.give_up();
                Err(Fault::Unknown(format!("{}: {}", self.at, words(&error))))
            }
            Err(_) => {
                self.give_up();
                Err(Fault::Unknown(format!("{} does not answer in time", self.at)))
            }
        }
    }

    fn sort(&self, value: Value) -> Result<Value, Fault> {
        let Value::ServerError(error) = value else { return Ok(value) };
        let fault = fault(words(&error.into()));
        if fault.why().contains("READONLY") {
            self.give_up();
        }
        Err(fault)
    }
}

/// Whether that is what a primary answers to ROLE.
fn is_primary(role: &Value) -> bool {
    parts(role).first().and_then(text) == Some("master")
}

/// By what the server says in refusing.
fn fault(why: String) -> Fault {
    let is_begun = !NOT_BEGUN.iter().any(|word| why.starts_with(word));
    // Of a right that lacks, a script learns in the middle; of EVALSHA itself, before.
    let is_refused = why.starts_with("NOPERM") && (why.contains("eval") || why.contains("EVAL"));
    if is_begun && !is_refused { Fault::Unknown(why) } else { Fault::NotDone(why) }
}

/// Whether it is an error that the server has put in words, on a connection that goes on.
fn is_said(error: &RedisError) -> bool {
    error.code().is_some() && !error.is_io_error() && !error.is_connection_dropped()
}

/// An error as the server has put it, `CODE text`, or as the library has.
pub(super) fn words(error: &RedisError) -> String {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        _ => error.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect()
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

//! A leader's session: statements one after the other, and one that freezes half-way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::dsn::Dsn;
use crate::net::connect::ClientTls;
use crate::net::stream::Stream;
use crate::protocol::postgres::codec::frame::{self, HEADER_BYTES, Side};
use crate::protocol::postgres::codec::message::read::{self, ErrorFields};
use crate::protocol::postgres::codec::message::write;
use crate::protocol::postgres::upstream::{
    Connector, Endpoint, Login, TargetSessionAttrs, Upstream,
};

/// The parameter that carries the token.
pub(super) const TOKEN: &str = "palisade.token";
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a session may take to begin: a takeover may have to wait for the leader before.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a statement may take to be answered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a message of the server that are taken.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Between the first half of a frozen statement and whatever comes next: by then it has arrived.
const FREEZE_PAUSE: Duration = Duration::from_millis(250);

/// A way to have sessions.
#[derive(Clone)]
pub(super) struct Client {
    connector: Arc<Connector>,
    role: String,
    database: String,
    token: Option<u64>,
}

/// A session, between two statements.
pub(super) struct Session {
    stream: Stream,
}

/// A statement of which the second half has not been sent.
pub(super) struct Frozen {
    session: Session,
    rest: Vec<u8>,
}

/// What came of a statement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// Its rows, and what was done: `UPDATE 1`.
    Done(Vec<Vec<String>>, String),
    /// It was refused.
    Refused(Refused),
}

/// An error as the server, or Palisade in its place, has put it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{severity} {code}: {message}")]
pub(super) struct Refused {
    severity: String,
    /// SQLSTATE.
    pub(super) code: String,
    message: String,
}

impl Client {
    /// A client of the server itself, or of what stands in front of it at `endpoint`; with a
    /// token where that knows of tokens.
    pub(super) fn new(
        dsn: &Dsn,
        endpoint: Endpoint,
        tls: Option<ClientTls>,
        token: Option<u64>,
    ) -> anyhow::Result<Self> {
        let connector = connector(dsn, endpoint, tls)?;
        let (role, database) = (dsn.role.clone(), dsn.database.clone());
        Ok(Self { connector, role, database, token })
    }

    /// Logs in. Where the token is understood, this is where it is brought.
    pub(super) async fn open(&self) -> anyhow::Result<Session> {
        let mut parameters = vec![("application_name".to_owned(), "palisade demo".to_owned())];
        parameters.extend(self.token.map(|token| (TOKEN.to_owned(), token.to_string())));
        let backend = self.connector.log_in(&self.role, &self.database, &parameters).await?;
        Ok(Session { stream: backend.stream })
    }
}

/// Makes connections to one place with the DSN's account.
pub(super) fn connector(
    dsn: &Dsn,
    endpoint: Endpoint,
    tls: Option<ClientTls>,
) -> anyhow::Result<Arc<Connector>> {
    let roles = [(dsn.role.clone(), dsn.password.clone())].into_iter().collect();
    let upstream = Upstream {
        name: "demo".into(),
        endpoints: vec![endpoint],
        target: TargetSessionAttrs::Any,
        tls,
        connect_timeout: CONNECT_TIMEOUT,
        login_timeout: LOGIN_TIMEOUT,
        login: Login::Held { roles },
        // There is no control connection on this one.
        control_role: dsn.role.clone(),
        control_password: dsn.password.clone(),
        control_database: dsn.database.clone(),
        replica: "demo".into(),
        check_interval: CONNECT_TIMEOUT,
    };
    Ok(Arc::new(Connector::new(Arc::new(upstream))?))
}

impl Session {
    /// Runs a statement whose rows are texts.
    ///
    /// # Errors
    /// It is refused, or the session is over.
    pub(super) async fn query(&mut self, text: &str) -> anyhow::Result<Vec<Vec<String>>> {
        let mut message = Vec::new();
        write::query(&mut message, text);
        self.stream.write_all(&message).await?;
        self.stream.flush().await?;
        match self.answer().await? {
            Answer::Done(rows, _) => Ok(rows),
            Answer::Refused(refused) => Err(refused.into()),
        }
    }

    /// Ends it in order, so that the server's log has no complaint.
    pub(super) async fn close(mut self) {
        let mut message = Vec::new();
        write::terminate(&mut message);
        // Whoever has ended it already needs no goodbye.
        if self.stream.write_all(&message).await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }

    /// Sends the first half of a statement, and stops there.
    pub(super) async fn freeze(mut self, text: &str) -> anyhow::Result<Frozen> {
        let mut message = Vec::new();
        write::query(&mut message, text);
        let rest = message.split_off(message.len() / 2);
        self.stream.write_all(&message).await?;
        self.stream.flush().await?;
        tokio::time::sleep(FREEZE_PAUSE).await;
        Ok(Frozen { session: self, rest })
    }

    async fn answer(&mut self) -> anyhow::Result<Answer> {
        let answer = timeout(ANSWER_TIMEOUT, self.read_answer()).await;
        answer.context("waiting for the answer to a statement")?
    }

    async fn read_answer(&mut self) -> anyhow::Result<Answer> {
        let (mut rows, mut done, mut refused) = (Vec::new(), String::new(), None);
        loop {
            let (tag, body) = match self.message().await {
                Ok(message) => message,
                // After a FATAL error there is nothing more.
                Err(error) => return refused.map(Answer::Refused).ok_or(error),
            };
            match tag {
                b'D' => {
                    let text = |value: Option<&[u8]>| {
                        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
                    };
                    rows.push(read::data_row(&body)?.into_iter().map(text).collect());
                }
                b'C' => {
                    done = String::from_utf8_lossy(read::command_complete(&body)?).into_owned();
                }
                b'E' => {
                    let fields = ErrorFields::parse(&body)?;
                    refused = Some(Refused {
                        severity: fields.severity.to_string(),
                        code: fields.code.to_string(),
                        message: fields.message.to_string(),
                    });
                }
                b'Z' => {
                    return Ok(refused.map_or(Answer::Done(rows, done), Answer::Refused));
                }
                _ => {}
            }
        }
    }

    async fn message(&mut self) -> anyhow::Result<(u8, Vec<u8>)> {
        let mut header = [0; HEADER_BYTES];
        self.stream.read_exact(&mut header).await.context("the session has ended")?;
        let header = frame::header(Side::Server, &header)?.context("a header in part")?;
        anyhow::ensure!(header.len <= MESSAGE_BYTES_MAX, "the server sends too long a message");
        let mut body = vec![0; header.len];
        self.stream.read_exact(&mut body).await.context("the session has ended")?;
        Ok((header.tag, body))
    }
}

impl Frozen {
    /// Sends the rest, and returns what came of it.
    pub(super) async fn thaw(mut self) -> anyhow::Result<Answer> {
        let stream = &mut self.session.stream;
        // Whoever has ended the session does not take the rest; what it said tells why.
        if stream.write_all(&self.rest).await.is_ok() {
            let _ = stream.flush().await;
        }
        let answer = self.session.answer().await;
        self.session.close().await;
        answer
    }
}

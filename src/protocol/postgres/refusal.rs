//! Everything that Palisade itself answers with, in one table: SQLSTATE, reason, mend.
//!
//! What is final has a SQLSTATE of a class of our own, `PF`, which no driver tries again: never
//! 40001, nor class 57 or 08. What may be tried again has the server's own, for the same.

use std::borrow::Cow;
use std::sync::Arc;

use super::codec::message::write::{self, Report, Severity};
use crate::fence::{Action, Holder, Mark, Refusal, Resource, Token, TokenError};

/// Why Palisade answers in the server's place.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Denial {
    /// The process ends.
    #[error("palisade shuts down")]
    Ending,
    /// The fence says no.
    #[error(transparent)]
    Fence(#[from] Refusal),
    /// The server at which the session is, is the primary no longer.
    #[error("the server of this session is not the primary any more")]
    Moved,
    /// Without TLS nobody knows who it is.
    #[error("this port speaks TLS with client certificates only")]
    NoTls,
    /// No rule matches.
    #[error("no rule covers database \"{database}\" and role \"{role}\"{}", named(resource.as_deref()))]
    NoRule {
        /// The database.
        database: String,
        /// The role that the client named.
        role: String,
        /// The resource that it named.
        resource: Option<String>,
    },
    /// A statement about Palisade's own settings that is not understood.
    #[error("{0}")]
    OwnStatement(&'static str),
    /// What came is not the protocol, or not as it is spoken here.
    #[error("{what}")]
    Protocol {
        /// What is wrong.
        what: String,
        /// What to do.
        mend: &'static str,
    },
    /// A write in a session that may only read.
    #[error("this session may only read: {reason}")]
    ReadOnly {
        /// What it was, and why it counts as a write.
        reason: String,
        /// Whether a token would help.
        lacks_token: bool,
    },
    /// A replication connection where the rule allows none.
    #[error("the rule allows no replication connections")]
    Replication,
    /// The server is too old to hold a session read-only.
    #[error(
        "the server cannot say that a session is held read-only: it is older than PostgreSQL 14"
    )]
    ServerTooOld,
    /// The token cannot be read.
    #[error("palisade.token: {0}")]
    TokenMalformed(TokenError),
    /// Brought twice.
    #[error("{0} is there twice")]
    Twice(&'static str),
    /// The session with a shared ledger is over, and with it all that was admitted under it.
    #[error("palisade has lost its session with the ledger")]
    Suspended,
    /// A session that needs a token has none.
    #[error("there is no palisade.token")]
    TokenRequired,
    /// The server ended the session, or its connection was lost, while something ran.
    #[error("the connection to the server was lost while a statement ran")]
    Unknown,
    /// No session could be had at the server. Nothing was done.
    #[error("the server cannot be used now: {0}")]
    Unavailable(String),
    /// Something about the credentials or the setup, which only an operator can mend.
    #[error("palisade could not log in to the server: {0}")]
    Login(String),
}

/// What became of the last thing that ran in a session that is ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// Nothing ran, and no transaction was open.
    Nothing,
    /// It is in the database.
    Committed,
    /// Nothing of it is.
    RolledBack,
    /// Nobody can tell.
    Unknown,
}

/// A denial, with what is known of what was asked.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) denial: Denial,
    pub(super) resource: Option<Resource>,
    pub(super) rule: Option<Arc<str>>,
    pub(super) token: Option<Token>,
    pub(super) mark: Option<Mark>,
    pub(super) outcome: Outcome,
}

/// One row of the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) sqlstate: &'static str,
    /// A short stable word, for metrics and the audit log.
    pub(super) reason: &'static str,
    /// What to do.
    pub(super) mend: Cow<'static, str>,
}

impl Outcome {
    /// The word of the audit log.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nothing | Self::RolledBack => "not_applied",
            Self::Committed => "applied",
            Self::Unknown => "unknown",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Committed => "; the last statement was committed",
            Self::RolledBack => "; what was not committed was rolled back",
            Self::Unknown => {
                "; nobody can tell whether the last statement was committed: read before you write"
            }
        }
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let (resource, rule, token, mark) = (None, None, None, None);
        Self { denial, resource, rule, token, mark, outcome: Outcome::Nothing }
    }
}

impl Problem {
    /// The mark that it shows, from wherever it is known.
    pub(super) fn shown_mark(&self) -> Option<Mark> {
        match &self.denial {
            Denial::Fence(Refusal::Stale { mark, .. }) => Some(mark.clone()),
            Denial::Fence(Refusal::Conflict { token, holder }) => {
                Some(Mark { token: *token, holder: holder.clone() })
            }
            Denial::Fence(Refusal::Implausible { mark, .. }) => {
                Some(Mark { token: *mark, holder: Holder::new("") })
            }
            _ => self.mark.clone(),
        }
    }

    /// As a whole ErrorResponse.
    pub(super) fn error(&self, severity: Severity) -> Vec<u8> {
        let row = self.denial.row();
        let text = format!("palisade: {}{}", self.denial, self.outcome.sentence());
        let mut detail = Vec::new();
        if let Some(resource) = &self.resource {
            detail.push(format!("resource {resource}"));
        }
        if let Some(token) = self.token {
            detail.push(format!("token {token}"));
        }
        if let Some(mark) = self.shown_mark() {
            detail.push(format!("mark {}", mark.token));
            if !mark.holder.as_str().is_empty() {
                detail.push(format!("holder {}", mark.holder));
            }
        }
        let detail = (!detail.is_empty()).then(|| detail.join(", "));
        let mut bytes = Vec::new();
        let report = Report {
            severity,
            sqlstate: row.sqlstate,
            message: &text,
            detail: detail.as_deref(),
            hint: Some(&row.mend),
        };
        write::error(&mut bytes, &report);
        bytes
    }
}

impl Denial {
    /// Why a session ends whose token is good for nothing any more.
    pub(super) fn over(why: Option<Refusal>) -> Self {
        match why {
            Some(stale @ Refusal::Stale { .. }) => Self::Fence(stale),
            Some(Refusal::LedgerUnavailable) => Self::Suspended,
            _ => Self::Ending,
        }
    }

    /// Its row of the table.
    pub(super) fn row(&self) -> Row {
        let row =
            |sqlstate, reason, mend: &'static str| Row { sqlstate, reason, mend: mend.into() };
        match self {
            Self::Ending => row("57P01", "ending", "connect again"),
            Self::Fence(refusal) => refused(refusal),
            Self::Moved => row("57P01", "moved", "connect again: the new primary will answer"),
            Self::NoTls => {
                row("28000", "no_tls", "set sslmode=verify-full, sslcert, sslkey and sslrootcert")
            }
            Self::NoRule { .. } => {
                row("PF006", "no_rule", "add [[resources]] with a path for /DATABASE/ROLE")
            }
            Self::OwnStatement(_) => row(
                "PF010",
                "own_statement",
                "send SET palisade.token = 'N' or SHOW palisade.token, alone and outside of a transaction",
            ),
            Self::Protocol { mend, .. } => row("08P01", "malformed", mend),
            Self::ReadOnly { lacks_token: true, .. } => row(
                "PF009",
                "read_only",
                "bring the token that you were elected with: palisade.token in the DSN, or SET palisade.token",
            ),
            Self::ReadOnly { .. } => {
                row("PF009", "read_only", "the rule names who may write this resource")
            }
            Self::Replication => {
                row("PF006", "forbidden", "write `replication = true` in the rule, if it may")
            }
            Self::ServerTooOld => row(
                "PF009",
                "read_only",
                "bring a token, or upgrade the server to PostgreSQL 14 or later",
            ),
            Self::Suspended => row(
                "57P03",
                "ledger_unavailable",
                "connect again: another replica will answer, or this one once the ledger is in reach",
            ),
            Self::TokenMalformed(_) => {
                row("PF005", "token_malformed", "send a decimal number such as 42")
            }
            Self::Twice(_) => row("PF005", "token_malformed", "send it once"),
            Self::TokenRequired => row(
                "PF004",
                "token_required",
                "add palisade.token=N to the DSN, or options='-c palisade.token=N'",
            ),
            Self::Unknown => {
                row("PF008", "outcome_unknown", "read the state before you write again")
            }
            Self::Unavailable(_) => row("57P03", "upstream_unavailable", "try again"),
            Self::Login(_) => row(
                "PF011",
                "login",
                "an operator has to look at Palisade's log and at the upstream's roles",
            ),
        }
    }
}

fn refused(refusal: &Refusal) -> Row {
    let (sqlstate, mend): (_, &'static str) = match refusal {
        Refusal::Conflict { .. } => (
            "PF002",
            "find out why two leaders were elected with one token; only its holder may use it",
        ),
        Refusal::Forbidden { action: Action::Raise } => {
            ("PF006", "name the identity in `raise` of the rule, if it may take over")
        }
        Refusal::Forbidden { .. } => ("PF006", "name the identity in the rule, if it may"),
        Refusal::Implausible { .. } => {
            ("PF003", "bring the token of the election, or raise max_jump of the rule")
        }
        Refusal::LedgerUnavailable => ("57P03", "try again"),
        Refusal::Overloaded { .. } => ("53300", "try again"),
        Refusal::Stale { .. } => {
            ("PF001", "stop: a newer leader holds the resource; do not try again with this token")
        }
        Refusal::Unsettled => (
            "57P03",
            "try again with the same token: sessions of the leader before are still being ended",
        ),
    };
    Row { sqlstate, reason: refusal.reason(), mend: mend.into() }
}

fn named(resource: Option<&str>) -> String {
    resource.map_or_else(String::new, |resource| format!(" with resource \"{resource}\""))
}

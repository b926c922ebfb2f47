//! Everything that Palisade itself answers with, in one table: error word, reason, mend.
//!
//! What is final has a word of our own, which no client tries again by itself; what may be tried
//! again says TRYAGAIN, Redis's own word for that.

use std::sync::Arc;

use super::codec::write;
use crate::fence::{Action, Holder, Mark, Refusal, Resource, Token, TokenError};

/// Why Palisade answers in the server's place.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Denial {
    /// An administrative command of somebody who may not administer.
    #[error("{0} is administrative, and no rule for every key names this identity in `administer`")]
    Admin(String),
    /// An argument of a command that Palisade itself answers.
    #[error("{0}")]
    Argument(String),
    /// What Redis itself would answer.
    #[error("{0}")]
    AsRedis(String),
    /// A transaction of which a command was refused.
    #[error("transaction discarded because of previous errors")]
    Aborted,
    /// The process ends.
    #[error("palisade shuts down")]
    Ending,
    /// What it touches cannot be told apart from everything, and that cannot be admitted.
    #[error("{command} writes to everything, and {why}")]
    Everything {
        /// The command.
        command: String,
        /// Why not everything can be admitted.
        why: String,
    },
    /// The fence says no.
    #[error(transparent)]
    Fence(#[from] Refusal),
    /// Palisade could not log in, or the server is none that it can stand in front of.
    #[error("palisade cannot use the server: {0}")]
    Login(String),
    /// The server of this connection is not the primary any more.
    #[error("the server of this connection is not the primary any more")]
    Moved,
    /// A key or a channel that no rule covers.
    #[error("no rule covers {0}")]
    NoRule(String),
    /// What is never forwarded.
    #[error("{0}")]
    Never(&'static str),
    /// Not the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// A script, where the rule wants none.
    #[error("the rule refuses scripts")]
    Script,
    /// The keys are behind more bytes than are held.
    #[error("the keys of {command} are not within the first {bytes_max} bytes of it")]
    TooLong {
        /// The command.
        command: String,
        /// `command_bytes_max`.
        bytes_max: usize,
    },
    /// The session with a shared ledger is over, and with it all that was admitted under it.
    #[error("palisade has lost its session with the ledger")]
    Suspended,
    /// The token cannot be read.
    #[error("token \"{0}\": {1}")]
    TokenMalformed(String, TokenError),
    /// There is none where one is needed.
    #[error("{0} needs a token")]
    TokenRequired(&'static str),
    /// The connection to the server was lost while something ran.
    #[error("the connection to the server was lost before it answered")]
    Unknown,
    /// A client that only sends.
    #[error("none of palisade's answers were read within unread_timeout")]
    Unread,
    /// No connection could be had. Nothing was done.
    #[error("the server cannot be used now: {0}")]
    Unavailable(String),
}

/// What became of what was sent and not answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// Nothing of it is done, nor will be.
    Nothing,
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
    pub(super) command: Option<String>,
    /// Who asked.
    pub(super) identity: Option<Arc<str>>,
    pub(super) outcome: Outcome,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Row {
    /// The first word of the error.
    pub(super) word: &'static str,
    /// A short stable word, for metrics and the audit log.
    pub(super) reason: &'static str,
    /// What to do.
    pub(super) mend: &'static str,
}

impl Outcome {
    /// The word of the audit log.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "not_applied",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let (resource, rule, token, command, identity) = (None, None, None, None, None);
        Self { denial, resource, rule, token, command, identity, outcome: Outcome::Nothing }
    }
}

impl Problem {
    /// The mark that it shows.
    pub(super) fn mark(&self) -> Option<Mark> {
        match &self.denial {
            Denial::Fence(Refusal::Stale { mark, .. }) => Some(mark.clone()),
            Denial::Fence(Refusal::Conflict { token, holder }) => {
                Some(Mark { token: *token, holder: holder.clone() })
            }
            Denial::Fence(Refusal::Implausible { mark, .. }) => {
                Some(Mark { token: *mark, holder: Holder::new("") })
            }
            _ => None,
        }
    }

    /// As an error of the protocol.
    pub(super) fn error(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Denial::AsRedis(text) = &self.denial {
            write::error(&mut bytes, text);
            return bytes;
        }
        let Row { mut word, mut mend, .. } = self.denial.row();
        let is_unknown = self.outcome == Outcome::Unknown;
        if is_unknown {
            // Whatever the reason is: who reads only the word has to know this.
            Row { word, mend, .. } = Denial::Unknown.row();
        }
        let mut text = format!("{word} palisade: {}", self.denial);
        let mut facts = Vec::new();
        if let Some(identity) = self.identity.as_ref().filter(|_| word == "NOPERM") {
            facts.push(format!("identity {identity}"));
        }
        if let Some(resource) = &self.resource {
            facts.push(format!("resource {resource}"));
        }
        if let Some(token) = self.token {
            facts.push(format!("token {token}"));
        }
        if let Some(mark) = self.mark() {
            facts.push(format!("mark {}", mark.token));
            if !mark.holder.as_str().is_empty() {
                facts.push(format!("holder {}", mark.holder));
            }
        }
        if !facts.is_empty() {
            text.push_str(&format!(" ({})", facts.join(", ")));
        }
        text.push_str("; ");
        if is_unknown {
            text.push_str("nobody can tell whether what was sent last was done: ");
        }
        text.push_str(mend);
        write::error(&mut bytes, &text);
        bytes
    }
}

impl Denial {
    /// Why a connection ends whose token is good for nothing any more.
    pub(super) fn over(why: Option<Refusal>) -> Self {
        match why {
            Some(stale @ Refusal::Stale { .. }) => Self::Fence(stale),
            Some(Refusal::LedgerUnavailable) => Self::Suspended,
            _ => Self::Ending,
        }
    }

    /// Its row of the table.
    pub(super) fn row(&self) -> Row {
        let row = |word, reason, mend| Row { word, reason, mend };
        match self {
            Self::Admin(_) => {
                row("NOPERM", "admin", "use the server itself, or name the identity there")
            }
            Self::Argument(_) => row("ERR", "argument", "PALISADE HELP tells the commands"),
            Self::AsRedis(_) => row("ERR", "argument", ""),
            Self::Aborted => row("EXECABORT", "aborted", "see the errors before"),
            Self::Ending => row("TRYAGAIN", "ending", "connect again"),
            Self::Everything { .. } => row(
                "NOPERM",
                "everything",
                "use the server itself, or a rule whose one resource is every key",
            ),
            Self::Fence(refusal) => refused(refusal),
            Self::Login(_) => row(
                "NOPERM",
                "login",
                "an operator has to look at Palisade's log and at the upstream's configuration",
            ),
            Self::Moved => row("TRYAGAIN", "moved", "connect again: the new primary will answer"),
            Self::NoRule(_) => row("NOPERM", "no_rule", "add [[resources]] with `keys` for it"),
            Self::Never(_) => row("NOPERM", "never", "leave it out"),
            Self::Protocol(_) => {
                row("ERR", "malformed", "upgrade the client's library, or tell what it sends")
            }
            Self::Script => {
                row("NOPERM", "script", "write `scripts = \"declared\"` in the rule, if it may")
            }
            Self::Suspended => row(
                "TRYAGAIN",
                "ledger_unavailable",
                "connect again: another replica will answer, or this one once the ledger is in reach",
            ),
            Self::TooLong { .. } => {
                row("NOPERM", "too_long", "send fewer keys at once, or raise command_bytes_max")
            }
            Self::TokenMalformed(..) => {
                row("BADTOKEN", "token_malformed", "send a decimal number such as 42")
            }
            Self::TokenRequired(_) => row(
                "NOTOKEN",
                "token_required",
                "bring the one you were elected with: token=N as the user name, or PALISADE TOKEN N",
            ),
            Self::Unknown => {
                row("UNKNOWN", "outcome_unknown", "read the state before you write again")
            }
            Self::Unread => {
                row("ERR", "unread", "read the answers while you send, or send fewer at once")
            }
            Self::Unavailable(_) => row("TRYAGAIN", "upstream_unavailable", "try again"),
        }
    }
}

fn refused(refusal: &Refusal) -> Row {
    let (word, mend) = match refusal {
        Refusal::Conflict { .. } => (
            "CONFLICT",
            "find out why two leaders were elected with one token; only its holder may use it",
        ),
        Refusal::Forbidden { action: Action::Raise } => {
            ("NOPERM", "name the identity in `raise` of the rule, if it may take over")
        }
        Refusal::Forbidden { .. } => ("NOPERM", "name the identity in the rule, if it may"),
        Refusal::Implausible { .. } => {
            ("IMPLAUSIBLE", "bring the token of the election, or raise max_jump of the rule")
        }
        Refusal::LedgerUnavailable | Refusal::Overloaded { .. } => ("TRYAGAIN", "try again"),
        Refusal::Stale { .. } => {
            ("FENCED", "stop: a newer leader holds the resource; do not try again with this token")
        }
        Refusal::Unsettled => (
            "TRYAGAIN",
            "try again with the same token: writes of the leader before are still being ended",
        ),
    };
    Row { word, reason: refusal.reason(), mend }
}

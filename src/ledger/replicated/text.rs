//! How a row of a shared ledger is written: one line of JSON, to be read by hand too.
//!
//! ```json
//! {"v":1,"mark":"42","holder":"spiffe://x","grants":{"r1#7":"42"},
//!  "history":[{"token":"42","holder":"spiffe://x","at":"2026-11-21T23:00:00.123Z"}]}
//! ```
//!
//! What cannot be read is an error, never a mark of 0.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize, Serializer};

use crate::fence::{Holder, Mark, Row, SessionId, Token};
use crate::ledger::{HISTORY_MAX, Raised};

/// Bumped when rows change so that older programs cannot read them.
const VERSION: u64 = 1;
/// The largest text of a row, in bytes: a row with more grants or longer names is not written.
pub const TEXT_MAX_BYTES: usize = 512 << 10;

/// What is kept of a resource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Kept {
    /// The mark and the grants.
    pub row: Arc<Row>,
    /// The latest raises, oldest first.
    pub history: Vec<Raised>,
}

/// Why a text is not a row.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextError {
    /// A later version may mean something else by the same words.
    #[error(
        "a newer palisade wrote it (version {0}, and this program knows {VERSION}); \
         upgrade this replica"
    )]
    Newer(u64),
    /// It is not what this program writes.
    #[error("{0}")]
    Damaged(String),
    /// It would be, or is, too large.
    #[error("it has more than {TEXT_MAX_BYTES} bytes")]
    TooLarge,
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "v")]
    _version: u64,
    mark: String,
    holder: String,
    grants: BTreeMap<String, String>,
    history: Vec<ReadRaised>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadRaised {
    token: String,
    holder: String,
    at: String,
}

#[derive(Serialize)]
struct Written<'a> {
    v: u64,
    mark: String,
    holder: &'a str,
    #[serde(serialize_with = "grants")]
    grants: &'a BTreeMap<SessionId, Token>,
    history: Vec<WrittenRaised<'a>>,
}

#[derive(Serialize)]
struct WrittenRaised<'a> {
    token: String,
    holder: &'a str,
    at: String,
}

fn grants<S: Serializer>(grants: &BTreeMap<SessionId, Token>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(grants.iter().map(|(session, at)| (session.to_string(), at.to_string())))
}

impl Kept {
    /// Remembers a raise that was just done.
    pub fn remember(&mut self, at: SystemTime) {
        let Mark { token, holder } = self.row.mark.clone();
        self.history.push(Raised { token, holder, at });
        self.forget_oldest();
    }

    /// Keeps as many raises as are kept.
    pub fn forget_oldest(&mut self) {
        let superfluous = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..superfluous);
    }

    /// About how much memory it takes.
    pub fn size_bytes(&self) -> usize {
        let holders = self.history.iter().map(|raised| raised.holder.as_str().len() + 64);
        let grants = self.row.grants.keys().map(|session| session.replica().len() + 64);
        self.row.mark.holder.as_str().len() + holders.sum::<usize>() + grants.sum::<usize>()
    }

    /// As it is written.
    ///
    /// # Errors
    /// When it is too large.
    pub fn encode(&self) -> Result<Vec<u8>, TextError> {
        let kept = &self.history[self.history.len().saturating_sub(HISTORY_MAX)..];
        let history = kept.iter().map(|raised| WrittenRaised {
            token: raised.token.to_string(),
            holder: raised.holder.as_str(),
            at: time(raised.at),
        });
        let written = Written {
            v: VERSION,
            mark: self.row.mark.token.to_string(),
            holder: self.row.mark.holder.as_str(),
            grants: &self.row.grants,
            history: history.collect(),
        };
        let text = serde_json::to_vec(&written).map_err(damaged)?;
        if text.len() > TEXT_MAX_BYTES { Err(TextError::TooLarge) } else { Ok(text) }
    }

    /// What a text says.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub fn decode(text: &[u8]) -> Result<Self, TextError> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(TextError::TooLarge);
        }
        match serde_json::from_slice(text).map_err(damaged)? {
            Version { v: VERSION } => {}
            Version { v: 0 } => return Err(TextError::Damaged("its version is 0".into())),
            Version { v } => return Err(TextError::Newer(v)),
        }
        let read: Read = serde_json::from_slice(text).map_err(damaged)?;
        let mark = Mark { token: token(&read.mark)?, holder: Holder::new(read.holder) };
        let mut row = Row { mark, grants: BTreeMap::new() };
        for (session, at) in read.grants {
            let (session, at) = (session.parse().map_err(damaged)?, token(&at)?);
            if at == Token::ZERO || at > row.mark.token {
                return Err(TextError::Damaged(format!(
                    "the grant of {session} is not within the mark"
                )));
            }
            row.grants.insert(session, at);
        }
        if read.history.len() > HISTORY_MAX {
            return Err(TextError::Damaged(format!("it tells of more than {HISTORY_MAX} raises")));
        }
        let history = read.history.into_iter().map(|raised| {
            let ReadRaised { token: text, holder, at } = raised;
            let at: jiff::Timestamp = at.parse().map_err(damaged)?;
            Ok(Raised { token: token(&text)?, holder: Holder::new(holder), at: at.into() })
        });
        Ok(Self { row: Arc::new(row), history: history.collect::<Result<_, TextError>>()? })
    }
}

/// A moment of the wall clock, in milliseconds.
pub fn time(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// Also a mark that no writer can bring: 0 of a row that was never raised, `1.0` after a reset.
fn token(text: &str) -> Result<Token, TextError> {
    Token::recorded(text).map_err(|error| TextError::Damaged(format!("`{text:.40}`: {error}")))
}

fn damaged(error: impl std::fmt::Display) -> TextError {
    TextError::Damaged(error.to_string())
}

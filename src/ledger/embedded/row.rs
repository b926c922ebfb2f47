//! How the record and the history of a resource look on disk.
//!
//! ```text
//! version u8 = 1
//! mark     token, holder
//! grant    token
//! count u8, then as many raises, oldest first: token, at_ms u64, holder
//! check    8 bytes: the first of SHA-256 over the key and all before
//!
//! token    incarnation u32, counter u64
//! holder   length u16, UTF-8
//! ```
//!
//! Little-endian. The check covers the key, so that a row that turns up under another name
//! is not believed either. It guards against damage, not against an author.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{Context, SHA256};

use crate::fence::{Holder, Mark, Record, Token};
use crate::ledger::{HISTORY_MAX, Raised};

const VERSION: u8 = 1;
const CHECK_LEN_BYTES: usize = 8;

/// What is kept of a resource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) record: Record,
    pub(super) history: Vec<Raised>,
}

/// Why bytes are not a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum RowError {
    #[error("its checksum does not match")]
    Checksum,
    #[error("its parts contradict each other")]
    Contradiction,
    #[error("it is too short")]
    Short,
    #[error("it has the version {0}, and this program knows {VERSION}")]
    Version(u8),
}

impl Row {
    /// Moves the mark up and remembers it. The caller has compared.
    pub(super) fn raise(&mut self, to: &Mark, quiesced: bool, at: SystemTime) {
        self.record.mark = to.clone();
        if quiesced {
            self.record.grant = to.token;
        }
        if self.history.len() >= HISTORY_MAX {
            self.history.drain(..=self.history.len() - HISTORY_MAX);
        }
        self.history.push(Raised { token: to.token, holder: to.holder.clone(), at });
    }

    pub(super) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put_token(&mut bytes, self.record.mark.token);
        put_holder(&mut bytes, &self.record.mark.holder);
        put_token(&mut bytes, self.record.grant);
        let kept = &self.history[self.history.len().saturating_sub(HISTORY_MAX)..];
        bytes.push(kept.len() as u8); // At most HISTORY_MAX.
        for raised in kept {
            put_token(&mut bytes, raised.token);
            bytes.extend_from_slice(&millis(raised.at).to_le_bytes());
            put_holder(&mut bytes, &raised.holder);
        }
        let check = check(key, &bytes);
        bytes.extend_from_slice(&check);
        bytes
    }

    /// The row under `key`.
    ///
    /// # Errors
    /// Whatever is wrong with it. There is no default: an unreadable mark is not a mark of 0.
    pub(super) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, RowError> {
        let (body, found) = bytes.split_last_chunk::<CHECK_LEN_BYTES>().ok_or(RowError::Short)?;
        if *found != check(key, body) {
            return Err(RowError::Checksum);
        }
        let mut rest = Rest(body);
        match rest.take::<1>()? {
            [VERSION] => {}
            [other] => return Err(RowError::Version(other)),
        }
        let mark = Mark { token: rest.token()?, holder: rest.holder()? };
        let grant = rest.token()?;
        let [count] = rest.take::<1>()?;
        if usize::from(count) > HISTORY_MAX || grant > mark.token {
            return Err(RowError::Contradiction);
        }
        let mut history = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let token = rest.token()?;
            let at_ms = u64::from_le_bytes(rest.take()?);
            let at = UNIX_EPOCH
                .checked_add(Duration::from_millis(at_ms))
                .ok_or(RowError::Contradiction)?;
            history.push(Raised { token, holder: rest.holder()?, at });
        }
        match rest.0 {
            [] => Ok(Self { record: Record { mark, grant, behind: false }, history }),
            _ => Err(RowError::Contradiction),
        }
    }
}

fn check(key: &[u8], body: &[u8]) -> [u8; CHECK_LEN_BYTES] {
    let mut context = Context::new(&SHA256);
    // The length first, so that no byte can move between key and body unseen.
    context.update(&(key.len() as u64).to_le_bytes());
    context.update(key);
    context.update(body);
    let digest = context.finish();
    *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

/// Times before 1970 and after the year 500 million are of no use to anybody.
fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

fn put_token(bytes: &mut Vec<u8>, token: Token) {
    bytes.extend_from_slice(&token.incarnation().to_le_bytes());
    bytes.extend_from_slice(&token.counter().to_le_bytes());
}

fn put_holder(bytes: &mut Vec<u8>, holder: &Holder) {
    let name = holder.as_str().as_bytes();
    let len = u16::try_from(name.len()).expect("raises to longer holders are refused");
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(name);
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RowError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(RowError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn token(&mut self) -> Result<Token, RowError> {
        let incarnation = u32::from_le_bytes(self.take()?);
        Ok(Token::new(incarnation, u64::from_le_bytes(self.take()?)))
    }

    fn holder(&mut self) -> Result<Holder, RowError> {
        let len = usize::from(u16::from_le_bytes(self.take()?));
        let (name, rest) = self.0.split_at_checked(len).ok_or(RowError::Short)?;
        self.0 = rest;
        let name = std::str::from_utf8(name).map_err(|_| RowError::Contradiction)?;
        Ok(Holder::new(name))
    }
}

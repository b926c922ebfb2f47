//! Who claims which token, and what the ledger remembers of it.

use std::fmt;
use std::sync::Arc;

use super::Token;

/// Who holds a token: the mTLS identity, or one certificate of it where the rule
/// binds tokens to certificates. Opaque here; only equality counts.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Holder(Arc<str>);

impl Holder {
    /// A holder by its name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as recorded in the ledger.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The high-water mark: the largest token admitted so far, and who brought it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Mark {
    /// Never goes down.
    pub token: Token,
    /// The identity that brought it; empty while the token is [`Token::ZERO`].
    pub holder: Holder,
}

impl Default for Mark {
    fn default() -> Self {
        Self { token: Token::ZERO, holder: Holder::new("") }
    }
}

/// What the ledger keeps for a resource.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Record {
    /// The high-water mark.
    pub mark: Mark,
    /// A lower bound on the tokens that this process may still have past their commit
    /// point. At most `mark.token`; it goes up only after the process has quiesced.
    pub grant: Token,
    /// Another replica has a grant below the mark: its writes may still be on their way. Never
    /// with a ledger that one process has for itself.
    pub behind: bool,
}

/// What a request brings: a token and who brings it.
pub type Claim = Mark;

/// What the rule says about tokens on one resource.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TokenRules {
    /// How far above the mark a counter may be, so that one bad writer cannot lock
    /// everyone out. Counters above `i64::MAX` are refused always.
    pub max_jump: u64,
    /// The incarnation the source of tokens is in. A token of a later incarnation is
    /// implausible, unless the mark itself is there already.
    pub incarnation: u32,
    /// Several identities may bring the same token.
    pub share: bool,
}

impl TokenRules {
    /// 2^48: room for etcd revisions and ZooKeeper zxids, which jump by billions, and
    /// still tens of thousands of jumps away from the end of the counter.
    pub const MAX_JUMP_DEFAULT: u64 = 1 << 48;
}

impl Default for TokenRules {
    fn default() -> Self {
        Self { max_jump: Self::MAX_JUMP_DEFAULT, incarnation: 0, share: false }
    }
}

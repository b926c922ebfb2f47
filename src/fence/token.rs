//! The fencing token: a pair compared in order, `incarnation.counter`.

use std::fmt;
use std::str::FromStr;

/// What the system that elects leaders hands each new leader: a larger one every time.
///
/// The incarnation is 0 and left out unless the source of tokens was once reset, when
/// it is bumped so that new leaders outrank every old counter. As text: `42` or `1.3`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token {
    incarnation: u32,
    counter: u64,
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// Nothing was given.
    #[error(
        "the token is empty; send a decimal number such as 42, or incarnation.counter such as 1.3"
    )]
    Empty,
    /// A part is not made of decimal digits only.
    #[error("the token is not a decimal number such as 42, or incarnation.counter such as 1.3")]
    NotANumber,
    /// A part is too large for its type (`u32` before the point, `u64` after it).
    #[error("the token is too large: at most {max}", max = Token::MAX)]
    TooLarge,
    /// Zero outranks nothing, so no leader can hold it.
    #[error("the token 0 outranks nothing; tokens start at 1")]
    Zero,
}

impl Token {
    /// What a resource holds before its first leader. No writer can bring it.
    pub const ZERO: Self = Self { incarnation: 0, counter: 0 };
    /// The largest token that is ever plausible: counters above `i64::MAX` are always refused.
    pub const MAX: Self = Self { incarnation: u32::MAX, counter: i64::MAX as u64 };

    /// A token from its parts.
    pub const fn new(incarnation: u32, counter: u64) -> Self {
        Self { incarnation, counter }
    }

    /// A mark as it is recorded: also what no leader can bring, 0 before the first one and the 0 that
    /// a reset begins an incarnation with, such as `1.0`.
    ///
    /// # Errors
    /// As for what leaders bring, but for zero.
    pub fn recorded(text: &str) -> Result<Self, TokenError> {
        let (incarnation, counter) = text.split_once('.').unwrap_or(("0", text));
        let incarnation = u32::try_from(decimal(incarnation)?).map_err(|_| TokenError::TooLarge)?;
        Ok(Self::new(incarnation, decimal(counter)?))
    }

    /// How often the source of tokens was reset.
    pub const fn incarnation(self) -> u32 {
        self.incarnation
    }

    /// The number within its incarnation.
    pub const fn counter(self) -> u64 {
        self.counter
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.incarnation {
            0 => write!(f, "{}", self.counter),
            incarnation => write!(f, "{incarnation}.{}", self.counter),
        }
    }
}

impl FromStr for Token {
    type Err = TokenError;

    /// Leading zeros are allowed, because ZooKeeper pads its sequence numbers; signs,
    /// spaces and empty parts are not.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let token = Self::recorded(text)?;
        match token.counter {
            0 => Err(TokenError::Zero),
            _ => Ok(token),
        }
    }
}

fn decimal(digits: &str) -> Result<u64, TokenError> {
    if digits.is_empty() {
        return Err(TokenError::Empty);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TokenError::NotANumber);
    }
    // All digits, so the only way to fail is overflow.
    digits.parse().map_err(|_| TokenError::TooLarge)
}

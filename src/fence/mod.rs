//! The fence: the pure state machine of one resource, and the words it is told in.
//!
//! Nothing here does I/O, reads a clock, awaits or logs: `gate` drives it, and the
//! model in `model/` explores it exhaustively. What may happen to a write is decided
//! here and nowhere else; a [`Permit`] is the only proof of admission, and only
//! [`Register`] makes one.

mod claim;
mod permit;
mod refusal;
mod register;
mod resource;
mod token;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use claim::{Claim, Holder, Mark, Record, TokenRules};
pub use permit::{Cut, Fate, Permit, Sent};
pub use refusal::{Action, Refusal};
pub use register::{
    Ask, Effect, Effects, Intent, Linger, Loaded, RaiseOutcome, Register, Takeover, Ticket,
};
pub use resource::{Resource, ResourceError};
pub use token::{Token, TokenError};

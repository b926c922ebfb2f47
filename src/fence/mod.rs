//! The fence: the pure state machine of one resource, and the words it is told in.
//!
//! Nothing here does I/O, reads a clock, awaits or logs: `gate` drives it, and the
//! model in `model/` explores it exhaustively. What may happen to a write is decided
//! here and nowhere else; a [`Permit`] is the only proof of admission, and only
//! [`Register`] makes one.

mod ask;
mod claim;
mod effect;
mod judge;
mod permit;
mod refusal;
mod register;
mod resource;
mod row;
mod session;
mod takeover;
mod token;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use ask::{Ask, Intent, Ticket};
pub use claim::{Claim, Holder, Mark, Record, TokenRules};
pub use effect::{Awaited, Effect, Effects, Granted, Linger, Loaded, RaiseOutcome};
pub use permit::{Cut, Fate, Permit, Sent};
pub use refusal::{Action, Refusal};
pub use register::Register;
pub use resource::{Resource, ResourceError};
pub use row::{Own, Row};
pub use session::{SessionId, SessionIdError};
pub use takeover::Takeover;
pub use token::{Token, TokenError};

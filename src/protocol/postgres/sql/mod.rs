//! What a statement is: a read, a transaction's begin or end, a write, or one of Palisade's own.
//!
//! ```text
//! read      the verdict on a message of a read-only session
//! own       SET palisade.token and SHOW palisade.*
//! rename    SET application_name
//! settings  which settings a read-only session may set, in statements and at its start
//!   utility   statements that are no queries, by their tokens; set has SET and RESET
//!   query     SELECT, VALUES, TABLE, WITH: three nets, each fails closed
//!     agree     sqlparser sees the same tokens
//!     tree      nothing in sqlparser's tree that is not known to read
//!     calls     no parenthesis and no field that could call an unknown function
//!       functions the allow-list
//!         scan      PostgreSQL's lexer
//! ```
//!
//! A parser is never the only guard: the server itself holds such a session read-only. What the
//! server lets pass there (NOTIFY, advisory locks, VACUUM, ...) is stopped here, and only here;
//! docs/postgres-statements.md says which is which, and the tests are made from it.

mod agree;
mod calls;
mod functions;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod own;
mod query;
mod read;
mod rename;
mod scan;
mod set;
mod settings;
#[cfg(test)]
mod tests;
mod tree;
mod utility;

pub use own::{Own, Setting, own};
pub use read::{Reason, Verdict, function_call, verdict};
pub use rename::renamed;
pub use settings::assignment;

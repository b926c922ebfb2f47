//! The exhaustive model of several replicas that share a ledger.
//!
//! A world is one resource: two or three replicas with a session each, the ledger with its row
//! and the sessions that it has not ended, clients with one request each, and the store. Faults are
//! counted, so that the worlds stay small: a process is killed or ends, a lease runs out, a replica
//! freezes, an answer of the ledger is lost (and what was asked is done, or not, or later).
//!
//! How it is tied to the code:
//! - The fence is the real [`Register`], made by `among_replicas`; nothing of it is copied.
//! - The row is the real [`Row`], and only its own transitions change it. `ledger` has them done as
//!   `ledger::replicated` does: in one transaction with "session alive", and only while the row is
//!   the one that was read. A request that was lost stays possible until the row has changed.
//! - `driver` mirrors `gate::{cell, driver, others}`, effect for effect and news for news: when it
//!   looks at the lease, how it waits for the grants of others, and what it does for the dead.
//! - `step` has the rule of time of `ledger::replicated::Settings` without a clock: the ledger ends
//!   a session when its process is gone, was frozen, or has let go of all that it had sent.
//!
//! Not tied, and tested where they are: that the keeper counts time so, that the feed misses nothing
//! in the end, that the stores keep transactions and end what they are asked to. What a takeover
//! tells of itself is left to the model of one process, as are its queue and its leftovers.
//!
//! - `world`: the state. `step`: what can happen next. `apply`: what that does.
//! - `driver`, `ledger`: what executes the register's effects.
//! - `safety`: what must hold. `tell`: a counterexample in words.
//! - `worlds`: what is explored. `mutation`, `rules`: the rules, each taken away once.
//!
//! [`Register`]: crate::fence::Register
//! [`Row`]: crate::fence::Row

mod apply;
mod driver;
mod ledger;
mod mutation;
mod rules;
mod safety;
mod step;
mod tell;
mod world;
mod worlds;

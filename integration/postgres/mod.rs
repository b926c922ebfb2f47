//! PostgreSQL behind Palisade.
//!
//! | file | what Palisade is held against |
//! |---|---|
//! | `direct` | nothing: the rig itself, on the server alone |
//! | `clients`, `tools` | drivers and tools, unchanged |
//! | `door`, `login` | the first bytes; who logs in at the server, and how |
//! | `session` | one client session is one backend session |
//! | `cancel` | a request to cancel reaches its own session, and no other |
//! | `tokens` | how a token comes, and how each refusal looks |
//! | `takeover`, `crash` | what becomes of sessions with older tokens |
//! | `readonly` | the ways out of a session that may only read |
//! | `slow` | memory, with a client that does not read |
//! | `history` | every fault at every point of a write: the checker |
//! | `failover` | another server is the primary |

mod cancel;
mod clients;
mod crash;
mod direct;
mod door;
mod failover;
pub mod history;
mod login;
mod readonly;
mod session;
mod slow;
mod takeover;
mod tokens;
mod tools;

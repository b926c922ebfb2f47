//! Several Palisades with one ledger, each on a machine of its own.
//!
//! | file | what they are held against |
//! |---|---|
//! | `takeover` | a leader on one replica, the next one on another |
//! | `crash` | a replica killed with writes on their way |
//! | `frozen` | a replica frozen for longer than its session |
//! | `ledger` | the ledger out of reach: of all, of one, of a minority |
//! | `rolling` | restarts of all under load, and more and fewer of them |
//! | `over_redis` | the same with the ledger in Redis |
//! | `history` | everything at once: the checker |

mod crash;
mod frozen;
mod history;
mod ledger;
mod over_redis;
mod rolling;
mod takeover;

//! Several Palisades with one ledger, each on a machine of its own.

mod history;
mod takeover;

//! The gate over the real embedded ledger, with faults let in where a test asks for them.

mod admission;
mod bounds;
mod ended;
mod faults;
mod remains;
mod restart;
mod rig;
mod table;
mod takeover;

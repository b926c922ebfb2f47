//! The integration tests: the real binary, real stores, real clients.

mod history;
mod naive;
mod rig;
mod tidy;

//! The integration tests: the real binary, real stores, real clients.

mod clients;
mod config_errors;
mod contract;
mod crash;
mod demo;
mod frozen;
mod history;
mod leaders;
mod naive;
mod rig;
mod takeover;
mod tidy;
mod tls;
mod upstream;

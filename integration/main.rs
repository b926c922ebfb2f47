//! The integration tests: the real binary, real stores, real clients.

mod audited;
mod clients;
mod config_errors;
mod contract;
mod crash;
mod demo;
mod dependencies;
mod edges;
mod frozen;
mod history;
mod leaders;
mod naive;
mod operators;
mod origin;
mod rig;
mod s3_modes;
mod shipped;
mod supervised;
mod takeover;
mod tidy;
mod trust;
mod upstreams;
mod wire;

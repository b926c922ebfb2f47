//! The integration tests: the real binary, real stores, real clients.

mod audited;
mod clients;
mod config_errors;
mod contract;
mod crash;
mod demo;
mod edges;
mod frozen;
mod history;
mod leaders;
mod naive;
mod operators;
mod origin;
mod rig;
mod s3_modes;
mod takeover;
mod tidy;
mod torture;
mod trial;
mod trust;
mod upstreams;
mod wire;

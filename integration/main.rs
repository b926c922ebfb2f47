//! The integration tests: the real binary, real stores, real clients.

mod attacks;
mod audited;
mod clients;
mod config_errors;
mod contract;
mod crash;
mod demo;
mod drain;
mod edges;
mod frozen;
mod h2;
mod history;
mod leaders;
mod limits;
mod naive;
mod operators;
mod origin;
mod rig;
mod s3_modes;
mod siege;
mod takeover;
mod tidy;
mod trust;
mod upstreams;
mod wire;

//! The exhaustive model of several replicas that share a ledger.

mod apply;
mod driver;
mod ledger;
mod mutation;
mod safety;
mod step;
mod tell;
mod world;
mod worlds;

//! Against real servers.

mod control;
mod failover;
mod login;
mod rig;
mod sentinel;

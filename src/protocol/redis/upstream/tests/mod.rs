//! Against real servers.

mod control;
mod failover;
mod hostile;
mod login;
mod rig;
mod sentinel;

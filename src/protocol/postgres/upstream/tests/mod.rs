//! Against real servers.

mod control;
mod dead;
mod failover;
mod hostile;
mod login;
mod rig;

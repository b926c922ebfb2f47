//! Against real servers: rows, sessions, the feed, what is refused, and what is lost.

mod contract;
mod failover;
mod feed;
mod judging;
mod login;
mod quorum;
mod rig;
mod rows;
mod sessions;

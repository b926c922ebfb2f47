//! Redis behind Palisade.
//!
//! | file | what Palisade is held against |
//! |---|---|
//! | `direct` | nothing: the rig itself, on the server alone |
//! | `history` | every fault at every point of a write: the checker |
//! | `same` | the answers of the server itself, to the same commands |
//! | `chance` | the same, to commands by chance |
//! | `session` | one client connection is one connection to the server |
//! | `tokens` | how a token comes, and how each refusal looks |
//! | `resources` | which resource a command belongs to |
//! | `takeover`, `crash` | what becomes of sessions with older tokens |
//! | `clients`, `library` | drivers and tools, unchanged |
//! | `door` | who gets in; bytes that are no commands |
//! | `slow` | memory, with large values, long pipelines, and clients that do not read |
//! | `upstream`, `failover` | how the server is reached; another server is the primary |

mod chance;
mod clients;
mod crash;
mod direct;
mod door;
mod failover;
pub mod history;
mod library;
mod resources;
mod same;
mod session;
mod slow;
mod takeover;
mod tokens;
mod upstream;

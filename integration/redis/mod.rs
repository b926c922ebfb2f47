//! Redis behind Palisade.
//!
//! | file | what Palisade is held against |
//! |---|---|
//! | `direct` | nothing: the rig itself, on the server alone |
//! | `same` | the answers of the server itself, to the same commands |
//! | `session` | one client connection is one connection to the server |
//! | `tokens` | how a token comes, and how each refusal looks |
//! | `resources` | which resource a command belongs to |
//! | `takeover`, `crash` | what becomes of sessions with older tokens |

mod crash;
mod direct;
mod resources;
mod same;
mod session;
mod takeover;
mod tokens;

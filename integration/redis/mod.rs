//! Redis behind Palisade.
//!
//! | file | what Palisade is held against |
//! |---|---|
//! | `direct` | nothing: the rig itself, on the server alone |
//! | `history` | every fault at every point of a write: the checker |
//! | `same` | the answers of the server itself, to the same commands |

mod direct;
mod history;
mod same;

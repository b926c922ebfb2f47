//! PostgreSQL behind Palisade.
//!
//! | file | what it holds Palisade against |
//! |---|---|
//! | `direct` | nothing: the rig itself, on the server alone |

mod direct;

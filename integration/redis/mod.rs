//! Redis behind Palisade.
//!
//! | file | what Palisade is held against |
//! |---|---|
//! | `direct` | nothing: the rig itself, on the server alone |

mod direct;

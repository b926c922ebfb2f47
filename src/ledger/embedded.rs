//! The embedded ledger: a crash-safe file.

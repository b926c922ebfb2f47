//! The integration tests: the real binary, real stores, real clients.

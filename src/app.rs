//! The composition root: ledger, gate, listeners; wait; drain.

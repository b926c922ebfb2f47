//! What each command touches: which keys, and whether it reads or writes them.

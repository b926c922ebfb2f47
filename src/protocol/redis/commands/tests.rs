//! Tests of the table of commands.

//! Tests of the verdicts, made from docs/postgres-statements.md and from what clients send.

mod clients;
mod size;

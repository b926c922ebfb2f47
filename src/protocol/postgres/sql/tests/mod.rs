//! Tests of the verdicts, made from docs/postgres-statements.md and from what clients send.

mod clients;
mod functions;
mod lexing;
mod nets;
mod own;
mod rig;
mod size;
mod spliced;
mod table;

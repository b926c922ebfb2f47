//! Tests of the verdicts, made from docs/postgres-statements.md and from what clients send.

mod clients;
mod functions;
mod lexing;
mod own;
mod rig;
mod size;
mod table;

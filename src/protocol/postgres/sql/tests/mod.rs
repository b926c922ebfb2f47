//! Tests of the verdicts, made from docs/postgres-statements.md.

//! Tests of how commands count, made from docs/redis-commands.md.

mod chance;
mod checked;
mod effects;
mod parse;
mod partial;
mod rig;
mod rows;
mod server;
mod shipped;

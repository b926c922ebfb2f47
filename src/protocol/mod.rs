//! How a token rides in each protocol, what is a write, and what a refusal looks like.

pub mod http;
pub mod postgres;
pub mod redis;

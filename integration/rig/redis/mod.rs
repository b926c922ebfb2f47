//! A real Redis, and Palisade in front of it.
//!
//! | file | has |
//! |---|---|
//! | `server` | the server itself, replicas of it, its end; Sentinel |
//! | `front` | Palisade before it, and what clients have to know of both |
//! | `relay` | a network between both that fails |
//! | `config` | the configuration that Palisade runs with |
//! | `wire` | a client that speaks the protocol value by value |
//! | `value` | the values |

mod config;
mod front;
mod relay;
mod server;
mod value;
mod wire;

pub use config::{By, Choice, Layout, Places, text};
pub use front::{Door, Front};
pub use relay::Relay;
pub use server::{PASSWORD, Sentinel, Server, Setup};
pub use value::{Value, command, words};
pub use wire::{CUT, Wire, send};

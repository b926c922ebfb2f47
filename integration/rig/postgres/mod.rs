//! A real PostgreSQL, and Palisade in front of it.
//!
//! | file | has |
//! |---|---|
//! | `server` | the server itself: made from a template, a standby of it, its end |
//! | `front` | Palisade before it, and what clients have to know of both |
//! | `tls` | the way to Palisade |
//! | `wire` | a client that speaks the protocol message by message |
//! | `message` | the messages |

mod front;
mod message;
mod server;
mod tls;
mod wire;

pub use front::{Choice, Door, Front, Way, text};
pub use message::{
    Told, VERSION_3_0, bind, close, copy_data, describe, execute, extended, parse, query, startup,
    tagged, untagged,
};
pub use server::{DATABASE, Server, binary};
pub use tls::{connect_directly, connect_without_a_word};
pub use wire::{Answer, Wire, cancel};

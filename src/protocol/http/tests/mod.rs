//! The data path over real sockets: raw clients, a hyper origin that tells what it received,
//! the real gate over the real embedded ledger.

mod commit;
mod forwarding;
mod http2;
mod late;
mod neighbours;
mod origin;
mod outcomes;
mod rig;
mod s3;
mod smuggling;
mod takeover;
mod upstreams;

//! The configuration of each replica: that of the rig with one Palisade, with a ledger that is
//! shared, and with TLS for operators, who are on other machines.

use std::net::SocketAddr;
use std::path::Path;

use super::{Cluster, Kind, Ledger, Shared};
use crate::rig::net::Node;
use crate::rig::{Options, postgres, redis};

/// How long the ledger keeps a session after its last keepalive.
pub const TTL_MS: u64 = 5_000;
pub const MARGIN_MS: u64 = 500;
/// How long what is under way may take once nothing is admitted any more.
pub const DRAIN_MS: u64 = 1_000;
/// How long the store may still apply what it has not answered.
pub const SETTLE_MS: u64 = 1_500;

/// What replicas with a shared ledger call their namespace there.
const NAMESPACE: &str = "rig";

/// Where it is.
pub struct Place<'a> {
    pub node: &'a Node,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub dir: &'a Path,
}

pub fn text(cluster: &Cluster, place: &Place<'_>) -> String {
    let Place { node, address, admin, dir } = *place;
    let Cluster { certs, net, wish, .. } = cluster;
    let store = net.relay(node, &net.node(super::STORE), cluster.store_address());
    let mut text = match wish.store {
        Kind::S3 => {
            let settle = format!("\"{SETTLE_MS}ms\"");
            let options = Options { settle_timeout: "SETTLE", ..Options::default() };
            crate::rig::config::text(&options, certs, store, address, admin, dir)
                .replace("\"SETTLE\"", &settle)
        }
        Kind::Postgres => {
            let endpoints = [format!("postgres://{store}")];
            postgres::text(certs, &endpoints, address, admin, dir)
        }
        Kind::Redis => {
            let endpoints = [format!("redis://{store}")];
            let places = redis::Places { certs, endpoints: &endpoints, address, admin, dir };
            let choice =
                redis::Choice { layout: redis::Layout::Queues, ..redis::Choice::default() };
            redis::text(&choice, &places)
        }
    };
    let (chain, key) = (&certs.server.0, &certs.server.1);
    let ca = &certs.ca;
    let operators = format!(
        "operators = [\"leader-*\"]\n[admin.tls]\ncertificate = {chain:?}\nkey = {key:?}\n\
         client_ca = {ca:?}\n\n[log]"
    );
    text = one(&text, "[log]", &operators);
    if wish.ledger != Shared::Nothing {
        // With a shared ledger its name is that of the session.
        text = text.replace("replica = \"rig\"\n", "");
        let file = dir.join("ledger.redb");
        let embedded = format!("[ledger.embedded]\npath = {:?}\n", file.display().to_string());
        text = one(&text, &embedded, &shared(cluster, node, dir));
    }
    for (place, instead) in &wish.edits {
        text = one(&text, place, instead);
    }
    text
}

/// The tables of a shared ledger.
fn shared(cluster: &Cluster, node: &Node, dir: &Path) -> String {
    let net = &cluster.net;
    let ledger = match &cluster.ledger {
        Ledger::Etcd(etcd) => {
            let endpoints: Vec<_> = etcd
                .members
                .iter()
                .map(|member| net.relay(node, &member.node, member.address))
                .map(|address| format!("http://{address}"))
                .collect();
            format!("[ledger.etcd]\nendpoints = {endpoints:?}\n")
        }
        Ledger::Redis(server) => {
            let to = net.node(super::LEDGER);
            let address = net.relay(node, &to, (server.ip(), server.port).into());
            let password = dir.join("ledger-password");
            std::fs::write(&password, redis::PASSWORD).unwrap();
            format!(
                "[ledger.redis]\nendpoints = [\"redis://{address}\"]\npassword_file = {password:?}\n"
            )
        }
        Ledger::Nothing => unreachable!("nothing is shared"),
    };
    format!(
        "{ledger}namespace = \"{NAMESPACE}\"\n[ledger.session]\nreplica = \"{}\"\n\
         ttl = \"{TTL_MS}ms\"\nmargin = \"{MARGIN_MS}ms\"\ntimeout = \"1s\"\n",
        node.name
    )
}

fn one(text: &str, place: &str, instead: &str) -> String {
    assert_eq!(text.matches(place).count(), 1, "{place:?} is not one place in {text}");
    text.replace(place, instead)
}

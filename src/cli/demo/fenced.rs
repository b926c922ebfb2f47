//! Palisade with mTLS in front of a store, from a configuration file as anybody would write it.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::client::{self, Client};
use super::story::{BUCKET, TOKEN_A, TOKEN_B};
use crate::app::{self, Running};
use crate::config::Config;
use crate::net::authority::{AUTHORITY_LIFETIME, Authority, CERTIFICATE_FILE, LEAF_LIFETIME};
use crate::net::identity::Source;
use crate::telemetry;

/// The access key id of the store behind Palisade.
pub(super) const STORE_KEY_ID: &str = "demo";
/// Its secret key: it guards a folder of the demo on loopback, so it need not be one.
pub(super) const SECRET_KEY: &str = "demo-secret-key";

/// The leaders of the story, by the names in their certificates.
pub(super) const LEADERS: [&str; 2] = ["leader-a", "leader-b"];
/// The listener's name in the configuration.
pub(super) const LISTENER: &str = "leaders";
/// The plugin that lets the AWS CLI send a token and show a certificate.
const AWS_PLUGIN: &str = include_str!("../../../docs/clients/palisade_aws.py");

/// A running Palisade.
pub(super) struct Fenced {
    running: Running,
    address: SocketAddr,
    certs: PathBuf,
}

impl Fenced {
    /// Makes certificates, writes the configuration, and starts.
    pub(super) async fn start(dir: &Path, store: SocketAddr) -> anyhow::Result<Self> {
        let certs = dir.join("certs");
        certificates(&certs).context("making certificates")?;
        let file = dir.join("palisade.toml");
        write(dir, &file, store).context("writing the demo's files")?;
        let (running, address) = launch(&file).await?;
        Ok(Self { running, address, certs })
    }

    /// Where leaders connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin page is.
    pub(super) fn admin(&self) -> SocketAddr {
        self.running.admin_address()
    }

    /// The folder of the certificates.
    pub(super) fn certs(&self) -> &Path {
        &self.certs
    }

    /// Leader A, with its certificate.
    pub(super) fn leader_a(&self) -> anyhow::Result<Client> {
        self.leader(LEADERS[0], TOKEN_A)
    }

    /// Leader B, with its certificate.
    pub(super) fn leader_b(&self) -> anyhow::Result<Client> {
        self.leader(LEADERS[1], TOKEN_B)
    }

    fn leader(&self, name: &str, token: u64) -> anyhow::Result<Client> {
        let file = |name: &str| self.certs.join(name);
        let (chain, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
        let tls = client::tls(&file(CERTIFICATE_FILE), &chain, &key)?;
        Ok(Client::new(self.address, Some(tls), token))
    }

    /// Stops it in order.
    pub(super) async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// Starts Palisade by that configuration, and tells where leaders connect to.
pub(super) async fn launch(file: &Path) -> anyhow::Result<(Running, SocketAddr)> {
    let (config, _) = Config::load(file).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the demo's own configuration is wrong:\n{}", problems.join("\n"))
    })?;
    telemetry::init_log(&config.log).context("starting the log")?;
    let metrics = telemetry::install_metrics().context("starting the metrics")?;
    let running = app::start(config, metrics).await.context("starting Palisade")?;
    let address = running.addresses(LISTENER).first().copied();
    Ok((running, address.context("Palisade does not listen")?))
}

/// An authority, and certificates of Palisade and the leaders.
pub(super) fn certificates(dir: &Path) -> anyhow::Result<()> {
    let authority = Authority::new("Palisade demo", AUTHORITY_LIFETIME)?;
    authority.save(dir, false)?;
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    authority.issue_server(&names, LEAF_LIFETIME)?.save(dir, "server", false)?;
    for leader in LEADERS {
        authority.issue_client(Source::Cn, leader, LEAF_LIFETIME)?.save(dir, leader, false)?;
    }
    Ok(())
}

/// The configuration, the store's credentials, and what the AWS CLI needs.
fn write(dir: &Path, config: &Path, store: SocketAddr) -> std::io::Result<()> {
    std::fs::write(config, configuration(store))?;
    secret(&dir.join("store-key-id"), STORE_KEY_ID)?;
    secret(&dir.join("store-secret-key"), SECRET_KEY)?;
    let aws = dir.join("aws");
    std::fs::create_dir(&aws)?;
    std::fs::write(aws.join("palisade_aws.py"), AWS_PLUGIN)?;
    let plugin = "palisade_aws = palisade_aws\n";
    std::fs::write(aws.join("config-v1"), format!("[plugins]\n{plugin}"))?;
    let path = format!("cli_legacy_plugin_path = {}\n", aws.display());
    std::fs::write(aws.join("config-v2"), format!("[plugins]\n{path}{plugin}"))
}

/// Palisade warns about secrets that every user of the machine can read.
pub(super) fn secret(path: &Path, text: &str) -> std::io::Result<()> {
    File::options().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Paths are relative to the file's own folder.
fn configuration(store: SocketAddr) -> String {
    format!(
        r#"# Palisade in front of the demo's store.

[ledger.embedded]
path = "ledger.redb"

[admin]
listen = "127.0.0.1:0"

[audit]
file = "audit.jsonl"

[log]
filter = "palisade=error"

[listeners.{LISTENER}]
protocol = "s3"
listen = "127.0.0.1:0"
upstream = "store"

[listeners.{LISTENER}.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_ca = "certs/ca.pem"
crls = ["certs/crl.pem"]

[upstreams.store]
endpoints = ["http://{store}"]

[upstreams.store.s3]
access_key_id_file = "store-key-id"
secret_access_key_file = "store-secret-key"

[[resources]]
name = "demo"
path = "/{BUCKET}/{{list}}/**"
resource = "{BUCKET}/{{list}}"
read = ["leader-*"]
write = ["leader-*"]
raise = ["leader-*"]
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_the_demo_is_right() {
        let dir = tempfile::tempdir().unwrap();
        certificates(&dir.path().join("certs")).unwrap();
        let file = dir.path().join("palisade.toml");
        write(dir.path(), &file, "127.0.0.1:9000".parse().unwrap()).unwrap();
        let (config, warnings) = match Config::load(&file) {
            Ok(loaded) => loaded,
            Err(problems) => panic!("{problems:#?}"),
        };
        assert!(warnings.is_empty(), "{warnings:#?}");
        assert_eq!(config.listeners.len(), 1);
    }
}

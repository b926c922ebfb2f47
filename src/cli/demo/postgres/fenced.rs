//! Palisade with mTLS in front of the PostgreSQL of the story.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::fenced::{LEADERS, LISTENER, certificates, launch, secret};
use super::super::story::{TOKEN_A, TOKEN_B};
use super::client::Client;
use super::dsn::Dsn;
use crate::app::Running;
use crate::net::authority::CERTIFICATE_FILE;
use crate::net::connect::ClientTls;
use crate::protocol::postgres::upstream::Endpoint;

/// Random bytes in the name of this Palisade, so that no other's sessions are taken for its own.
const NAME_BYTES: usize = 4;

/// A running Palisade.
pub(super) struct Fenced {
    running: Running,
    pub(super) address: SocketAddr,
    pub(super) certs: PathBuf,
}

impl Fenced {
    /// Makes certificates, writes the configuration, and starts.
    pub(super) async fn start(dir: &Path, dsn: &Dsn) -> anyhow::Result<Self> {
        let certs = dir.join("certs");
        certificates(&certs).context("making certificates")?;
        let file = dir.join("palisade.toml");
        write(dir, &file, dsn)?;
        let (running, address) = launch(&file).await?;
        Ok(Self { running, address, certs })
    }

    /// Where the admin page is.
    pub(super) fn admin(&self) -> SocketAddr {
        self.running.admin_address()
    }

    /// Leader A and leader B, with their certificates.
    pub(super) fn leaders(&self, dsn: &Dsn) -> anyhow::Result<[Client; 2]> {
        let leader = |name: &str, token| {
            let file = |name: &str| self.certs.join(name);
            let tls = ClientTls {
                ca: Some(file(CERTIFICATE_FILE)),
                certificate: Some((file(&format!("{name}.pem")), file(&format!("{name}.key")))),
                server_name: Some("localhost".to_owned()),
            };
            let host = self.address.ip().to_string().into();
            let endpoint = Endpoint::Tcp { host, port: self.address.port() };
            Client::new(dsn, endpoint, Some(tls), Some(token))
        };
        Ok([leader(LEADERS[0], TOKEN_A)?, leader(LEADERS[1], TOKEN_B)?])
    }

    /// Stops it in order.
    pub(super) async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// The configuration, and the password of its own connection.
fn write(dir: &Path, file: &Path, dsn: &Dsn) -> anyhow::Result<()> {
    std::fs::write(file, configuration(dsn)?).context("writing the demo's configuration")?;
    if let Some(password) = &dsn.password.0 {
        secret(&dir.join("control-password"), password).context("writing the demo's password")?;
    }
    Ok(())
}

/// Paths are relative to the file's own folder.
///
/// With `pass-through`, because the role is somebody's: with `held` Palisade would take it for
/// its own, and end whatever else runs under it.
fn configuration(dsn: &Dsn) -> anyhow::Result<String> {
    let mut random = [0; NAME_BYTES];
    aws_lc_rs::rand::fill(&mut random).ok().context("no random bytes are to be had")?;
    let text = |text: &str| toml::Value::from(text).to_string();
    let password = match dsn.password.0 {
        Some(_) => "control_password_file = \"control-password\"\n",
        None => "",
    };
    Ok(format!(
        r#"# Palisade in front of the demo's PostgreSQL.

[ledger.embedded]
path = "ledger.redb"

[admin]
listen = "127.0.0.1:0"

[audit]
file = "audit.jsonl"

[log]
filter = "palisade=error"

[listeners.{LISTENER}]
protocol = "postgres"
listen = "127.0.0.1:0"
upstream = "database"

[listeners.{LISTENER}.tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_ca = "certs/ca.pem"
crls = ["certs/crl.pem"]

[upstreams.database]
endpoints = [{endpoint}]

# Clients prove with the role's own password that they may log in. Where roles can be had for
# Palisade alone, `login = "held"` is better: then no client can go around it.
[upstreams.database.postgres]
login = "pass-through"
control_role = {role}
control_database = {database}
{password}replica = "demo-{replica:08x}"

[[resources]]
name = "demo"
path = "/{{database}}/*"
resource = "postgres/{{database}}"
read = ["leader-*"]
write = ["leader-*"]
raise = ["leader-*"]
drain = "250ms"
"#,
        endpoint = text(&dsn.place.text()),
        role = text(&dsn.role),
        database = text(&dsn.database),
        replica = u32::from_be_bytes(random),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_configuration_of_the_demo_is_right() {
        for url in [
            "postgres://o'hara:p\"w@127.0.0.1:7/a%22b%5Cc",
            "postgres://demo@%2Fno%20such%20folder/d",
            "postgres://demo:x@[::1]/ünder",
        ] {
            let dir = tempfile::tempdir().unwrap();
            certificates(&dir.path().join("certs")).unwrap();
            let dsn = Dsn::parse(&url.parse().unwrap(), |_| None).unwrap();
            let file = dir.path().join("palisade.toml");
            write(dir.path(), &file, &dsn).unwrap();
            let (config, warnings) = match Config::load(&file) {
                Ok(loaded) => loaded,
                Err(problems) => panic!("{url}: {problems:#?}"),
            };
            assert!(warnings.is_empty(), "{url}: {warnings:#?}");
            assert_eq!(config.listeners.len(), 1);
        }
    }
}

//! Palisade before a PostgreSQL, and what clients have to know of both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;

use super::message::Told;
use super::server::{DATABASE, Server};
use super::wire::{Wire, cancel};
use crate::rig::certs::Certs;
use crate::rig::client::Client;
use crate::rig::process::{Process, palisade};
use crate::rig::{POLL, READY_DEADLINE, free_address};

/// What a test may choose.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Lines for `postgresql.conf`.
    pub server: &'static str,
    /// Whether there is a standby, which Palisade knows as its second endpoint.
    pub is_replicated: bool,
    /// Whether clients log in themselves.
    pub is_passed_through: bool,
    /// Whether Palisade reaches the server by its socket.
    pub is_by_socket: bool,
    /// Places in the configuration, and what to write there instead.
    pub edits: Vec<(&'static str, String)>,
}

/// Palisade before a server of its own.
#[derive(Debug)]
pub struct Front {
    pub certs: Certs,
    pub server: Server,
    pub standby: Option<Server>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    palisade: Option<Process>,
    config: PathBuf,
    // Last, so that the processes are gone when the folder is removed.
    dir: TempDir,
}

/// A way to the database for clients that libpq's settings are enough for.
#[derive(Clone, Debug)]
pub struct Way {
    settings: Vec<(&'static str, String)>,
}

impl Front {
    /// Everything by default.
    pub async fn start() -> Self {
        Self::with(Choice::default()).await
    }

    /// By those choices.
    pub async fn with(choice: Choice) -> Self {
        let mut front = Self::prepare(tempfile::tempdir().unwrap(), &choice);
        front.run().await;
        front
    }

    /// Everything but the start of Palisade, which ends the sessions of its roles that go around
    /// it.
    pub fn prepared() -> Self {
        Self::prepare(tempfile::tempdir().unwrap(), &Choice::default())
    }

    /// Everything but the start of Palisade, in that folder.
    pub fn prepare(dir: TempDir, choice: &Choice) -> Self {
        let certs = Certs::issue(dir.path());
        let server = Server::with(dir.path(), choice.server);
        let standby = choice.is_replicated.then(|| server.standby());
        let (address, admin) = (free_address(), free_address());
        let config = dir.path().join("palisade.toml");
        let endpoints: Vec<_> = std::iter::once(&server)
            .chain(&standby)
            .map(|server| match choice.is_by_socket {
                true => format!("unix:{}:{}", server.socket_folder().display(), server.port),
                false => format!("postgres://127.0.0.1:{}", server.port),
            })
            .collect();
        let mut text = text(&certs, &endpoints, address, admin, dir.path());
        if choice.is_passed_through {
            text = text.replace("login = \"held\"", "login = \"pass-through\"");
            let (start, rest) = text.split_once("[upstreams.pg.postgres.roles.app]").unwrap();
            text = format!("{start}{}", &rest[rest.find("[[resources]]").unwrap()..]);
        }
        for (place, instead) in &choice.edits {
            assert_eq!(text.matches(place).count(), 1, "{place:?} is not one place in {text}");
            text = text.replace(place, instead);
        }
        std::fs::write(&config, text).unwrap();
        Self { certs, server, standby, address, admin, palisade: None, config, dir }
    }

    /// Starts Palisade (again), on the same ledger, and waits until it is ready.
    pub async fn run(&mut self) {
        self.launch();
        self.ready().await;
        let swept = "palisade_postgres_swept{listener=\"main\"} 1";
        crate::rig::eventually("what was there before has ended", async || {
            self.operator().get("/metrics").await.text().contains(swept)
        })
        .await;
    }

    /// Starts Palisade (again), and does not wait.
    pub fn launch(&mut self) {
        let mut command = palisade();
        command.arg("run").arg("--config").arg(&self.config);
        self.palisade = Some(Process::start(&mut command, "palisade", self.dir.path()));
    }

    /// Waits until Palisade is ready.
    pub async fn ready(&mut self) {
        let deadline = Instant::now() + READY_DEADLINE;
        let operator = Client::plain(self.admin);
        loop {
            let ready = operator.try_send(http::Method::GET, "/readyz", "").await;
            if ready.is_ok_and(|reply| reply.status.is_success()) {
                return;
            }
            let palisade = self.palisade();
            let is_up = palisade.is_running() && Instant::now() < deadline;
            assert!(is_up, "palisade is not ready: {}", palisade.everything());
            tokio::time::sleep(POLL).await;
        }
    }

    /// The running Palisade.
    pub fn palisade(&mut self) -> &mut Process {
        self.palisade.as_mut().unwrap()
    }

    /// A client of the admin listener.
    pub fn operator(&self) -> Client {
        Client::plain(self.admin)
    }

    /// The lines of the audit file so far.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.dir().join("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The folder of this test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the folder there when this is dropped, or not.
    pub fn keep(&mut self, is_kept: bool) {
        self.dir.disable_cleanup(is_kept);
    }

    /// A session of that leader with a token.
    pub async fn leader(&self, who: &str, token: impl ToString) -> Wire {
        self.try_leader(who, token).await.unwrap()
    }

    /// The same, or what is said instead.
    pub async fn try_leader(&self, who: &str, token: impl ToString) -> Result<Wire, Told> {
        self.session(who, "app", &[("palisade.token", &token.to_string())]).await
    }

    /// A session with more parameters, or what is said instead.
    pub async fn session(
        &self,
        who: &str,
        role: &str,
        more: &[(&str, &str)],
    ) -> Result<Wire, Told> {
        let parameters = [&[("user", role), ("database", DATABASE)][..], more].concat();
        Wire::open(self.door(who).tls(self.address).await?, &parameters).await
    }

    /// Asks Palisade, with the certificate of that name, to cancel what the session of that key does.
    pub async fn cancel(&self, who: &str, key: &(u32, Vec<u8>)) {
        cancel(self.door(who).tls(self.address).await.unwrap(), key).await;
    }

    /// What a child process needs to find the way.
    pub fn door(&self, who: &str) -> Door {
        let (chain, key) = self.certs.of(who);
        Door { ca: self.certs.ca.clone(), chain, key }
    }

    /// The way around Palisade.
    pub fn direct(&self, role: &str) -> Way {
        Way {
            settings: vec![
                ("host", "127.0.0.1".to_owned()),
                ("port", self.server.port.to_string()),
                ("user", role.to_owned()),
                ("password", format!("{role}-secret")),
                ("dbname", DATABASE.to_owned()),
                ("sslmode", "disable".to_owned()),
            ],
        }
    }

    /// The way through Palisade, as that client and that role, with libpq's `options`.
    pub fn way(&self, who: &str, role: &str, options: &str) -> Way {
        let (chain, key) = self.certs.of(who);
        // What JDBC wants of a key.
        let der = rustls_pki_types::PrivateKeyDer::from_pem_file(&key).unwrap();
        std::fs::write(key.with_extension("pk8"), der.secret_der()).unwrap();
        let mut settings = vec![
            ("host", "localhost".to_owned()),
            ("port", self.address.port().to_string()),
            ("user", role.to_owned()),
            ("dbname", DATABASE.to_owned()),
            ("sslmode", "verify-full".to_owned()),
            ("sslrootcert", self.certs.ca.display().to_string()),
            ("sslcert", chain.display().to_string()),
            ("sslkey", key.display().to_string()),
        ];
        if !options.is_empty() {
            settings.push(("options", options.to_owned()));
        }
        Way { settings }
    }
}

impl Way {
    /// Another setting, or another value of one.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value.to_string()));
        self
    }

    /// As libpq's variables of the environment, and as `DSN` (a URI).
    pub fn tell(&self, command: &mut Command) {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
            command.env_remove(name);
        }
        for (name, value) in &self.settings {
            let name = match *name {
                "dbname" => "database",
                "channel_binding" => "channelbinding",
                name => name,
            };
            command.env(format!("PG{}", name.to_uppercase()), value);
        }
        command.env("DSN", self.uri());
    }

    /// As a URI.
    pub fn uri(&self) -> String {
        let of = |wanted: &str| {
            let found = self.settings.iter().find(|(name, _)| *name == wanted);
            found.map_or("", |(_, value)| value.as_str())
        };
        let escaped = |value: &str| {
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let password = match of("password") {
            "" => String::new(),
            password => format!(":{password}"),
        };
        let mut uri = format!(
            "postgresql://{}{password}@{}:{}/{}?",
            of("user"),
            of("host"),
            of("port"),
            of("dbname")
        );
        for (name, value) in &self.settings {
            if !["user", "password", "host", "port", "dbname"].contains(name) {
                uri += &format!("{name}={}&", escaped(value));
            }
        }
        uri.trim_end_matches('&').to_owned()
    }
}

/// A certificate, and what verifies Palisade's.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Door {
    pub ca: PathBuf,
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Door {
    /// TLS after an SSLRequest.
    ///
    /// # Errors
    /// The connection's, or Palisade declines.
    pub async fn tls(&self, to: SocketAddr) -> Result<Box<dyn crate::rig::Duplex>, Told> {
        super::tls::connect(self, to).await
    }
}

/// Writes the secrets into that folder and returns the configuration.
pub fn text(
    certs: &Certs,
    endpoints: &[String],
    address: SocketAddr,
    admin: SocketAddr,
    dir: &Path,
) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    for role in ["app", "reader", "control"] {
        std::fs::write(at(role), format!("{role}-secret")).unwrap();
    }
    let rule = |name: &str, path: &str, resource: &str| {
        format!(
            r#"
[[resources]]
name = "{name}"
path = "{path}"
resource = "{resource}"
read = ["leader-*", "follower", "reader"]
write = ["leader-*", "follower"]
raise = ["leader-*"]
drain = "1s"
takeover_timeout = "10s"
[resources.tokens]
max_jump = 1000000
"#
        )
    };
    format!(
        r#"
[ledger.embedded]
path = {ledger:?}

[admin]
listen = "{admin}"

[log]
filter = "info"

[audit]
file = {audit:?}

[listeners.main]
protocol = "postgres"
listen = "{address}"
upstream = "pg"
[listeners.main.tls]
certificate = {certificate:?}
key = {key:?}
client_ca = {ca:?}
crls = [{crl:?}]

[upstreams.pg]
endpoints = {endpoints:?}
[upstreams.pg.postgres]
login = "held"
control_role = "control"
control_password_file = {control:?}
target_session_attrs = "primary"
replica = "rig"
[upstreams.pg.postgres.roles.app]
password_file = {app:?}
[upstreams.pg.postgres.roles.reader]
password_file = {reader:?}
{whole}{named}"#,
        ledger = at("ledger.redb"),
        audit = at("audit.jsonl"),
        certificate = certs.server.0,
        key = certs.server.1,
        ca = certs.ca,
        crl = certs.crl,
        control = at("control"),
        app = at("app"),
        reader = at("reader"),
        whole = rule("whole", "/{database}/*", "pg/{database}"),
        named = rule("named", "/{database}/*/{name}", "pg/{database}/{name}"),
    )
}

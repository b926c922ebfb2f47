//! Certificates, made by `palisade certs` as an operator would make them.

use std::path::{Path, PathBuf};

use super::process::{palisade, run};

/// Whom certificates are issued to. `leader-a2` is a second certificate of `leader-a`.
const CLIENTS: [(&str, &str); 6] = [
    ("follower", "follower"),
    ("leader-a", "leader-a"),
    ("leader-a2", "leader-a"),
    ("leader-b", "leader-b"),
    ("reader", "reader"),
    ("stranger", "stranger"),
];

/// Where the certificates are.
#[derive(Debug)]
pub struct Certs {
    pub ca: PathBuf,
    pub crl: PathBuf,
    pub server: (PathBuf, PathBuf),
    dir: PathBuf,
}

impl Certs {
    /// An authority, a server certificate, and client certificates.
    pub fn issue(dir: &Path) -> Self {
        let certs = dir.join("certs");
        let at = |name: &str| certs.join(name);
        let call = |arguments: &[&str], out: &Path| {
            let mut command = palisade();
            command.arg("certs").args(arguments).arg("--out").arg(out);
            let (status, said) = run(command, dir);
            assert!(status.success(), "palisade certs {arguments:?}: {said}");
        };
        let authority = at("authority");
        call(&["ca"], &authority);
        let from = authority.display().to_string();
        let names = ["--name", "localhost", "--name", "127.0.0.1"];
        call(&[&["server", "--ca", &from][..], &names].concat(), &certs);
        for (file, name) in CLIENTS {
            let who = ["--identity", name, "--source", "cn", "--file-name", file];
            call(&[&["client", "--ca", &from][..], &who].concat(), &certs);
        }
        Self {
            ca: authority.join("ca.pem"),
            crl: authority.join("crl.pem"),
            server: pair(&certs, "server"),
            dir: certs,
        }
    }

    /// Chain and key of a client.
    pub fn of(&self, who: &str) -> (PathBuf, PathBuf) {
        pair(&self.dir, who)
    }

    /// Revokes the certificate of a client.
    pub fn revoke(&self, who: &str) {
        let mut command = palisade();
        command.args(["certs", "revoke", "--ca"]).arg(self.ca.parent().unwrap());
        command.arg(self.of(who).0);
        let (status, said) = run(command, &self.dir);
        assert!(status.success(), "{said}");
    }
}

fn pair(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")))
}

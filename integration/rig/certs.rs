//! Certificates, made by `palisade certs` as an operator would make them.

use std::ffi::OsStr;
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
        // The last two for S3 in virtual-host style.
        let names = ["localhost", "127.0.0.1", "fenced.localhost", "shared.localhost"];
        let names: Vec<_> = names.iter().flat_map(|name| ["--name", name]).collect();
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

    /// Issues one more client certificate.
    pub fn issue_client(&self, file: &str, identity: &str) {
        let who = ["client", "--identity", identity, "--file-name", file];
        self.call(&who, &["--out".as_ref(), self.dir.as_os_str()]);
    }

    /// Puts a new server certificate in the place of the one before.
    pub fn renew_server(&self) {
        let server = ["server", "--name", "localhost", "--force"];
        self.call(&server, &["--out".as_ref(), self.dir.as_os_str()]);
    }

    /// The same, with more names and addresses in it.
    pub fn renew_server_for(&self, names: &[String]) {
        let names: Vec<_> = names.iter().flat_map(|name| ["--name", name]).collect();
        let server = [&["server", "--name", "localhost", "--force"][..], &names].concat();
        self.call(&server, &["--out".as_ref(), self.dir.as_os_str()]);
    }

    /// Revokes the certificate of a client.
    pub fn revoke(&self, who: &str) {
        self.call(&["revoke"], &[self.of(who).0.as_os_str()]);
    }

    fn call(&self, arguments: &[&str], more: &[&OsStr]) {
        let mut command = palisade();
        command.arg("certs").args(arguments).arg("--ca").arg(self.ca.parent().unwrap()).args(more);
        let (status, said) = run(command, &self.dir);
        assert!(status.success(), "{said}");
    }
}

fn pair(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")))
}

//! A directory with every file that the configurations of these tests name.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

use crate::config::{Config, Problem};

/// A directory that is removed when it is dropped.
pub struct Fixture {
    dir: TempDir,
}

impl Fixture {
    /// With certificates, keys, a revocation list and secrets.
    pub fn new() -> Self {
        let fixture = Self { dir: TempDir::new().expect("a directory") };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&ca_key).expect("a certificate");
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let server = server.signed_by(&key, &issuer).expect("a certificate");
        let crl = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2050, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let crl = crl.signed_by(&issuer).expect("a revocation list");
        fixture.put("ca.crt", &ca.pem());
        fixture.put("server.crt", &server.pem());
        fixture.put("server.key", &key.serialize_pem());
        fixture.put("ca.crl", &crl.pem().expect("PEM"));
        fixture.put("id", "AKIA1\n");
        fixture.put("secret", "hush\n");
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// A file that only its owner can read.
    pub fn put(&self, name: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("rights");
    }

    /// Reads a configuration as if it were the file `p.toml` here.
    pub fn parse(&self, text: &str) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        Config::parse(text, &self.path("p.toml"), &|name| match name {
            "ID" => Some("AKIA1".to_owned()),
            "SECRET" => Some("hush".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }
}

//! For tests here and in `cli`: a directory with everything that a configuration names.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;

use super::{Config, Problem};
use crate::net::authority::{
    AUTHORITY_LIFETIME, Authority, CERTIFICATE_FILE, LEAF_LIFETIME, REVOCATION_FILE,
};

/// The files of `palisade certs`, made once for all tests.
static CERTIFICATES: LazyLock<[(&str, String); 4]> = LazyLock::new(|| {
    let authority = Authority::new("testing", AUTHORITY_LIFETIME).expect("an authority");
    let names = ["localhost".to_owned()];
    let server = authority.issue_server(&names, LEAF_LIFETIME).expect("a certificate");
    [
        (CERTIFICATE_FILE, authority.certificate_pem().to_owned()),
        (REVOCATION_FILE, authority.revocation_list_pem().expect("a list")),
        ("server.pem", server.certificate_pem.clone()),
        ("server.key", server.key_pem.to_string()),
    ]
});

/// A directory that is removed when it is dropped.
pub(crate) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    /// With `ca.pem`, `crl.pem`, `server.pem`, `server.key`, and the secrets `id` and `secret`.
    pub(crate) fn new() -> Self {
        let fixture = Self { dir: TempDir::new().expect("a directory") };
        for (name, content) in CERTIFICATES.iter() {
            fixture.put(name, content);
        }
        fixture.put("id", "AKIA1\n");
        fixture.put("secret", "hush\n");
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// A file that only its owner can read.
    pub(crate) fn put(&self, name: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("rights");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file of the fixture")
    }

    /// Reads a configuration as if it were the file `p.toml` here.
    pub(crate) fn parse(&self, text: &str) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        self.parse_as("p.toml", text)
    }

    /// Reads a configuration as if it were that file here. No variable of the real
    /// environment is seen.
    pub(crate) fn parse_as(
        &self,
        name: &str,
        text: &str,
    ) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        Config::parse(text, &self.path(name), &|variable| match variable {
            "ID" | "AWS_ACCESS_KEY_ID" => Some("AKIA1".to_owned()),
            "SECRET" | "AWS_SECRET_ACCESS_KEY" => Some("hush".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }
}

//! The certificates of the tests' servers: made once for each test process.

use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::net::authority::Authority;
use crate::net::identity::Source;

const DAY: Duration = Duration::from_secs(86_400);

/// Removes the folder `$0` when its standard input ends.
const GUARD: &str = r#"read -r _; rm -rf -- "$0""#;

struct Site {
    dir: PathBuf,
    /// Removes the folder when the process ends.
    _guard: Option<ChildStdin>,
}

/// `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
pub(super) fn file(name: &str) -> PathBuf {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(site).dir.join(name)
}

fn site() -> Site {
    let dir = tempfile::Builder::new().prefix("palisade-redis-").tempdir();
    let dir = dir.expect("a folder").keep();
    let mut guard = Command::new("sh");
    let guard = guard.args(["-c", GUARD]).arg(&dir).stdin(Stdio::piped()).spawn();
    let guard = guard.expect("there is a shell").stdin;
    let authority = Authority::new("site", 1000 * DAY).expect("an authority");
    authority.save(&dir, false).expect("a folder");
    let server = authority.issue_server(&["localhost".into(), "127.0.0.1".into()], 90 * DAY);
    server.expect("a certificate").save(&dir, "server", true).expect("a folder");
    let client = authority.issue_client(Source::Cn, "palisade", 90 * DAY);
    client.expect("a certificate").save(&dir, "client", true).expect("a folder");
    Site { dir, _guard: guard }
}

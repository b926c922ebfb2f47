//! Files of operators and of Palisade itself: whatever is in them, it is told and not believed.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use crate::config::Config;
use crate::fence::{Holder, Mark, Resource, Token};
use crate::ledger::Ledger;
use crate::ledger::embedded::{self, Embedded};
use crate::net::authority::Authority;
use crate::net::identity::{Identity, Source};
use crate::net::tls::{self, ServerTls};

const DAY: Duration = Duration::from_secs(86_400);

/// Certificates to begin with, made once.
static AUTHORITY: LazyLock<(Authority, String, String)> = LazyLock::new(|| {
    let authority = Authority::new("fuzz", 1000 * DAY).expect("an authority");
    let names = ["localhost".to_owned()];
    let server = authority.issue_server(&names, 100 * DAY).expect("a certificate");
    (authority, server.certificate_pem.clone(), server.key_pem.to_string())
});

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a temporary directory");
}

fn at(name: &str) -> PathBuf {
    FOLDER.with(|folder| folder.path().join(name))
}

fn put(name: &str, bytes: &[u8]) -> PathBuf {
    let path = at(name);
    std::fs::write(&path, bytes).expect("the temporary directory takes a file");
    path
}

/// Any bytes as a client's certificate in DER.
///
/// # Panics
/// When a name is taken that is none of its kind.
pub fn certificate(data: &[u8]) {
    let der = CertificateDer::from(data);
    for source in Source::ALL {
        let Ok(identity) = Identity::from_certificate(&der, &[source]) else { continue };
        assert_eq!(identity.source, source);
        assert_eq!(source.check(&identity.name), Ok(()), "{identity:?}");
        assert!(!identity.name.contains(char::is_control), "{identity:?}");
        assert!(identity.fingerprint.len() == 64, "{identity:?}");
    }
    let _ = Identity::from_certificate(&der, &Source::ALL);
}

/// The first byte says in the place of which file of a listener the others stand.
///
/// # Panics
/// When something panics on the way.
pub fn tls_files(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    let (authority, certificate, key) = &*AUTHORITY;
    let list = authority.revocation_list_pem().expect("a list");
    let mut files = [
        ("server.pem", certificate.as_bytes()),
        ("server.key", key.as_bytes()),
        ("ca.pem", authority.certificate_pem().as_bytes()),
        ("crl.pem", list.as_bytes()),
    ];
    files[usize::from(which & 3)].1 = bytes;
    let [certificate, key, client_ca, crl] = files.map(|(name, bytes)| put(name, bytes));
    let identity = vec![Source::Spiffe];
    let tls = ServerTls { certificate, key, client_ca, crls: vec![crl], identity };
    for problem in tls::check(&tls) {
        assert!(!problem.to_string().contains("PRIVATE"), "{problem}");
    }
}

/// Any bytes as a configuration file.
///
/// # Panics
/// When something is wrong without its place.
pub fn config(data: &[u8]) {
    let path = put("palisade.toml", data);
    let problems = match Config::load(&path) {
        Ok((config, warnings)) => {
            assert!(!config.listeners.is_empty(), "nothing would be served");
            warnings
        }
        Err(problems) => {
            assert!(problems.iter().any(|problem| problem.is_error()), "{problems:?}");
            problems
        }
    };
    let lines = data.split(|byte| *byte == b'\n').count();
    for problem in problems {
        assert!(problem.line <= lines, "{problem}");
        assert!(problem.line == 0 || problem.column > 0, "{problem}");
        assert!(!problem.message.is_empty(), "{problem}");
    }
}

/// A sound ledger, as bytes.
static LEDGER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("ledger");
    let ledger = Embedded::open(&path, embedded::Settings::default()).expect("a ledger");
    let runtime = runtime();
    for (name, counter) in [("a", 3), ("b/c", 9)] {
        let resource = Resource::new(name).expect("a name");
        let to = Mark { token: Token::new(0, counter), holder: Holder::new("leader") };
        runtime.block_on(ledger.raise(&resource, &to, true));
    }
    runtime.block_on(ledger.close()).expect("nothing is in flight");
    drop(ledger);
    std::fs::read(&path).expect("the ledger's file")
});

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Damage to a ledger: triples of place and byte, or, with an odd first byte, a file of these
/// bytes.
///
/// # Panics
/// When a damaged file is believed with a smaller mark than it had, or panics.
pub fn ledger_file(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let is_foreign = first & 1 != 0;
    let mut bytes = if is_foreign { rest.to_vec() } else { LEDGER.clone() };
    if !is_foreign {
        let unit = if first & 2 != 0 { 512 } else { 1 };
        for change in rest.chunks_exact(4) {
            let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
            let at = (place + usize::from(change[2]) * 65_536) * unit % bytes.len();
            bytes[at] ^= change[3];
        }
        if first & 4 != 0 {
            let keep = rest.last().map_or(0, |last| usize::from(*last) * bytes.len() / 256);
            bytes.truncate(keep);
        }
    }
    let is_damaged = bytes != *LEDGER;
    // Each its own: the one before is closed by a thread of its own.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let path = put(&format!("ledger-{}", NEXT.fetch_add(1, Ordering::Relaxed)), &bytes);
    let opened = Embedded::open(&path, embedded::Settings::default());
    std::fs::remove_file(&path).expect("it was written just now");
    let ledger = match opened {
        Ok(ledger) => ledger,
        Err(error) => {
            assert!(is_damaged, "a sound ledger is refused: {error}");
            return;
        }
    };
    if is_foreign && bytes.is_empty() {
        return; // An empty file is a new ledger.
    }
    thread_local! {
        static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(runtime());
    }
    RUNTIME.with_borrow(|runtime| {
        for (name, counter) in [("a", 3), ("b/c", 9)] {
            let resource = Resource::new(name).expect("a name");
            // An error is fine: the write is refused.
            if let Ok(record) = runtime.block_on(ledger.load(&resource)) {
                let found = record.mark.token;
                assert_eq!(found, Token::new(0, counter), "the mark of {name} is lost");
            }
        }
    });
}

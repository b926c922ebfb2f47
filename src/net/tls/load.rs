//! From the bytes of a listener's files to a TLS configuration, or to everything that is
//! wrong with them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CipherSuite, RootCertStore, ServerConfig};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::error::{LoadError, Part, TlsError};
use super::files::Snapshot;
use super::remember::remembering;
use super::{Alpn, ServerTls};
use crate::net::identity;

/// What ends sooner than this is worth a warning.
pub const EXPIRY_NOTICE: Duration = Duration::from_secs(14 * 86_400);

/// What a listener's files say, ready for handshakes.
pub struct Loaded {
    /// For new connections.
    pub config: Arc<ServerConfig>,
    /// When the server certificate ends.
    pub not_after: SystemTime,
    /// When the first revocation list ends, if there is any.
    pub lists_until: Option<SystemTime>,
    pub(super) digest: [u8; 32],
    /// Of the authorities and revocation lists: as long as it is the same, so is the verdict
    /// on a client.
    pub(in crate::net) trust: [u8; 32],
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Loaded {
    /// Whether a client that was let in with this chain (its own certificate first) would be
    /// let in now.
    ///
    /// # Errors
    /// Why not: revoked, or from an authority that is not trusted any more.
    pub fn still_trusted(
        &self,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<(), rustls::Error> {
        let [leaf, intermediates @ ..] = chain else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(since);
        self.verifier.verify_client_cert(leaf, intermediates, now).map(|_| ())
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// The digest by which a change of any file shows.
pub(super) fn digest(snapshot: &Snapshot) -> [u8; 32] {
    snapshot.digest(&[Part::Certificate, Part::Key, Part::ClientCa, Part::Crl])
}

/// Builds it all, and tells every problem and warning on the way.
pub(super) fn load(
    tls: &ServerTls,
    alpn: &[Alpn],
    snapshot: &Snapshot,
    now: SystemTime,
) -> (Result<Loaded, LoadError>, Vec<TlsError>) {
    let mut found = Vec::new();
    let loaded = build(tls, alpn, snapshot, now, &mut found);
    let (warnings, errors): (Vec<_>, Vec<_>) = found.into_iter().partition(TlsError::is_warning);
    match loaded {
        Some(loaded) if errors.is_empty() => (Ok(loaded), warnings),
        _ => (Err(LoadError(errors)), warnings),
    }
}

fn build(
    tls: &ServerTls,
    alpn: &[Alpn],
    snapshot: &Snapshot,
    now: SystemTime,
    found: &mut Vec<TlsError>,
) -> Option<Loaded> {
    let (mut chain, mut key, mut authorities, mut lists) = (vec![], None, vec![], vec![]);
    let mut lists_until: Option<SystemTime> = None;
    for file in &snapshot.files {
        match file.part {
            Part::Certificate => {
                chain = file.certificates(found);
                server_certificate(&file.path, &chain, now, found);
            }
            Part::Key => key = file.key(found),
            Part::ClientCa => {
                authorities = file.certificates(found);
                for (i, authority) in authorities.iter().enumerate() {
                    certificate(file.part, &file.path, i + 1, authority, now, found);
                }
            }
            Part::Crl => {
                for (i, list) in file.lists(found).into_iter().enumerate() {
                    let until = revocation_list(&file.path, i + 1, &list, now, found);
                    lists_until = lists_until.into_iter().chain(until).min();
                    lists.push(list);
                }
            }
        }
    }
    let provider = Arc::new(provider());
    let verifier = verifier(tls, &provider, &authorities, lists, found);
    let certified = certified(tls, &provider, &chain, key, found);
    let not_after = X509Certificate::from_der(chain.first()?).ok()?.1;
    let not_after = identity::not_after(&not_after);
    let (verifier, certified) = (verifier?, certified?);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| found.push(TlsError::Setup { path: tls.certificate.clone(), error }))
        .ok()?;
    let mut config = config
        .with_client_cert_verifier(verifier.clone())
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // A resumed session would skip the verifier: a revoked or expired client, or one of an
    // authority that was removed, would come back in.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.ignore_client_order = true;
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.id().to_vec()).collect();
    Some(Loaded {
        config: Arc::new(config),
        not_after,
        lists_until,
        digest: digest(snapshot),
        trust: snapshot.digest(&[Part::ClientCa, Part::Crl]),
        verifier,
    })
}

/// aws-lc-rs by name, so that no other provider in the build can be taken; AES-128-GCM first,
/// which costs a few percent less than AES-256 and is not the weak part of anything.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    let algorithms = provider.signature_verification_algorithms;
    provider.signature_verification_algorithms = remembering(algorithms);
    provider
}

/// Revocation is checked for every certificate of a chain, and a list that has expired
/// refuses its authority's clients: it tells nothing of who was revoked since, and a door
/// that opens when its list is withheld is no door. Other servers hold it the same way.
fn verifier(
    tls: &ServerTls,
    provider: &Arc<CryptoProvider>,
    authorities: &[CertificateDer<'static>],
    lists: Vec<CertificateRevocationListDer<'static>>,
    found: &mut Vec<TlsError>,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for (i, authority) in authorities.iter().enumerate() {
        if let Err(error) = roots.add(authority.clone()) {
            found.push(unusable(Part::ClientCa, &tls.client_ca, i + 1, &error));
        }
    }
    if roots.is_empty() {
        return None;
    }
    if !lists.is_empty() {
        missing_lists(tls, authorities, &lists, found);
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        // Each root and each list was tried above, and named there if it is unusable.
        .ok()
}

fn certified(
    tls: &ServerTls,
    provider: &CryptoProvider,
    chain: &[CertificateDer<'static>],
    key: Option<rustls::pki_types::PrivateKeyDer<'static>>,
    found: &mut Vec<TlsError>,
) -> Option<CertifiedKey> {
    let key = match provider.key_provider.load_private_key(key?) {
        Ok(key) => key,
        Err(error) => {
            found.push(unusable(Part::Key, &tls.key, 1, &error));
            return None;
        }
    };
    if chain.is_empty() {
        return None;
    }
    let certified = CertifiedKey::new(chain.to_vec(), key);
    match certified.keys_match() {
        Ok(()) => Some(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let (certificate, key) = (tls.certificate.clone(), tls.key.clone());
            found.push(TlsError::KeyMismatch { certificate, key });
            None
        }
        Err(error) => {
            found.push(unusable(Part::Certificate, &tls.certificate, 1, &error));
            None
        }
    }
}

fn server_certificate(
    path: &Path,
    chain: &[CertificateDer<'_>],
    now: SystemTime,
    found: &mut Vec<TlsError>,
) {
    for (i, der) in chain.iter().enumerate() {
        certificate(Part::Certificate, path, i + 1, der, now, found);
    }
    let Some((_, leaf)) = chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok())
    else {
        return;
    };
    let named = leaf.subject_alternative_name().ok().flatten().is_some_and(|names| {
        let is_name = |n: &_| matches!(n, GeneralName::DNSName(_) | GeneralName::IPAddress(_));
        names.value.general_names.iter().any(is_name)
    });
    if !named {
        found.push(TlsError::Nameless { path: path.to_owned() });
    }
}

fn certificate(
    part: Part,
    path: &Path,
    number: usize,
    der: &CertificateDer<'_>,
    now: SystemTime,
    found: &mut Vec<TlsError>,
) {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        let detail = "it is not an X.509 certificate".to_owned();
        found.push(TlsError::Unusable { part, path: path.to_owned(), number, detail });
        return;
    };
    let validity = certificate.validity();
    let from = identity::time(validity.not_before.timestamp());
    dates(part, path, (Some(from), identity::not_after(&certificate)), now, found);
}

/// When the list ends; one without an end never does.
fn revocation_list(
    path: &Path,
    number: usize,
    der: &CertificateRevocationListDer<'_>,
    now: SystemTime,
    found: &mut Vec<TlsError>,
) -> Option<SystemTime> {
    if let Err(error) = webpki::OwnedCertRevocationList::from_der(der) {
        found.push(unusable(Part::Crl, path, number, &error));
        return None;
    }
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    let until = identity::time(list.next_update()?.timestamp());
    dates(Part::Crl, path, (None, until), now, found);
    Some(until)
}

fn dates(
    part: Part,
    path: &Path,
    (from, until): (Option<SystemTime>, SystemTime),
    now: SystemTime,
    found: &mut Vec<TlsError>,
) {
    let path = path.to_owned();
    if until <= now {
        found.push(TlsError::Expired { part, path, on: date(until) });
    } else if let Some(from) = from.filter(|from| *from > now) {
        found.push(TlsError::NotYetValid { part, path, from: date(from) });
    } else if until <= now + EXPIRY_NOTICE {
        found.push(TlsError::ExpiresSoon { part, path, on: date(until) });
    }
}

fn missing_lists(
    tls: &ServerTls,
    authorities: &[CertificateDer<'_>],
    lists: &[CertificateRevocationListDer<'_>],
    found: &mut Vec<TlsError>,
) {
    let parsed: Vec<_> =
        lists.iter().filter_map(|list| CertificateRevocationList::from_der(list).ok()).collect();
    for authority in authorities {
        let Ok((_, authority)) = X509Certificate::from_der(authority) else { continue };
        let own = |(_, list): &(&[u8], CertificateRevocationList<'_>)| {
            list.issuer().as_raw() == authority.subject().as_raw()
        };
        if !parsed.iter().any(own) {
            let authority = authority.subject().to_string();
            found.push(TlsError::ListMissing { path: tls.client_ca.clone(), authority });
        }
    }
}

fn unusable(part: Part, path: &Path, number: usize, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Unusable { part, path: path.to_owned(), number, detail: error.to_string() }
}

fn date(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "a far day".to_owned(), |t| t.to_string())
}

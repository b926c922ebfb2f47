//! Files that load and files that do not, and what is said of them.

use std::fs;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use rustls::CertificateError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::net::authority::Authority;
use crate::net::testing::{DAY, Site};

/// `mend` breaks the files of a good site; `expected` are words of each problem, in order.
fn check_files(break_it: impl FnOnce(&Site, &mut ServerTls), expected: &[&str]) {
    let site = Site::new();
    let mut tls = site.tls();
    break_it(&site, &mut tls);
    let found: Vec<_> = check(&tls).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
    let fatal = check(&tls).iter().any(|found| !found.is_warning());
    assert_eq!(TlsStore::open("l".into(), tls, &[]).is_err(), fatal);
}

fn write(site: &Site, file: &str, bytes: impl AsRef<[u8]>) {
    fs::write(site.path(file), bytes).unwrap();
}

#[test]
fn good_files_have_no_problem() {
    check_files(|_, _| {}, &[]);
    check_files(|_, tls| tls.crls.clear(), &[]);
}

#[test]
fn each_problem_names_the_file_and_the_mend() {
    check_files(
        |site, _| fs::remove_file(site.path("server.pem")).unwrap(),
        &["server.pem (`certificate`): No such file"],
    );
    check_files(|site, tls| tls.key = site.dir.path().into(), &["(`key`): it is not a file"]);
    check_files(
        |_, tls| std::mem::swap(&mut tls.certificate, &mut tls.key),
        &["are `certificate` and `key` swapped?", "are `certificate` and `key` swapped?"],
    );
    check_files(|site, _| write(site, "server.key", ""), &["no private key; it is empty"]);
    check_files(
        |site, _| {
            write(
                site,
                "server.key",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            )
        },
        &["openssl pkey -in"],
    );
    check_files(
        |site, _| {
            let key = fs::read(site.path("server.key")).unwrap();
            write(site, "server.key", &key[..key.len() / 2]);
        },
        &["server.key (`key`) is damaged PEM: its last section has no end"],
    );
    check_files(
        |site, _| {
            let key = site.client("a").key_pem;
            write(site, "server.key", key.as_bytes());
        },
        &["server.key is not the key of the first certificate in"],
    );
    check_files(
        |site, _| write(site, "ca.pem", "nothing\n"),
        &["ca.pem (`client_ca`) has no cert"],
    );
    check_files(
        |site, _| write(site, "crl.pem", [0x30, 0x03, 1, 1, 1]),
        &["crl.pem (`crls`) has no certificate revocation list; it is DER"],
    );
    for (file, section, word) in [
        ("crl.pem", "X509 CRL", "list number 1 cannot be used"),
        ("ca.pem", "CERTIFICATE", "certificate number 1 cannot be used: it is not an X.509"),
        ("server.key", "PRIVATE KEY", "private key number 1 cannot be used"),
    ] {
        let text = format!("-----BEGIN {section}-----\nMAMBAf8=\n-----END {section}-----\n");
        let site = Site::new();
        write(&site, file, text);
        let found: Vec<_> = check(&site.tls()).iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|found| found.contains(word)), "{found:?}");
    }
}

#[test]
fn problems_are_told_together() {
    check_files(
        |site, tls| {
            tls.certificate = site.path("no.pem");
            tls.key = site.path("no.key");
            tls.client_ca = site.path("no-ca.pem");
            tls.crls = vec![site.path("no-crl.pem"), site.path("ca.pem")];
        },
        &["no.pem", "no.key", "no-ca.pem", "no-crl.pem", "ca.pem (`crls`) has no"],
    );
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    check_files(
        |site, _| {
            let file = fs::File::create(site.path("server.pem")).unwrap();
            file.set_len(PEM_BYTES_MAX + 1).unwrap();
        },
        &["is larger than 4194304 bytes"],
    );
    check_files(|_, tls| tls.client_ca = "/dev/zero".into(), &["it is not a file"]);
}

#[test]
fn what_loads_and_will_not_work_is_warned_of() {
    let names = ["localhost".to_owned()];
    check_files(
        |site, _| {
            let short = site.authority.issue_server(&names, 2 * DAY).unwrap();
            short.save(site.dir.path(), "server", true).unwrap();
        },
        &["server.pem (`certificate`) expires on"],
    );
    check_files(
        |site, _| {
            let client = site.client("a");
            client.save(site.dir.path(), "server", true).unwrap();
        },
        &["no DNS name and no IP address"],
    );
    check_files(
        |site, tls| {
            let other = Authority::new("other", 100 * DAY).unwrap();
            other.save(&site.path("other"), false).unwrap();
            tls.crls = vec![site.path("other/crl.pem")];
        },
        &["no list in `crls` is from the authority \"CN=site\""],
    );
    let site = Site::new();
    let later = SystemTime::now() + 1001 * DAY;
    let (loaded, warnings) =
        load::load(&site.tls(), &[], &files::Snapshot::take(&site.tls()), later);
    assert!(loaded.is_ok());
    let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    for (shown, word) in shown.iter().zip(["certificate", "client_ca", "crls"]) {
        assert!(shown.contains(&format!("(`{word}`) has expired on 20")), "{shown}");
    }
    assert_eq!(shown.len(), 3);
}

#[tokio::test]
async fn a_reload_takes_the_new_and_keeps_the_old_when_the_new_is_broken() {
    let site = Site::new();
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let store = metrics::with_local_recorder(&recorder, || {
        TlsStore::open("l".into(), site.tls(), &[Alpn::Http2]).unwrap()
    });
    let told = |line: &str| {
        let text = metrics.render();
        assert!(text.lines().any(|found| found == line), "no {line:?} in {text}");
    };
    let first = store.current();
    assert!(!store.reload().await.unwrap(), "nothing has changed");

    let certificate = fs::read(site.path("server.pem")).unwrap();
    write(&site, "server.pem", &certificate[..100]);
    let error = store.reload().await.unwrap_err().to_string();
    assert!(error.contains("server.pem (`certificate`) is damaged PEM"), "{error}");
    assert!(std::sync::Arc::ptr_eq(&first, &store.current()));
    told("palisade_tls_reload_failing{listener=\"l\"} 1");
    told("palisade_tls_reloads_total{listener=\"l\",result=\"failed\"} 1");

    write(&site, "server.pem", &certificate);
    assert!(!store.reload().await.unwrap());
    told("palisade_tls_reload_failing{listener=\"l\"} 0");

    site.renew_server();
    assert!(store.reload().await.unwrap());
    assert!(!std::sync::Arc::ptr_eq(&first, &store.current()));
    told("palisade_tls_reloads_total{listener=\"l\",result=\"ok\"} 1");
    let until = store.current().not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    told(&format!(
        "palisade_tls_certificate_expiry_timestamp_seconds{{listener=\"l\"}} {}",
        until.as_secs()
    ));
}

#[tokio::test]
async fn changes_are_followed_without_being_told_also_through_links() {
    let site = Site::new();
    // The way that Kubernetes mounts a secret: the file is a link into a folder that is a link.
    let (old, new) = (site.path("..1"), site.path("..2"));
    for dir in [&old, &new] {
        site.renew_server();
        fs::create_dir(dir).unwrap();
        for file in ["server.pem", "server.key"] {
            fs::copy(site.path(file), dir.join(file)).unwrap();
        }
    }
    let data = site.path("..data");
    std::os::unix::fs::symlink(&old, &data).unwrap();
    let mut tls = site.tls();
    (tls.certificate, tls.key) = (data.join("server.pem"), data.join("server.key"));
    let store = TlsStore::open("l".into(), tls, &[]).unwrap();
    let mut seen = store.subscribe();
    seen.borrow_and_update();
    let following = store.follow(Duration::from_millis(10));
    let swapped = async {
        let beside = site.path("..tmp");
        std::os::unix::fs::symlink(&new, &beside).unwrap();
        fs::rename(&beside, &data).unwrap();
        tokio::time::timeout(Duration::from_secs(10), seen.changed()).await
    };
    tokio::select! {
        () = following => unreachable!(),
        changed = swapped => changed.unwrap().unwrap(),
    }
}

#[test]
fn a_list_that_has_expired_or_is_missing_refuses_its_clients() {
    let site = Site::new();
    let a = site.client("a");
    let chain = [CertificateDer::from_pem_slice(a.certificate_pem.as_bytes()).unwrap()];
    let trusted = |tls: &ServerTls| {
        let store = TlsStore::open("l".into(), tls.clone(), &[]).unwrap();
        store.current().still_trusted(&chain, SystemTime::now())
    };
    assert_eq!(trusted(&site.tls()), Ok(()));
    let mut other_list = site.tls();
    Authority::new("other", 100 * DAY).unwrap().save(&site.path("other"), false).unwrap();
    other_list.crls = vec![site.path("other/crl.pem")];
    let error = trusted(&other_list).unwrap_err();
    assert_eq!(error, CertificateError::UnknownRevocationStatus.into());

    let key = fs::read_to_string(site.path("ca.key")).unwrap();
    let key = rcgen::KeyPair::from_pem(&key).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(site.authority.certificate_pem(), key).unwrap();
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(2020, 1, 2),
        crl_number: 7.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    write(&site, "crl.pem", list.signed_by(&issuer).unwrap().pem().unwrap());
    assert!(check(&site.tls())[0].to_string().contains("(`crls`) has expired on 2020-01-02"));
    let error = trusted(&site.tls()).unwrap_err();
    assert!(
        matches!(
            error,
            rustls::Error::InvalidCertificate(
                CertificateError::ExpiredRevocationListContext { .. }
            )
        ),
        "{error:?}"
    );
}

#[test]
fn no_key_shows_in_debug() {
    let site = Site::new();
    let issued = site.client("a");
    let store = TlsStore::open("l".into(), site.tls(), &[]).unwrap();
    let shown = format!("{issued:?} {:?} {store:?} {:?}", site.authority, store.current());
    assert!(!shown.contains("KEY") && shown.len() < 1000, "{shown}");
}

//! The folder of an authority: written once, read back, revoked from.

use std::os::unix::fs::PermissionsExt as _;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::net::identity::Identity;

const DAY: Duration = Duration::from_secs(86_400);

fn authority() -> Authority {
    Authority::new("test authority", 10 * DAY).unwrap()
}

#[test]
fn a_folder_is_never_overwritten_unless_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("ca");
    let first = authority();
    first.save(&dir, false).unwrap();
    let error = authority().save(&dir, false).unwrap_err();
    assert!(error.to_string().contains("ca.key is there already"), "{error}");
    assert_eq!(Authority::load(&dir).unwrap().certificate_pem(), first.certificate_pem());
    authority().save(&dir, true).unwrap();
    assert_ne!(Authority::load(&dir).unwrap().certificate_pem(), first.certificate_pem());

    let leaf = first.issue_server(&["localhost".into()], DAY).unwrap();
    // One of the two files is enough to refuse, and then neither is written.
    std::fs::write(dir.join("server.pem"), "precious").unwrap();
    leaf.save(&dir, "server", false).unwrap_err();
    assert!(!dir.join("server.key").exists());
    assert_eq!(std::fs::read_to_string(dir.join("server.pem")).unwrap(), "precious");
    leaf.save(&dir, "server", true).unwrap();
    for (file, mode) in [("ca.key", 0o600), ("server.key", 0o600)] {
        let found = std::fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file}");
    }
    assert!(std::fs::read_dir(&dir).unwrap().count() == 5, "no temporary file is left");
}

#[test]
fn clients_get_the_identity_that_was_asked_for() {
    let authority = authority();
    for (source, name) in [
        (Source::Spiffe, "spiffe://example.org/db/a"),
        (Source::Dns, "a.example.org"),
        (Source::Email, "a@example.org"),
        (Source::Cn, "Grüße"),
    ] {
        assert_eq!(Source::guess(name), source);
        let issued = authority.issue_client(source, name, DAY).unwrap();
        let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
        let identity = Identity::from_certificate(&der, &Source::ALL).unwrap();
        assert_eq!((&*identity.name, identity.source), (name, source));
        assert_eq!(*identity.serial, *issued.serial);
    }
}

#[test]
fn what_cannot_be_issued_is_refused() {
    let authority = authority();
    let check = |result: Result<Issued, AuthorityError>, word: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    };
    check(authority.issue_client(Source::Spiffe, "spiffe://example.org", DAY), "no path");
    check(authority.issue_client(Source::Dns, "*.example.org", DAY), "wildcard");
    check(authority.issue_client(Source::Cn, "a", 11 * DAY), "ends in 9 days");
    check(authority.issue_client(Source::Cn, "a", Duration::ZERO), "at least a second");
    check(authority.issue_client(Source::Cn, "a", Duration::MAX), "100 years");
    check(authority.issue_server(&[], DAY), "from 1 to 100 names");
    check(authority.issue_server(&["a b".into()], DAY), "\"a b\"");
    for name in ["127.0.0.1", "::1", "localhost", "*.example.org"] {
        authority.issue_server(&[name.into()], DAY).unwrap();
    }
}

#[test]
fn a_revocation_list_outlives_the_process_and_keeps_every_entry() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    authority().save(dir, false).unwrap();
    let issued: Vec<_> = (0..3)
        .map(|_| Authority::load(dir).unwrap().issue_client(Source::Cn, "a", DAY).unwrap())
        .collect();
    assert!(Authority::revoke_in(dir, &issued[0].serial).unwrap());
    assert!(!Authority::revoke_in(dir, &issued[0].serial.to_uppercase()).unwrap());
    assert!(Authority::revoke_in(dir, &issued[1].serial).unwrap());
    let loaded = Authority::load(dir).unwrap();
    let listed: Vec<_> = loaded.revoked.iter().map(|entry| hex(&entry.serial)).collect();
    assert_eq!(listed, [issued[0].serial.clone(), issued[1].serial.clone()]);
    assert_eq!(loaded.list_number, 3);
}

#[test]
fn serial_numbers_are_read_as_tools_print_them() {
    for (text, bytes) in [("0a1B", &[0x0a, 0x1b][..]), ("00:f0:01", &[0xf0, 1]), ("1", &[1])] {
        assert_eq!(files::serial_bytes(text).unwrap(), bytes, "{text}");
    }
    for text in ["", "0", "xyz", "+1", "é", &"1".repeat(65)] {
        files::serial_bytes(text).unwrap_err();
    }
}

#[test]
fn a_folder_that_is_no_authority_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let check = |word: &str| {
        let error = Authority::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    };
    check("no ca.key");
    authority().save(dir.path(), false).unwrap();
    let list = std::fs::read(dir.path().join(REVOCATION_FILE)).unwrap();
    std::fs::remove_file(dir.path().join(REVOCATION_FILE)).unwrap();
    check("no crl.pem");
    std::fs::write(dir.path().join(REVOCATION_FILE), &list[..list.len() / 2]).unwrap();
    check("crl.pem is not the revocation list");
    std::fs::write(dir.path().join(REVOCATION_FILE), &list).unwrap();
    let other = authority().issue_client(Source::Cn, "a", DAY).unwrap();
    std::fs::write(dir.path().join(KEY_FILE), other.key_pem.as_bytes()).unwrap();
    check("ca.key is not the key of the ca.pem");
    std::fs::write(dir.path().join(CERTIFICATE_FILE), other.certificate_pem).unwrap();
    check("ca.pem is not an authority's certificate");
}

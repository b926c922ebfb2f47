//! Certificates of every make, and who they name.

use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

use super::*;

#[derive(Clone, Copy)]
enum Field<'a> {
    Cn(&'a str),
    BmpCn(&'a str),
    SecondCn(&'a str),
    Dns(&'a str),
    Email(&'a str),
    Uri(&'a str),
}
use Field::{BmpCn, Cn, Dns, Email, SecondCn, Uri};

fn certificate(fields: &[Field<'_>]) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for field in fields {
        let ia5 = |text: &str| text.try_into().unwrap();
        match field {
            Cn(name) => params.distinguished_name.push(DnType::CommonName, *name),
            BmpCn(name) => params
                .distinguished_name
                .push(DnType::CommonName, DnValue::BmpString((*name).try_into().unwrap())),
            // rcgen keeps one name of each type, so the second one goes by its number.
            SecondCn(name) => {
                params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), *name)
            }
            Dns(name) => params.subject_alt_names.push(SanType::DnsName(ia5(name))),
            Email(name) => params.subject_alt_names.push(SanType::Rfc822Name(ia5(name))),
            Uri(name) => params.subject_alt_names.push(SanType::URI(ia5(name))),
        }
    }
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

/// `expected` is `source name`, or else a word of the error.
fn check(order: &[Source], fields: &[Field<'_>], expected: &str) {
    let result = Identity::from_certificate(&certificate(fields), order);
    let shown = match &result {
        Ok(identity) => format!("{} {}", identity.source.word(), identity.name),
        Err(error) => error.to_string(),
    };
    if result.is_ok() {
        assert_eq!(shown, expected);
    } else {
        assert!(shown.contains(expected), "{shown:?} does not say {expected:?}");
    }
}

const ALL: &[Source] = &Source::ALL;
const ID: &str = "spiffe://example.org/db/a";

#[test]
fn the_first_source_that_is_there_decides() {
    check(ALL, &[Uri(ID), Dns("a.example.org"), Cn("a")], "spiffe spiffe://example.org/db/a");
    check(ALL, &[Dns("a.example.org"), Cn("a")], "dns a.example.org");
    check(ALL, &[Email("a@example.org"), Cn("a")], "email a@example.org");
    check(ALL, &[Cn("Grüße")], "cn Grüße");
    check(&[Source::Cn, Source::Spiffe], &[Uri(ID), Cn("a")], "cn a");
    check(&[Source::Spiffe, Source::Cn], &[Uri("https://example.org/x"), Cn("a")], "cn a");
    check(&[Source::Cn], &[Dns("a"), Dns("b"), Cn("a")], "cn a");
}

#[test]
fn what_is_not_there_is_not_guessed() {
    check(&[Source::Spiffe, Source::Dns], &[Cn("a")], "(spiffe, dns)");
    check(ALL, &[], "none of the names");
    check(&[], &[Cn("a")], "none of the names");
}

#[test]
fn two_names_are_ambiguous_even_when_another_source_could_decide() {
    check(ALL, &[Uri(ID), Uri("spiffe://example.org/db/b"), Cn("a")], "has 2 names");
    check(ALL, &[Uri(ID), Uri("https://example.org/"), Cn("a")], "has 2 names");
    check(ALL, &[Dns("a.example.org"), Dns("b.example.org"), Cn("a")], "has 2 names");
    check(ALL, &[Dns("a.example.org"), Dns("a.example.org")], "has 2 names");
    check(ALL, &[Email("a@x.org"), Email("b@x.org")], "has 2 names");
    check(ALL, &[Cn("a"), SecondCn("b")], "has 2 names");
    check(ALL, &[Dns("a"), Cn("a"), SecondCn("b")], "dns a");
}

#[test]
fn malformed_names_are_refused_not_passed_over() {
    for uri in [
        "SPIFFE://example.org/a",
        "spiffe:example.org/a",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/a/",
        "spiffe://example.org/a//b",
        "spiffe://example.org/../b",
        "spiffe://example.org/a%2fb",
        "spiffe://example.org/a?b",
        "spiffe://example.org:80/a",
        "spiffe://user@example.org/a",
        "spiffe://Example.org/a",
        "spiffe:///a",
    ] {
        check(ALL, &[Uri(uri), Cn("a")], "SPIFFE ID");
    }
    for dns in ["", "*.example.org", "a..b", ".a", "a.", "-a", "a-", "a b", "a/b", "a\u{1}b"] {
        check(ALL, &[Dns(dns), Cn("a")], "DNS name");
    }
    check(ALL, &[Dns(&"a".repeat(64))], "DNS name");
    for email in ["", "a", "@example.org", "a@", "a b@example.org", "a@b@example.org"] {
        check(ALL, &[Email(email), Cn("a")], "e-mail address");
    }
    for cn in ["", " a", "a ", "a\nb", "a\0b", "a\u{85}b", "spiffe://example.org/db/a"] {
        check(ALL, &[Cn(cn)], "common name");
    }
    check(ALL, &[BmpCn("a")], "not UTF-8");
}

#[test]
fn a_name_may_have_256_bytes_and_no_more() {
    let id = |length: usize| format!("spiffe://e/{}", "a".repeat(length - 11));
    check(ALL, &[Uri(&id(256))], &format!("spiffe {}", id(256)));
    check(ALL, &[Uri(&id(257))], "longer than 256 bytes");
    let error = Identity::from_certificate(&certificate(&[Cn(&"ü".repeat(5000))]), ALL);
    assert!(error.unwrap_err().to_string().len() < 1000);
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let good = certificate(&[Cn("a")]);
    let mut long = good.to_vec();
    long.push(0);
    for bytes in [vec![], vec![0x30], good[..good.len() - 1].to_vec(), long] {
        let result = Identity::from_certificate(&bytes.into(), ALL);
        assert_eq!(result.unwrap_err(), IdentityError::Unreadable);
    }
}

#[test]
fn a_name_that_is_not_ascii_in_the_alternative_names_is_refused() {
    // rcgen cannot make one, so the bytes of a good one are changed; nobody looks at the
    // signature here.
    let mut der = certificate(&[Dns("abcdef.example.org")]).to_vec();
    let at = der.windows(6).position(|bytes| bytes == b"abcdef").unwrap();
    der[at] = 0xff;
    let result = Identity::from_certificate(&der.into(), &[Source::Cn, Source::Dns]);
    assert_eq!(result.unwrap_err(), IdentityError::MalformedAlternativeName);
}

#[test]
fn serial_fingerprint_and_end_are_as_openssl_shows_them() {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "a");
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0xf0, 0x01]));
    params.not_after = rcgen::date_time_ymd(2038, 1, 20);
    let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
    let identity = Identity::from_certificate(&der, &[Source::Cn]).unwrap();
    assert_eq!(&*identity.serial, "f001");
    assert_eq!(identity.fingerprint.len(), 64);
    assert_eq!(&*identity.fingerprint, fingerprint(&der));
    let seconds = identity.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(seconds, 2_147_558_400);
}

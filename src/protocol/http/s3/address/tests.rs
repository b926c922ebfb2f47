//! Hosts and paths, one table: what is addressed, or that it is refused.

use proptest::prelude::*;

use super::*;

const DOMAINS: [&str; 2] = ["example.com", "s3.example.com"];

fn domains() -> Vec<String> {
    DOMAINS.map(str::to_owned).to_vec()
}

/// `expected` is the target, or `""` for refused.
#[track_caller]
fn check(host: &str, path: &str, expected: &str) {
    let resolved = resolve(host, path, &domains());
    match expected {
        "" => assert!(resolved.is_err(), "{host} {path}: {resolved:?}"),
        _ => assert_eq!(resolved.map(|a| a.target()).as_deref(), Ok(expected), "{host} {path}"),
    }
}

#[test]
fn paths() {
    for (path, expected) in [
        ("/", "/"),
        ("/bucket", "/bucket"),
        ("/bucket/", "/bucket"),
        ("/bucket/k", "/bucket/k"),
        ("/bucket/a/b/", "/bucket/a/b/"),
        ("/bucket/a+b%2Bc%20d", "/bucket/a+b+c d"),
        ("/bucket/%C3%A9", "/bucket/é"),
        ("/bucket/.hidden/..x/x..", "/bucket/.hidden/..x/x.."),
        ("/bucket/t=00%253A00%2520", "/bucket/t=00%3A00%20"),
        ("/bucket/100%25", "/bucket/100%"),
        ("/bucket/100%25of", "/bucket/100%of"),
        // Ambiguous.
        ("", ""),
        ("bucket/k", ""),
        ("//bucket/k", ""),
        ("/bucket//k", ""),
        ("/bucket/a//b", ""),
        ("/bucket/a//", ""),
        ("/bucket/../other/k", ""),
        ("/bucket/a/../b", ""),
        ("/bucket/a/./b", ""),
        ("/bucket/..", ""),
        ("/bucket/../", ""),
        ("/bucket/.", ""),
        ("/./bucket/k", ""),
        ("/../bucket/k", ""),
        ("/bucket/%2e%2E/b", ""),
        ("/bucket/a%2fb", ""),
        ("/bucket/a%2Fb", ""),
        ("/bucket/a%2F..%2Fb", ""),
        ("/bucket%2Fk", ""),
        ("/%62ucket/k", ""),
        ("/bucket/a%252fb", ""),
        ("/bucket/a%25%32fb", ""),
        ("/bucket/%252e%252e/b", ""),
        ("/bucket/%2541", ""),
        ("/bucket/%25252F", ""),
        ("/bucket/a%2500", ""),
        ("/bucket/a%00b", ""),
        ("/bucket/a%0Ab", ""),
        ("/bucket/a%7Fb", ""),
        ("/bucket/a%C2%85b", ""),
        ("/bucket/a%zz", ""),
        ("/bucket/a%", ""),
        ("/bucket/a%2", ""),
        ("/bucket/%FF", ""),
        ("/bucket/é", ""),
        ("/bucket/a\\b", ""),
        ("/bucket/a b", ""),
        // Not buckets.
        ("/Bucket/k", ""),
        ("/bu/k", ""),
        ("/-bucket/k", ""),
        ("/bucket-/k", ""),
        ("/buc_ket/k", ""),
        ("/buc..ket/k", ""),
        ("/10.0.0.1/k", ""),
        ("/tenant:bucket/k", ""),
    ] {
        check("proxy", path, expected);
    }
    check("proxy", &format!("/{}/k", "b".repeat(63)), &format!("/{}/k", "b".repeat(63)));
    check("proxy", &format!("/{}/k", "b".repeat(64)), "");
    check(
        "proxy",
        &format!("/bucket/{}", "k".repeat(1024)),
        &format!("/bucket/{}", "k".repeat(1024)),
    );
    check("proxy", &format!("/bucket/{}", "k".repeat(1025)), "");
}

#[test]
fn hosts() {
    for (host, expected) in [
        ("example.com", "/orders/k"),
        ("s3.example.com:9000", "/orders/k"),
        ("S3.EXAMPLE.COM.", "/orders/k"),
        ("bucket.s3.example.com", "/bucket/orders/k"),
        ("Bucket.S3.Example.com:443", "/bucket/orders/k"),
        ("bucket.s3.example.com.", "/bucket/orders/k"),
        ("a.b.c.s3.example.com", "/a.b.c/orders/k"),
        ("bucket.example.com", "/bucket/orders/k"),
        // Looks like a domain and is none.
        ("bucket-s3.example.org", "/orders/k"),
        ("evils3.example.com", "/evils3/orders/k"),
        ("notexample.com", "/orders/k"),
        ("bucket.s3.example.com.evil.org", "/orders/k"),
        ("127.0.0.1:8080", "/orders/k"),
        ("[::1]:8080", "/orders/k"),
        ("[::1]", "/orders/k"),
        // Refused rather than taken for path style.
        (".s3.example.com", ""),
        ("..s3.example.com", ""),
        ("buc_ket.s3.example.com", ""),
        ("b.s3.example.com", ""),
        ("", ""),
        (":80", ""),
        ("a:b", ""),
        ("a:1:2", ""),
        ("a@b", ""),
        ("a/b", ""),
        ("[::1", ""),
        ("[::1]x", ""),
        ("[evil]", ""),
        ("bücket.s3.example.com", ""),
    ] {
        check(host, "/orders/k", expected);
    }
    check("bucket.s3.example.com", "/", "/bucket");
    check("bucket.s3.example.com", "//k", "");
    check("bucket.s3.example.com", "/../k", "");
    let address = resolve("bucket.example.com", "/k", &domains()).unwrap();
    assert_eq!(address.style, Style::VirtualHost);
    assert_eq!(resolve("proxy", "/bucket/k", &domains()).unwrap().style, Style::Path);
}

#[test]
fn only_hosts_that_the_store_reads_alike_are_known() {
    for (host, known) in [
        ("example.com", true),
        ("bucket.example.com:9", true),
        ("10.0.0.1:9000", true),
        ("[::1]:9000", true),
        ("bucket.s3.elsewhere.net", false),
        ("badexample.com", false),
        ("", false),
    ] {
        assert_eq!(is_known_host(host, &domains()), known, "{host}");
    }
}

#[test]
fn the_forwarded_path_is_canonical() {
    let address = resolve("bucket.example.com", "/a;b/%7e+%20", &domains()).unwrap();
    assert_eq!(address.canonical_path(), "/bucket/a%3Bb/~%2B%20");
}

#[test]
fn the_last_segment_of_a_prefix_is_free() {
    for (prefix, ok) in [
        ("", true),
        ("a/", true),
        (".", true),
        ("a/..", true),
        ("a//", false),
        ("../a", false),
        ("a\n", false),
    ] {
        assert_eq!(check_prefix(prefix).is_ok(), ok, "{prefix:?}");
    }
}

proptest! {
    #[test]
    fn nothing_panics_and_what_passes_reads_the_same_again(host in ".{0,30}", path in "(/|/bucket/)[ -~é]{0,40}") {
        let _ = resolve(&host, &path, &domains());
        if let Ok(address) = resolve("proxy", &path, &[]) {
            let again = resolve("proxy", &address.canonical_path(), &[]);
            prop_assert_eq!(again, Ok(address));
        }
    }

    /// A store or an intermediary that folds or decodes once more sees the same segments.
    #[test]
    fn no_second_reading_moves_a_boundary(path in "/bucket/(a|/|[.]|%252|%25|2|5|[eEfF]|%2[eE]){1,8}") {
        if let Ok(address) = resolve("proxy", &path, &[]) {
            let key = address.key.unwrap_or_default();
            let twice = percent_encoding::percent_decode_str(&key).decode_utf8_lossy();
            prop_assert_eq!(twice.matches('/').count(), key.matches('/').count());
            prop_assert!(!twice.split('/').any(|s| s == "." || s == ".."));
        }
    }
}

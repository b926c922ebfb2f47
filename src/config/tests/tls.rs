//! What is wrong with the files of TLS, each thing told once and in its place.

use super::{BASE, Fixture, said};
use crate::net::authority::{AUTHORITY_LIFETIME, Authority, LEAF_LIFETIME};

#[test]
fn a_key_that_everyone_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    let rights = PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(fixture.path("server.key"), rights).expect("rights");
    let expected = "14:7 warning: every user of this machine can read or change this file\n    \
                    take the rights of others away: `chmod o-rwx`";
    assert_eq!(said(&fixture, BASE), expected);
}

#[test]
fn files_that_do_not_load_are_told_once() {
    let fixture = Fixture::new();
    let say = |tls: &str| {
        let old = "certificate = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"";
        said(&fixture, &BASE.replace(old, tls))
    };
    let server = fixture.read("server.pem");
    fixture.put("cut.pem", &server[..server.len() / 2]);
    let other = Authority::new("other", AUTHORITY_LIFETIME).expect("an authority");
    let issued = other.issue_server(&["a".to_owned()], LEAF_LIFETIME).expect("a certificate");
    fixture.put("other.key", &issued.key_pem);
    fixture.put("other-crl.pem", &other.revocation_list_pem().expect("a list"));

    let cut = "13:15 error: DIR/cut.pem (`certificate`) is damaged PEM: its last section has no end\n    \
               copy it again";
    let tls = "certificate = \"cut.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"";
    assert_eq!(say(tls), cut);
    // What is there is looked at, whatever else is not.
    let no_key =
        "12:1 error: [listeners.objects.tls] has no `key`\n    add `key = \"server.key\"\n";
    let tls = "certificate = \"cut.pem\"\nclient_ca = \"ca.pem\"";
    assert_eq!(say(tls), format!("{}`\n{cut}", no_key.trim_end()));
    let tls = "certificate = \"server.pem\"\nkey = \"other.key\"\nclient_ca = \"ca.pem\"";
    assert_eq!(
        say(tls),
        "14:7 error: DIR/other.key is not the key of the first certificate in DIR/server.pem\n    \
         install the two together, the server's own certificate before those of its authorities"
    );
    let tls = "certificate = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"\n";
    let lacking = "16:8 warning: no list in `crls` is from the authority \"CN=testing\" in DIR/ca.pem: \
                   its clients will be refused\n    add its list";
    assert_eq!(say(&format!("{tls}crls = [\"other-crl.pem\"]")), lacking);
    let missing = "16:26 error: DIR/no.pem cannot be read: there is no such file\n    \
                   `palisade certs` makes certificates; relative paths start at the directory of this file";
    assert_eq!(say(&format!("{tls}crls = [\"other-crl.pem\", \"no.pem\"]")), missing);
}

#[test]
fn files_of_a_store_are_loaded() {
    let fixture = Fixture::new();
    let say = |tls: &str| {
        let text = BASE.replace("http://", "https://");
        let tls = format!("[upstreams.minio.tls]\n{tls}\n[upstreams.minio.s3]");
        said(&fixture, &text.replace("[upstreams.minio.s3]", &tls))
    };
    let ca = fixture.read("ca.pem");
    fixture.put("cut.pem", &ca[..ca.len() / 2]);
    fixture.put("odd.pem", "-----BEGIN CERTIFICATE-----\nMAMBAf8=\n-----END CERTIFICATE-----\n");
    let other = Authority::new("other", AUTHORITY_LIFETIME).expect("an authority");
    let issued = other.issue_server(&["a".to_owned()], LEAF_LIFETIME).expect("a certificate");
    fixture.put("other.key", &issued.key_pem);
    let key = fixture.read("server.key");
    fixture.put("cut.key", &key[..key.len() / 2]);

    let pair = "certificate = \"server.pem\"\nkey = ";
    assert_eq!(say(&format!("ca = \"ca.pem\"\n{pair}\"server.key\"")), "");
    let missing = "6:6 error: DIR/no.pem cannot be read: there is no such file\n    \
                   `palisade certs` makes certificates; relative paths start at the directory of this file";
    assert_eq!(say("ca = \"no.pem\""), missing);
    let cut = "6:6 error: cannot read DIR/cut.pem: its last section has no end; give a PEM file\n    \
               make or copy the file again";
    assert_eq!(say("ca = \"cut.pem\""), cut);
    let odd = say("ca = \"odd.pem\"");
    assert!(odd.starts_with("6:6 error: TLS to the upstream cannot be set up: "), "{odd}");
    let cut = say(&format!("{pair}\"cut.key\""));
    assert!(cut.starts_with("7:7 error: cannot read DIR/cut.key: its last section"), "{cut}");
    let unpaired = say(&format!("{pair}\"other.key\""));
    assert!(unpaired.starts_with("6:15 error: TLS to the upstream cannot"), "{unpaired}");
}

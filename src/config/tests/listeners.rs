//! What is wrong with listeners, upstreams, their files and secrets.

use super::check;

#[test]
fn listeners_upstreams_files_and_secrets() {
    check(
        &[(r#"upstream = "minio""#, r#"upstream = "mino""#)],
        r#"
11:12 error: there is no upstream "mino"
    did you mean "minio"?
"#,
    );
    check(
        &[(
            r#"upstream = "minio""#,
            r#"upstream = "x"
prefix="/p"
token_header="Host"
domains=["a:80"]
"#,
        )],
        r#"
11:12 error: there is no upstream "x"
    there are: minio
12:8 error: `prefix` cannot be kept apart from the store's own paths
    one segment of letters and digits after `/.`, such as "/.palisade"
13:14 error: `token_header` is a header that means something else already
    such as "Fencing-Token"
14:10 error: `domains` has something that is no domain
    write `s3.example.org` for buckets at `BUCKET.s3.example.org`, without port
"#,
    );
    check(
        &[(
            r#"protocol = "s3""#,
            r#"protocol = "http"
domains = ["a"]"#,
        )],
        r#"
9:12 warning: requests are not signed: the listener speaks plain HTTP, not S3
    write `protocol = "s3"`, or leave the upstream's s3 table out
10:11 error: `domains` is for `protocol = "s3"` only
    leave it out
"#,
    );
    check(
        &[(r#"protocol = "s3""#, r#"protocol = "ftp""#)],
        r#"
9:12 error: `protocol` cannot be "ftp"
    one of "http", "s3", "postgres", "redis"
"#,
    );
    check(
        &[(
            r#"[upstreams.minio.s3]
access_key_id_env = "ID"
secret_access_key_env = "SECRET"
"#,
            "",
        )],
        r#"
8:12 error: upstream "minio" does not say whose S3 signature it sees
    add `[upstreams.minio.s3]` with `mode`
"#,
    );
    check(
        &[(
            r#"["http://127.0.0.1:9000"]"#,
            r#"["127.0.0.1:9000", "http://u:hush@h",
"http://h/p", "http://h", "http://h:80", "ftp://h", "http://h:x", "http://h:0"]"#,
        )],
        r#"
4:14 error: an endpoint cannot be used: it does not begin with `http://` or `https://`
    write `http://HOST:PORT` or `https://HOST:PORT` and nothing more
4:32 error: an endpoint cannot be used: it has a user name; credentials are not kept here
    write `http://HOST:PORT` or `https://HOST:PORT` and nothing more
5:1 error: an endpoint cannot be used: it has a path or a query, which a store would not see
    write `http://HOST:PORT` or `https://HOST:PORT` and nothing more
5:27 error: an endpoint cannot be used: it is there twice
    leave one of them out
5:42 error: an endpoint cannot be used: `ftp` is not spoken to stores
    write `http://HOST:PORT` or `https://HOST:PORT` and nothing more
5:53 error: an endpoint cannot be used: its port is not a port
    write `http://HOST:PORT` or `https://HOST:PORT` and nothing more
5:67 error: an endpoint cannot be used: port 0 cannot be connected to
    write `http://HOST:PORT` or `https://HOST:PORT` and nothing more
"#,
    );
    check(
        &[(r#"["http://127.0.0.1:9000"]"#, "[]")],
        r#"
4:13 error: `endpoints` is empty
    add the store's address
"#,
    );
    check(
        &[(
            "[upstreams.minio.s3]",
            r#"[upstreams.minio.tls]
ca = "server.key"
key = "server.key"
server_name="a b"
[upstreams.minio.s3]"#,
        )],
        r#"
5:1 warning: [upstreams.minio.tls] has no effect: no endpoint is `https://`
    write the endpoints with `https://`, or leave the table out
6:6 error: DIR/server.key has no PEM `CERTIFICATE`
    `ca` takes a file with `-----BEGIN CERTIFICATE-----`
7:7 error: `key` without `certificate`
    add `certificate`, or leave `key` out
8:13 error: `server_name` is not a host name
    write the name in the store's certificate
"#,
    );
    check(
        &[(
            r#"access_key_id_env = "ID"
secret_access_key_env = "SECRET""#,
            r#"access_key_id_env = "NONE"
secret_access_key = "hush""#,
        )],
        r#"
5:1 error: [upstreams.minio.s3] has neither `secret_access_key_file` nor `secret_access_key_env`
    add `secret_access_key_file`
6:21 error: the variable of `access_key_id_env` cannot be used: it is not set
    name an environment variable that Palisade is started with
7:1 error: unknown key `secret_access_key` in [upstreams.minio.s3]
    secrets are not kept here: name a file with `secret_access_key_file`, or an environment variable with `secret_access_key_env`, and change the secret if this file was ever shared
"#,
    );
    check(
        &[(
            r#"access_key_id_env = "ID"
secret_access_key_env = "SECRET""#,
            r#"access_key_id_file = "id"
access_key_id_env = "EMPTY"
secret_access_key_file = "wJalrXUtnFEMI""#,
        )],
        r#"
7:21 error: `access_key_id_file` and `access_key_id_env` are both there
    leave one of them out
8:26 error: `secret_access_key_file` cannot be used: there is no such file
    relative paths start at the directory of this file
"#,
    );
    check(
        &[(
            "access_key_id_env",
            r#"mode = "pass-through"
access_key_id_env"#,
        )],
        r#"
7:21 warning: `access_key_id_env` has no effect: `pass-through` signs nothing
    leave it out, or write `mode = "re-sign"`
8:25 warning: `secret_access_key_env` has no effect: `pass-through` signs nothing
    leave it out, or write `mode = "re-sign"`
"#,
    );
    check(
        &[(
            r#"certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem""#,
            r#"certificate = "server.key"
key = "server.pem"
client_ca = "none"
crls = ["ca.pem", "."]
identity = ["cn", "cn", "uri"]"#,
        )],
        r#"
13:15 error: DIR/server.key (`certificate`) has no certificate
    it has a private key; are `certificate` and `key` swapped?
14:7 error: DIR/server.pem (`key`) has no private key
    it has a certificate; are `certificate` and `key` swapped?
15:13 error: DIR/none cannot be read: there is no such file
    `palisade certs` makes certificates; relative paths start at the directory of this file
16:9 error: DIR/ca.pem (`crls`) has no certificate revocation list
    name a PEM file that has one
16:19 error: DIR/. cannot be read: it is not a file
    name a file
17:19 error: "cn" is there twice
    leave one of them out
17:25 error: `identity` cannot be "uri"
    one of "spiffe", "dns", "email", "cn"
"#,
    );
    check(
        &[(
            r#"[listeners.objects.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
"#,
            "",
        )],
        r#"
8:1 error: [listeners.objects] has no TLS: nobody could tell writers apart
    add `[listeners.objects.tls]`
"#,
    );
    check(
        &[(
            r#"[listeners.objects.tls]
certificate = "server.pem""#,
            r#"[listeners.objects.tls]
identity=[]"#,
        )],
        r#"
12:1 error: [listeners.objects.tls] has no `certificate`
    add `certificate = "server.pem"`
13:10 error: no client could have an identity
    one or more of "spiffe", "dns", "email", "cn"
"#,
    );
    check(
        &[(
            r#"["127.0.0.1:9443"]"#,
            r#"["127.0.0.1:9470", "0.0.0.0:80", "127.0.0.1:80", "[::]:80", "127.0.0.1:0", "127.0.0.1:0"]"#,
        )],
        r#"
10:11 error: [admin] listens on 127.0.0.1:9470 already
    write another port
10:43 error: [listeners.objects] listens on 0.0.0.0:80 already
    write another port
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[upstreams."a b"]
endpoints="http://a"
[[resources]]"#,
        )],
        r#"
16:12 error: that name cannot be used
    1 to 64 letters, digits, `-`, `_` and `.`
16:12 warning: no listener uses upstream "a b"
    leave it out, or name it in a listener
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[admin]
listen="0.0.0.0:1"
[[resources]]"#,
        )],
        r#"
17:8 error: without TLS, anyone who reaches 0.0.0.0:1 could seal and reset
    listen on 127.0.0.1, or add `[admin.tls]`
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[admin]
operators=["a"]
[[resources]]"#,
        )],
        r#"
17:11 warning: `operators` has no effect without `[admin.tls]`: nobody shows a certificate
    add `[admin.tls]`, or leave `operators` out
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[admin.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
[[resources]]"#,
        )],
        r#"
16:2 warning: nobody may seal or reset: `operators` is empty
    add `operators = ["…"]`
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[listeners.objects.unmatched]
write = ["a[", ""]
[[resources]]"#,
        )],
        r#"
17:10 error: `write` has a glob that cannot be used: unclosed character class; missing ']'
    write identities, with `*` for anything but `/` and `**` for anything
17:16 error: `write` has a glob that cannot be used: it is empty, so it matches nobody
    write identities, with `*` for anything but `/` and `**` for anything
"#,
    );
    check(
        &[(
            "[[resources]]",
            r#"[listeners.objects.unmatched]
write = ["a"]
[[resources]]"#,
        )],
        r#"
17:9 warning: writes that no rule matches are forwarded UNFENCED for these identities
    leave it out unless nothing there needs a fence
"#,
    );
    for prefix in ["/", "/.", "/..", "/..a", "/.a/b", "/.a/", "palisade", "/.%41"] {
        check(
            &[("upstream =", &format!("prefix = \"{prefix}\"\nupstream ="))],
            r#"
11:10 error: `prefix` cannot be kept apart from the store's own paths
    one segment of letters and digits after `/.`, such as "/.palisade"
"#,
        );
    }
}

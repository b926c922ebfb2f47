//! The ways to speak S3: re-signed and passed through, buckets in the path and in the host name.

use std::process::Command;

use crate::rig::{CREDENTIALS, Kind, Options, Rig, python, run};

/// Runs `check_s3_modes.py`. Dummy credentials are enough where Palisade signs.
async fn boto3(mode: &'static str, style: &str) {
    let rig = Rig::with(Options { store: Kind::S3s, mode, ..Options::default() }).await;
    let mut command: Command = python("python3");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    command
        .arg(script.join("integration/clients/check_s3_modes.py"))
        .env("ENDPOINT", format!("https://localhost:{}", rig.address.port()))
        .env("CA", &rig.certs.ca)
        .env("STYLE", style)
        .env("CREDENTIALS", if mode == "re-sign" { "unused:unused" } else { CREDENTIALS });
    for who in ["a", "b"] {
        let (chain, key) = rig.certs.of(&format!("leader-{who}"));
        let name = who.to_uppercase();
        command.env(format!("CERT_{name}"), chain).env(format!("KEY_{name}"), key);
    }
    let (status, said) = run(command, rig.dir());
    assert!(status.success() && said.contains("\ndone"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn re_signed_with_the_bucket_in_the_host() {
    boto3("re-sign", "virtual").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passed_through_with_the_bucket_in_the_host() {
    boto3("pass-through", "virtual").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passed_through_with_the_bucket_in_the_path() {
    boto3("pass-through", "path").await;
}

/// The client's own signature does not help where it is wrong: the store is who refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signed_is_refused_by_the_store() {
    let rig = Rig::with(Options { mode: "pass-through", ..Options::default() }).await;
    let reply = rig.client("leader-a").token(33).put("/fenced/unsigned/x", "a").await;
    assert_eq!((reply.status.as_u16(), reply.header("fencing-refusal")), (403, ""));
    assert_eq!(reply.element("Code"), "AccessDenied", "{}", reply.text());
    assert_eq!(std::fs::read_to_string(&rig.store.journal).unwrap(), "");
}

//! The clients that people have: boto3, the AWS CLI, s3cmd, rclone and curl, unchanged.

use std::path::Path;
use std::process::Command;

use crate::rig::{CREDENTIALS, Kind, Options, Rig, python, run};

/// A store that completes a large upload on a busy machine takes a while.
const PATIENCE: &str = "20s";

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/clients").join(name)
}

/// What every client needs to know.
fn environment(rig: &Rig, command: &mut Command) {
    let (cert, key) = rig.certs.of("leader-a");
    let (cert_b, key_b) = rig.certs.of("leader-b");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .env("ENDPOINT", format!("https://localhost:{}", rig.address.port()))
        .env("CA", &rig.certs.ca)
        .env("CERT", cert)
        .env("KEY", key)
        .env("CERT_B", cert_b)
        .env("KEY_B", key_b)
        .env("DIR", rig.dir())
        .env("PLUGINS", Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients"))
        .env("STATUS_TOKEN_REQUIRED", crate::contract::TOKEN_REQUIRED.to_string());
}

async fn boto3(store: Kind, mode: &'static str) {
    let rig =
        Rig::with(Options { store, mode, settle_timeout: PATIENCE, ..Options::default() }).await;
    let mut command = python("python3");
    environment(&rig, &mut command);
    command.arg(script("check_boto3.py")).env("SHARD", "boto3");
    let is_passed = mode == "pass-through";
    command.env("CREDENTIALS", if is_passed { CREDENTIALS } else { "unused:unused" });
    let (status, said) = run(command, rig.dir());
    assert!(status.success() && said.contains("\ndone"), "{said}");
    println!("{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_before_s3s() {
    boto3(Kind::S3s, "re-sign").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_before_moto() {
    boto3(Kind::Moto, "re-sign").await;
}

/// The store checks the client's own signature, over a head that it must find unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn boto3_passed_through() {
    boto3(Kind::S3s, "pass-through").await;
}

/// Each script is what `docs/clients.md` shows, with checks around it.
async fn shell(name: &str) {
    let rig =
        Rig::with(Options { store: Kind::S3s, settle_timeout: PATIENCE, ..Options::default() })
            .await;
    let mut command = Command::new("bash");
    environment(&rig, &mut command);
    let venv = python("python3").get_program().to_owned();
    let venv = Path::new(&venv).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .arg(script(name))
        .env("VENV", venv)
        .env("PATH", format!("{path}:/usr/local/bin:/usr/bin:/bin"));
    let (status, said) = run(command, rig.dir());
    assert!(status.success() && said.contains("\ndone"), "{said}");
    println!("{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl() {
    shell("check_curl.sh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli() {
    shell("check_aws.sh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3cmd() {
    shell("check_s3cmd.sh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rclone() {
    shell("check_rclone.sh").await;
}

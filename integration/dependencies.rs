//! What is built: one TLS and one provider of cryptography. `integration/deny` looks further.

use std::process::Command;

/// Crates that must not be part of any build.
const BANNED: [&str; 4] = ["native-tls", "openssl", "openssl-sys", "ring"];

/// All crates that this project is built of, for itself and for its tests. Not what
/// Cargo.lock names: it has `ring`, as an option of another crate that nobody turns on.
fn built() -> Vec<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p}"]);
    command.args(["--edges", "normal,build,dev"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn one_tls_and_one_cryptography_are_built() {
    let built = built();
    for expected in ["rustls", "aws-lc-rs"] {
        assert!(built.iter().any(|name| name == expected), "{expected} is not there: {built:?}");
    }
    for banned in BANNED {
        assert!(!built.iter().any(|name| name == banned), "{banned} is built");
    }
}

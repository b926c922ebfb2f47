//! `palisade check`: everything that is wrong with a file, each with its exact place.

use crate::rig::{Rig, palisade, run};

/// Runs `palisade check` on a file and returns whether it passed and what it said.
fn check(rig: &Rig, text: &str) -> (bool, String) {
    let file = rig.dir().join("checked.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = palisade();
    command.arg("check").arg(&file);
    let (status, said) = run(command, rig.dir());
    (status.success(), said)
}

/// `line:column` of a text in a text, counted from one.
fn place(text: &str, of: &str) -> String {
    let at = text.find(of).unwrap();
    let before = &text[..at];
    let column = at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
    format!("{}:{column}", before.lines().count().max(1) + usize::from(before.ends_with('\n')))
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_together_each_with_its_place() {
    let rig = Rig::start().await;
    let good = std::fs::read_to_string(rig.config()).unwrap();
    let (is_fine, said) = check(&rig, &good);
    assert!(is_fine, "{said}");

    let bad = good
        .replace("max_jump = 1000000\nshare_token", "max_jmp = 1000000\nshare_token")
        .replace("filter = \"info\"", "filter = \"info\"\nlevel = \"info\"")
        .replace("upstream = \"store\"", "upstream = \"stroe\"")
        .replace("path = \"/bound/{shard}/**\"", "path = \"/bound/{shard/**\"");
    let (is_fine, said) = check(&rig, &bad);
    assert!(!is_fine, "{said}");
    for wrong in ["max_jmp", "level = \"info\"", "\"stroe\"", "\"/bound/{shard/**\""] {
        let place = place(&bad, wrong);
        assert!(said.contains(&format!("checked.toml:{place}")), "{wrong} at {place}: {said}");
    }
    // Each with the mend.
    for mend in ["max_jump", "filter"] {
        assert!(said.contains(mend), "{mend}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_not_served() {
    let rig = Rig::start().await;
    let file = rig.dir().join("bad.toml");
    std::fs::write(&file, "[ledger]\n").unwrap();
    let mut command = palisade();
    command.arg("run").arg("--config").arg(&file);
    let (status, said) = run(command, rig.dir());
    assert!(!status.success() && said.contains("bad.toml:"), "{said}");
}

/// The commands of certs/README.md, and then the quickstart.
#[test]
fn the_quickstart_is_right_once_there_are_certificates() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let readme = std::fs::read_to_string(root.join("certs/README.md")).unwrap();
    let commands: Vec<_> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("palisade "))
        .filter(|line| {
            ["certs ca ", "certs server ", "certs client "].iter().any(|c| line.starts_with(c))
        })
        .collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for arguments in commands {
        let mut command = palisade();
        command.args(arguments.split_whitespace()).current_dir(dir.path());
        let (status, said) = run(command, dir.path());
        assert!(status.success(), "palisade {arguments}: {said}");
    }
    std::fs::create_dir(dir.path().join("config")).unwrap();
    let file = dir.path().join("config/quickstart.toml");
    std::fs::copy(root.join("config/quickstart.toml"), &file).unwrap();
    let mut command = palisade();
    command.arg("check").arg(&file);
    command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret");
    let (status, said) = run(command, dir.path());
    assert!(status.success(), "{said}");
}

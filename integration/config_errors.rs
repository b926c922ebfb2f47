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

#[test]
fn files_that_are_shipped_are_right() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let dir = tempfile::tempdir().unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let mut command = palisade();
            command.arg("check").arg(&path);
            let (_, said) = run(command, dir.path());
            // Certificates and secrets are the installation's own; nothing else may be missing.
            let wrong: Vec<_> = said
                .lines()
                .filter(|line| line.contains("error") && !line.contains("No such file"))
                .collect();
            assert!(wrong.is_empty(), "{}: {said}", path.display());
            count += 1;
        }
    }
    assert!(count > 0);
}

//! `palisade demo --once`, as a newcomer runs it.

use crate::rig::{palisade, run};

#[test]
fn the_demo_tells_its_story_and_ends_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = palisade();
    command.args(["demo", "--once"]).arg("--dir").arg(dir.path().join("demo"));
    let (status, said) = run(command, dir.path());
    assert!(status.success(), "{said}");
    let table = said.split_once("way to the store").unwrap().1;
    let lost = |way: &str| {
        let row = table.lines().find(|line| line.trim_start().starts_with(way));
        let row = row.unwrap_or_else(|| panic!("no row for {way}: {said}"));
        let mut numbers = row.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
        numbers.nth(2).unwrap_or_else(|| panic!("no counts for {way}: {said}"))
    };
    // Its rows name the way, three counts, and a status.
    assert!(lost("without a fence") > 0, "{said}");
    assert!(lost("compare and forward") > 0, "{said}");
    assert_eq!(lost("Palisade"), 0, "{said}");
    assert!(!said.contains('\u{1b}'), "NO_COLOR is heeded");
    assert!(!said.contains("demo-secret-key"), "{said}");
}

#[test]
fn a_folder_that_is_not_empty_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "").unwrap();
    let mut command = palisade();
    command.args(["demo", "--once"]).arg("--dir").arg(dir.path());
    let logs = tempfile::tempdir().unwrap();
    let (status, said) = run(command, logs.path());
    assert!(!status.success() && said.contains("is not empty"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

//! The log against real files: order, concurrency, rotation, full disks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn quick() -> Limits {
    Limits {
        sync_interval: Duration::from_millis(1),
        retry_interval: Duration::from_millis(5),
        ..Limits::default()
    }
}

fn file(path: &Path) -> Target {
    Target::File { path: path.to_owned(), rotate_bytes: u64::MAX, keep: 1 }
}

fn refused(resource: impl Into<String>) -> Event {
    Event {
        event: "refused",
        reason: Some("stale"),
        resource: Some(resource.into()),
        ..Event::default()
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn sequences(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect()
}

/// Until the log has written what it holds, or not within [`PATIENCE`].
fn flushed(audit: &Audit) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if audit.flush(PATIENCE) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn a_line_says_when_what_and_in_which_order() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open_with(file(&path), quick()).unwrap();
    audit.record(refused("orders/1"));
    audit.record(Event { event: "takeover", token: Some("34".into()), ..Event::default() });
    assert!(audit.close(PATIENCE));
    let lines = lines(&path);
    assert_eq!(sequences(&lines), [1, 2]);
    let time = lines[0]["time"].as_str().unwrap();
    assert_eq!((time.len(), time.as_bytes()[19], time.as_bytes()[23]), (24, b'.', b'Z'), "{time}");
    assert!(time.parse::<jiff::Timestamp>().is_ok());
    assert_eq!(lines[0]["reason"], "stale");
    assert_eq!(lines[0].as_object().unwrap().len(), 5, "fields that are not there are left out");
    assert_eq!(lines[1]["token"], "34");
}

#[test]
fn after_close_events_are_counted_as_lost_and_nothing_hangs() {
    let folder = TempDir::new().unwrap();
    let audit = Audit::open_with(file(&folder.path().join("a")), quick()).unwrap();
    assert!(audit.close(PATIENCE));
    audit.record(refused("a"));
    assert_eq!(audit.shared.as_ref().unwrap().lost.load(Ordering::Relaxed), 1);
    assert!(!audit.flush(Duration::from_millis(10)));
    assert!(Audit::disabled().close(PATIENCE));
}

#[test]
fn a_torn_last_line_of_a_killed_process_is_set_off() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    fs::write(&path, "{\"sequence\":1}\n{\"sequ").unwrap();
    let audit = Audit::open_with(file(&path), quick()).unwrap();
    audit.record(refused("a"));
    assert!(audit.close(PATIENCE));
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[1], "{\"sequ");
    assert_eq!(serde_json::from_str::<Value>(lines[2]).unwrap()["resource"], "a");
}

#[test]
fn many_threads_lose_nothing_and_keep_their_own_order() {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::open_with(file(&path), quick()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let audit = audit.clone();
            scope.spawn(move || {
                for number in 0..EACH {
                    audit.record(refused(format!("{thread}/{number:03}")));
                }
            });
        }
    });
    assert!(audit.close(PATIENCE));
    let lines = lines(&path);
    assert_eq!(sequences(&lines), (1..=(THREADS * EACH) as u64).collect::<Vec<_>>());
    for thread in 0..THREADS {
        let of_thread: Vec<_> = lines
            .iter()
            .filter_map(|line| line["resource"].as_str()?.strip_prefix(&format!("{thread}/")))
            .map(|number| number.parse::<usize>().unwrap())
            .collect();
        assert_eq!(of_thread, (0..EACH).collect::<Vec<_>>());
    }
}

#[test]
fn rotation_keeps_so_many_files_and_splits_no_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let target = Target::File { path: path.clone(), rotate_bytes: 1_000, keep: 2 };
    let audit = Audit::open_with(target, quick()).unwrap();
    for number in 0..100 {
        audit.record(refused(format!("{number}")));
    }
    assert!(audit.close(PATIENCE));
    let mut files: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
    let mut newest = Vec::new();
    for name in ["audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"] {
        let path = folder.path().join(name);
        assert!(fs::metadata(&path).unwrap().len() <= 1_000);
        newest.extend(sequences(&lines(&path)));
    }
    assert_eq!(newest, (101 - newest.len() as u64..=100).collect::<Vec<_>>());
    assert!(newest.len() > 20, "two full files and the current one: {}", newest.len());
}

#[test]
fn a_full_channel_blocks_nobody_and_is_told() {
    let limits = Limits { events_max: 4, ..quick() };
    // Nobody reads the channel yet: the writer is as slow as can be.
    let (audit, receiver) = Audit::channel(limits);
    for number in 0..10 {
        audit.record(refused(format!("{number}")));
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let shared = audit.shared.as_ref().unwrap();
    let (lost, recent) = (Arc::clone(&shared.lost), Arc::clone(&shared.recent));
    let writer = Writer::new(sink::Sink::open(file(&path)).unwrap(), limits, lost, recent);
    let thread = std::thread::spawn(|| writer.run(receiver));
    assert!(flushed(&audit));
    audit.record(refused("later"));
    assert!(audit.close(PATIENCE));
    thread.join().unwrap();
    let lines = lines(&path);
    let told: Vec<_> = lines.iter().map(|line| line["resource"].as_str()).collect();
    assert_eq!(told, [Some("0"), Some("1"), Some("2"), Some("3"), None, Some("later")]);
    assert_eq!((&lines[4]["event"], &lines[4]["lost"]), (&"audit_gap".into(), &6.into()));
    assert_eq!(sequences(&lines), [1, 2, 3, 4, 11, 12], "the lost ones leave a gap");
}

/// `/dev/full` behind a link fails as a full disk does; turning the link is freeing it.
#[test]
fn a_full_disk_is_survived_and_told_when_it_can_be_written_again() {
    let folder = TempDir::new().unwrap();
    let (link, real) = (folder.path().join("link"), folder.path().join("real"));
    symlink("/dev/full", &link).unwrap();
    let limits = Limits { backlog_bytes_max: 1_000, ..quick() };
    let audit = Audit::open_with(file(&link), limits).unwrap();
    for number in 0..50 {
        audit.record(refused(format!("{number}")));
    }
    assert!(!audit.flush(PATIENCE), "nothing can be durable on a full disk");
    assert_eq!(audit.recent().len(), 50, "people still see what happens");
    fs::remove_file(&link).unwrap();
    symlink(&real, &link).unwrap();
    assert!(flushed(&audit));
    audit.record(refused("later"));
    assert!(audit.close(PATIENCE));
    let lines = lines(&real);
    let kept = lines.len() - 2;
    assert!((5..50).contains(&kept), "what memory held is not lost: {kept}");
    assert_eq!(lines[kept]["event"], "audit_gap");
    assert_eq!(lines[kept]["lost"], 50 - kept as u64);
    assert_eq!(lines[kept + 1]["resource"], "later");
    assert_eq!(lines[kept + 1]["sequence"], 52);
}

/// A real full file system, where writes end in the middle of a line. Needs root.
#[test]
fn a_file_system_that_fills_up_keeps_whole_lines() {
    let folder = TempDir::new().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "palisade-test"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("not run: mounting a tmpfs needs root");
        return;
    }
    let path = folder.path().join("audit.jsonl");
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![0; 8 * 1024]).unwrap();
    let limits = Limits { backlog_bytes_max: 2_000, ..quick() };
    let audit = Audit::open_with(file(&path), limits).unwrap();
    for number in 0..300 {
        audit.record(refused(format!("{number}")));
    }
    let full = !audit.flush(PATIENCE);
    fs::remove_file(&ballast).unwrap();
    let outcome = (flushed(&audit), audit.close(PATIENCE));
    let text = fs::read_to_string(&path).unwrap();
    // Lazily: a process that another test starts just now may hold the file for a moment.
    let unmounted = Command::new("umount").arg("-l").arg(folder.path()).status().unwrap().success();
    assert!(full, "the disk was full");
    assert_eq!((outcome, unmounted), ((true, true), true));
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let lost: u64 = lines.iter().filter_map(|line| line["lost"].as_u64()).sum();
    let kept = lines.iter().filter(|line| line["event"] == "refused").count() as u64;
    assert!(kept > 0 && lost > 0, "{kept} kept, {lost} lost");
    assert_eq!(kept + lost, 300, "each event is kept or counted");
}

#[test]
fn neither_kind_pushes_the_other_out_of_the_recent_ones() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { recent_max: 3, ..quick() };
    let audit = Audit::open_with(file(&folder.path().join("a")), limits).unwrap();
    audit.record(Event { event: "takeover", ..Event::default() });
    for number in 0..10 {
        audit.record(refused(format!("{number}")));
    }
    assert!(audit.close(PATIENCE));
    let recent = audit.recent();
    let told: Vec<_> = recent.iter().map(|entry| entry.event.resource.as_deref()).collect();
    assert_eq!(told, [Some("9"), Some("8"), Some("7"), None]);
}

#[test]
fn a_long_line_loses_its_detail_and_not_its_evidence() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a");
    let limits = Limits { line_bytes_max: 300, ..quick() };
    let audit = Audit::open_with(file(&path), limits).unwrap();
    let detail = Some(Value::String("x".repeat(1_000)));
    audit.record(Event { detail, ..refused("a") });
    audit.record(Event { operation: Some("x".repeat(1_000)), ..refused("b") });
    assert!(audit.close(PATIENCE));
    let lines = lines(&path);
    assert_eq!((&lines[0]["resource"], &lines[1]["resource"]), (&"a".into(), &"b".into()));
    assert!(lines[0]["detail"]["truncated_bytes"].as_u64().unwrap() > 1_000);
    assert!(fs::metadata(&path).unwrap().len() < 600);
}

#[test]
fn a_file_that_cannot_be_opened_is_told_at_the_start() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("no/such/folder/audit.jsonl");
    let error = Audit::open(file(&missing)).unwrap_err();
    assert!(error.to_string().contains("no/such/folder/audit.jsonl"), "{error}");
}

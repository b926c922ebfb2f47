//! Which files are opened, which are made, and which are refused with the mend.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use redb::{Database, TableDefinition};

use super::super::file::Place;
use super::super::{Embedded, OpenError, Settings};
use super::reopen;
use crate::fence::Granted;
use crate::ledger::Ledger;
use crate::ledger::contract::{mark, resource};

fn open(path: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(path, Settings::default())
}

/// Refused for `kind`, naming the file and a mend, and without touching what is there.
fn check_refused(path: &Path, kind: &str, mend: &str) {
    let before = fs::read(path).ok();
    for _ in 0..2 {
        let error = open(path).err().expect("it was opened");
        assert!(format!("{error:?}").starts_with(kind), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()) && text.contains(mend), "{text}");
    }
    assert_eq!(fs::read(path).ok(), before, "it was changed");
}

async fn closed_ledger(folder: &Path, rows: u64) -> PathBuf {
    let path = folder.join("ledger");
    let ledger = open(&path).unwrap();
    let names: Vec<_> = (0..rows).map(|i| resource(&format!("name-{i}"))).collect();
    let to = mark(3, "one");
    futures_util::future::join_all(names.iter().map(|name| ledger.raise(name, &to, true))).await;
    ledger.close().await.unwrap();
    path
}

#[tokio::test]
async fn a_new_file_is_private_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    // What a process left that died while it made one.
    fs::write(folder.path().join("ledger.new"), b"half a database").unwrap();
    drop(open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(reopen(&path).ended_uncleanly());
}

#[tokio::test]
async fn it_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let ledger = open(&path).unwrap();
    let refused = |path: &Path| {
        let error = open(path).err().expect("it was opened");
        assert!(matches!(error, OpenError::AlreadyOpen { .. }), "{error}");
        assert!(error.to_string().contains("stop that one first"), "{error}");
    };
    refused(&path);
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    refused(&link);
    // Refusing must not have taken the lock away from its holder.
    refused(&path);
    ledger.close().await.unwrap();
    open(&path).unwrap();
}

#[test]
fn of_many_first_starts_one_wins() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("ledger");
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(path))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let losers: Vec<_> = opened.iter().filter_map(|opened| opened.as_ref().err()).collect();
        assert_eq!(losers.len(), 7, "{losers:?}");
        for error in losers {
            assert!(matches!(error, OpenError::AlreadyOpen { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn no_room_is_made_over_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = closed_ledger(folder.path(), 1).await;
    // As one does that saw no ledger a moment before another process put it there.
    assert!(Place { path: &path }.make_room().unwrap().is_none());
    open(&path).unwrap();
}

#[tokio::test]
async fn what_is_no_ledger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    for content in [&b""[..], b"redb", b"[ledger]\npath = 'x'\n", &[0; 100_000]] {
        fs::write(&path, content).unwrap();
        check_refused(&path, "Foreign", "move the file away");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    check_refused(&path, "Foreign", "check the path");
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    check_refused(&dangling, "Foreign", "check the path");
    check_refused(&folder.path().join("no/folder/ledger"), "NoFolder", "mount its volume");
}

#[test]
fn a_database_of_another_application_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let database = Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = open(&path).err().expect("it was opened");
    assert!(error.to_string().contains("another application"), "{error}");
}

#[tokio::test]
async fn another_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = closed_ledger(folder.path(), 1).await;
    let database = Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    let meta = TableDefinition::<&str, &[u8]>::new("palisade.meta");
    txn.open_table(meta).unwrap().insert("layout", 2u32.to_le_bytes().as_slice()).unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = open(&path).err().expect("it was opened");
    assert!(matches!(error, OpenError::Layout { found: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_truncated_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = closed_ledger(folder.path(), 200).await;
    let whole = fs::read(&path).unwrap();
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap();
    for len in [100, 4096, 5000, 8192, 3 * 4096, used / 2, (used / 2) & !4095, used - 10] {
        for in_use in [false, true] {
            let mut torn = whole[..len].to_vec();
            if in_use {
                torn[9] |= 2; // redb's "recovery required": the file was not closed.
            }
            fs::write(&path, torn).unwrap();
            let error = open(&path).err().unwrap_or_else(|| panic!("opened with {len} bytes"));
            let text = error.to_string();
            assert!(text.contains("restore"), "{len} bytes: {text}");
        }
    }
}

#[tokio::test]
async fn a_torn_page_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = closed_ledger(folder.path(), 200).await;
    let whole = fs::read(&path).unwrap();
    let name = b"name-150";
    let at = whole.windows(name.len()).position(|window| window == name).unwrap();
    // Half of the page of a row was never written; and one bit of a row's name fell over.
    for (offset, bytes) in [(at & !4095, vec![0; 2048]), (at, b"nAme".to_vec())] {
        fs::write(&path, &whole).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&bytes, offset as u64).unwrap();
        drop(file);
        let error = open(&path).err().expect("it was opened");
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("restore its newest backup"), "{error}");
    }
    fs::write(&path, &whole).unwrap();
    open(&path).unwrap();
}

#[tokio::test]
async fn a_damaged_row_is_never_a_default_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = closed_ledger(folder.path(), 3).await;
    let database = Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    let rows = TableDefinition::<&[u8], &[u8]>::new("palisade.resources");
    txn.open_table(rows).unwrap().insert(&b"name-1"[..], &[1u8; 40][..]).unwrap();
    txn.commit().unwrap();
    drop(database);
    let ledger = open(&path).unwrap();
    let bad = &resource("name-1");
    let told = ledger.load(bad).await.unwrap_err().to_string();
    assert!(told.contains("`name-1`") && told.contains("restore the newest backup"), "{told}");
    ledger.entry(bad).await.unwrap_err();
    ledger.list(None, 10).await.unwrap_err();
    let outcome = ledger.raise(bad, &mark(9, "two"), true).await;
    assert_eq!(outcome, crate::fence::RaiseOutcome::Failed);
    assert_eq!(ledger.grant(bad, mark(3, "").token).await, Granted::Failed);
    // The others are not drawn into it.
    assert_eq!(ledger.load(&resource("name-2")).await.unwrap().mark, mark(3, "one"));
    ledger.health().unwrap();
}

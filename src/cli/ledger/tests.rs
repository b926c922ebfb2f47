//! Marks to a file and back, and files that are not whole.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::file::{Kept, Reader, Writer, check};
use super::moving::{export, import, verify};
use super::place::{Need, Place};
use crate::config::Ledger as Choice;
use crate::fence::{Holder, Mark, Resource, Token};
use crate::ledger::Raised;

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_123 + ms)
}

fn kept(name: &str, tokens: &[&str]) -> Kept {
    let raised = |(n, text): (usize, &&str)| Raised {
        token: Token::recorded(text).expect("a token"),
        holder: Holder::new(format!("leader-{text}")),
        at: at(n as u64),
    };
    let history: Vec<_> = tokens.iter().enumerate().map(raised).collect();
    let last = history.last().expect("a token");
    Kept {
        resource: Resource::new(name).expect("a name"),
        mark: Mark { token: last.token, holder: last.holder.clone() },
        history,
    }
}

struct Fixture {
    dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: TempDir::new().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, rows: &[Kept]) -> PathBuf {
        let mut writer = Writer::begin(Vec::new(), "a test".into(), Vec::new()).expect("a head");
        rows.iter().for_each(|row| writer.put(row).expect("a row"));
        let (bytes, count) = writer.end().expect("an end");
        assert_eq!(count, rows.len() as u64);
        std::fs::write(self.path(name), bytes).expect("a file");
        self.path(name)
    }

    async fn place(&self, name: &str, need: Need) -> anyhow::Result<Place> {
        let settings = crate::ledger::embedded::Settings::default();
        Place::open(Choice::Embedded { path: self.path(name), settings }, need).await
    }

    /// What an import says, and whether all of it was done.
    async fn import(&self, ledger: &str, file: &str) -> (bool, String) {
        let file = self.path(file);
        let whole = check(&file).expect("a whole file");
        let place = self.place(ledger, Need::Write).await.expect("a ledger");
        let mut told = Vec::new();
        let fine = import(&place, &file, &whole, &mut told).await.expect("imported");
        place.close().await.expect("closed");
        (fine, self.without_folder(told))
    }

    async fn verify(&self, ledger: &str, file: &str) -> (bool, String) {
        let file = self.path(file);
        let whole = check(&file).expect("a whole file");
        let place = self.place(ledger, Need::Read).await.expect("a ledger");
        let mut told = Vec::new();
        let fine = verify(&place, &file, &whole, &mut told).await.expect("verified");
        place.close().await.expect("closed");
        (fine, self.without_folder(told))
    }

    fn without_folder(&self, told: Vec<u8>) -> String {
        let folder = format!("{}/", self.dir.path().display());
        String::from_utf8(told).expect("text").replace(&folder, "")
    }
}

fn read(file: &std::path::Path) -> anyhow::Result<Vec<Kept>> {
    let mut reader = Reader::open(file)?;
    let mut rows = Vec::new();
    while let Some((_, row)) = reader.next()? {
        rows.push(row);
    }
    Ok(rows)
}

#[test]
fn a_file_is_read_as_it_was_written_and_not_when_it_is_cut_off_anywhere() {
    let fixture = Fixture::new();
    let rows = [kept("a", &["1", "42"]), kept("ü \"x\"", &["7", "1.0", "1.3"])];
    let file = fixture.file("marks", &rows);
    assert_eq!(read(&file).expect("whole"), rows);
    assert_eq!(check(&file).expect("whole").resources, 2);
    let bytes = std::fs::read(&file).expect("a file");
    for cut in 0..bytes.len() {
        std::fs::write(&file, &bytes[..cut]).expect("a file");
        assert!(check(&file).is_err(), "cut at {cut}");
    }
    // A line that is missing in the middle.
    let text = String::from_utf8(bytes).expect("text");
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    std::fs::write(&file, [lines[0], lines[2], lines[3]].concat()).expect("a file");
    let error = check(&file).expect_err("a line is missing").to_string();
    assert!(error.contains("it has 1 resources, and its end says 2"), "{error}");
    std::fs::write(&file, [&*text, lines[1]].concat()).expect("a file");
    let error = check(&file).expect_err("one too many").to_string();
    assert!(error.ends_with("marks:5: there is something behind its end"), "{error}");
}

#[test]
fn a_wrong_line_is_told_with_its_number() {
    let fixture = Fixture::new();
    let file = fixture.file("marks", &[kept("a", &["1"]), kept("b", &["42"])]);
    let text = std::fs::read_to_string(&file).expect("a file");
    for (from, to, told) in [
        ("\"palisade\":\"marks\"", "\"palisade\":\"x\"", "marks:1: this is no file of marks"),
        ("\"format\":1", "\"format\":2", "marks:1: it has format 2, and this palisade knows 1"),
        ("\"mark\":\"42\"", "\"mark\":\"x\"", "marks:3: the token is not a decimal number"),
        ("\"mark\":\"42\"", "\"mark\":42", "marks:3: this is no line of such a file"),
        ("\"mark\":\"42\"", "\"mark\":\"0\"", "marks:3: the mark is 0"),
        ("\"mark\":\"42\"", "\"mark\":\"41\"", "marks:3: the history goes above the mark"),
        ("\"mark\":\"42\"", "\"mark\":\"18446744073709551615\"", "is too large"),
        ("\"resource\":\"b\"", "\"resource\":\"\"", "marks:3: "),
        ("\"resource\":\"b\"", "\"resource\":\"b\",\"x\":1", "unknown field `x`"),
        ("\"holder\":\"leader-42\"", "\"holder\":\"\"", "a holder has from 1 to"),
        ("2023-11-14T", "2023-13-14T", "marks:2: a time of the history is no time"),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).expect("a file");
        let error = format!("{:#}", check(&file).expect_err(to));
        assert!(error.contains(told), "{told} is not in: {error}");
    }
    let mut long = std::fs::File::create(&file).expect("a file");
    long.write_all(&vec![b' '; 300 << 10]).expect("room");
    let error = format!("{:#}", check(&file).expect_err("too long"));
    assert!(error.contains("marks:1: the line has more than"), "{error}");
}

#[tokio::test]
async fn marks_go_up_and_never_down() {
    let fixture = Fixture::new();
    fixture.file("old", &[kept("a", &["1", "5"]), kept("b", &["7"])]);
    fixture.file("new", &[kept("a", &["4"]), kept("b", &["7", "9"]), kept("c", &["1.0"])]);
    let (fine, told) = fixture.import("ledger", "old").await;
    assert_eq!((fine, &*told), (true, "ledger: 2 raised, 0 there already, 0 refused\n"));
    let (fine, told) = fixture.import("ledger", "old").await;
    assert_eq!((fine, &*told), (true, "ledger: 0 raised, 2 there already, 0 refused\n"));
    let (fine, told) = fixture.verify("ledger", "new").await;
    let expected = "new:3: b is at 7, not 9\nnew:4: c is at 0, not 1.0\n\
                    ledger: 1 marks are there or higher, 2 are not\n";
    assert_eq!((fine, &*told), (false, expected));
    let (fine, told) = fixture.import("ledger", "new").await;
    let expected = "new:2: a at 4: the mark there is 5; it is not lowered\n\
                    ledger: 2 raised, 0 there already, 1 refused\n";
    assert_eq!((fine, &*told), (false, expected));
    for file in ["old", "new"] {
        assert!(fixture.verify("ledger", file).await.0, "{file}");
    }
    // The same mark of somebody else is no agreement.
    let mut other = kept("b", &["9"]);
    other.mark.holder = Holder::new("x");
    other.history.clear();
    fixture.file("other", &[other]);
    let (fine, told) = fixture.import("ledger", "other").await;
    assert!(!fine && told.contains("held by leader-9 there"), "{told}");

    let place = fixture.place("ledger", Need::Read).await.expect("a ledger");
    let mut told = Vec::new();
    export(&place, Some(&fixture.path("out")), &mut told).await.expect("exported");
    assert_eq!(fixture.without_folder(told), "exported 3 resources from ledger\n");
    let rows = read(&fixture.path("out")).expect("whole");
    let marks: Vec<_> = rows.iter().map(|row| row.mark.token.to_string()).collect();
    assert_eq!(marks, ["5", "9", "1.0"]);
    let tokens: Vec<_> = rows[0].history.iter().map(|raised| raised.token.to_string()).collect();
    assert_eq!(tokens, ["1", "5"]);
    let again = export(&place, Some(&fixture.path("out")), &mut Vec::new()).await;
    assert!(again.expect_err("it is there").to_string().contains("is there already"));
}

#[tokio::test]
async fn what_is_not_there_or_in_use_is_told() {
    let fixture = Fixture::new();
    let error = fixture.place("ledger", Need::Read).await.err().expect("none").to_string();
    assert!(error.contains("there is no ledger"), "{error}");
    assert!(!fixture.path("ledger").exists(), "it was not made");
    let _used = fixture.place("ledger", Need::Write).await.expect("made");
    let error = fixture.place("ledger", Need::Read).await.err().expect("in use").to_string();
    assert!(error.contains("is in use by another process"), "{error}");
}

#[tokio::test]
async fn a_ledger_that_was_not_closed_cleanly_stays_so() {
    let fixture = Fixture::new();
    fixture.file("marks", &[kept("a", &["1"])]);
    drop(fixture.place("ledger", Need::Write).await.expect("made"));
    let open = async || {
        for _ in 0..200 {
            match fixture.place("ledger", Need::Read).await {
                Ok(place) => return place,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("its lock is not let go");
    };
    for _ in 0..2 {
        let place = open().await;
        let notes = place.notes().await.expect("notes");
        assert!(notes.len() == 1 && notes[0].contains("did not end cleanly"), "{notes:?}");
        place.close().await.expect("closed");
    }
    drop(open().await);
    drop(open().await.close().await);
}

//! Marks as a file: JSON lines, with a head and an end.
//!
//! ```json
//! {"palisade":"marks","format":1,"version":"0.1.0","from":"...","at":"2026-11-21T23:00:00.123Z"}
//! {"resource":"orders/7","mark":"42","holder":"spiffe://x","history":[{"token":"42","holder":"spiffe://x","at":"..."}]}
//! {"end":true,"resources":1}
//! ```
//!
//! The end tells a file that was cut off, at whatever byte, from a whole one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::fence::{Holder, Mark, Resource, Token};
use crate::ledger::{HISTORY_MAX, HOLDER_LEN_MAX_BYTES, Raised};

const WHAT: &str = "marks";
const FORMAT: u32 = 1;
/// A line is no longer than that, in bytes: names and histories are bounded.
const LINE_BYTES_MAX: u64 = 256 << 10;

/// What is known of a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Kept {
    pub(super) resource: Resource,
    pub(super) mark: Mark,
    /// Oldest first.
    pub(super) history: Vec<Raised>,
}

/// The first line.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Head {
    palisade: String,
    format: u32,
    version: String,
    /// Which ledger, for people.
    pub(super) from: String,
    at: String,
    /// What whoever imports it has to know.
    #[serde(default)]
    pub(super) notes: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    resource: String,
    mark: String,
    holder: String,
    #[serde(default)]
    history: Vec<RowRaised>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RowRaised {
    token: String,
    holder: String,
    at: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: bool,
    resources: u64,
}

/// A file that was read to its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Whole {
    pub(super) head: Head,
    pub(super) resources: u64,
}

/// Writes such a file.
pub(super) struct Writer<W> {
    to: W,
    resources: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(to: W, from: String, notes: Vec<String>) -> anyhow::Result<Self> {
        let mut writer = Self { to, resources: 0 };
        let (version, at) = (env!("CARGO_PKG_VERSION").to_owned(), moment(SystemTime::now()));
        writer.line(&Head { palisade: WHAT.into(), format: FORMAT, version, from, at, notes })?;
        Ok(writer)
    }

    pub(super) fn put(&mut self, kept: &Kept) -> anyhow::Result<()> {
        let raised = |raised: &Raised| RowRaised {
            token: raised.token.to_string(),
            holder: raised.holder.to_string(),
            at: moment(raised.at),
        };
        let row = Row {
            resource: kept.resource.to_string(),
            mark: kept.mark.token.to_string(),
            holder: kept.mark.holder.to_string(),
            history: kept.history.iter().map(raised).collect(),
        };
        self.resources += 1;
        self.line(&row)
    }

    /// Returns how many there were.
    pub(super) fn end(mut self) -> anyhow::Result<(W, u64)> {
        self.line(&End { end: true, resources: self.resources })?;
        self.to.flush()?;
        Ok((self.to, self.resources))
    }

    fn line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.to, value)?;
        Ok(self.to.write_all(b"\n")?)
    }
}

/// Reads such a file from its beginning: each resource, with the number of its line.
pub(super) struct Reader {
    lines: BufReader<File>,
    name: String,
    number: u64,
    resources: u64,
    head: Head,
    is_over: bool,
}

impl Reader {
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let name = file.display().to_string();
        let open = File::open(file).with_context(|| format!("cannot read {name}"))?;
        let mut lines = BufReader::new(open);
        let text = line(&mut lines, &name, 1)?.unwrap_or_default();
        let head: Head = match serde_json::from_str(&text) {
            Ok(head) => head,
            Err(_) => {
                bail!("{name}:1: this is no file of marks; `palisade ledger export` writes one")
            }
        };
        ensure!(head.palisade == WHAT, "{name}:1: this is no file of marks");
        ensure!(
            head.format == FORMAT,
            "{name}:1: it has format {}, and this palisade knows {FORMAT}; use that of version {}",
            head.format,
            head.version.escape_debug()
        );
        Ok(Self { lines, name, number: 1, resources: 0, head, is_over: false })
    }

    /// The next one with the number of its line; `None` behind the last one.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<(u64, Kept)>> {
        if self.is_over {
            return Ok(None);
        }
        self.number += 1;
        let Self { name, number, .. } = self;
        let Some(text) = line(&mut self.lines, name, *number)? else {
            bail!(
                "{name}: it ends after {} resources without its last line, so it was cut off; export \
                 once more",
                self.resources
            );
        };
        if let Ok(End { end: true, resources }) = serde_json::from_str(&text) {
            ensure!(
                resources == self.resources,
                "{name}:{number}: it has {} resources, and its end says {resources}: lines are \
                 missing or were added; export once more",
                self.resources
            );
            let rest = line(&mut self.lines, name, *number + 1)?;
            ensure!(rest.is_none(), "{name}:{}: there is something behind its end", *number + 1);
            self.is_over = true;
            return Ok(None);
        }
        let kept = kept(&text).with_context(|| format!("{name}:{number}"))?;
        self.resources += 1;
        Ok(Some((*number, kept)))
    }
}

/// Reads a file to its end, and says what it is.
pub(super) fn check(file: &Path) -> anyhow::Result<Whole> {
    let mut reader = Reader::open(file)?;
    while reader.next()?.is_some() {}
    Ok(Whole { head: reader.head, resources: reader.resources })
}

fn line(lines: &mut impl BufRead, name: &str, number: u64) -> anyhow::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = lines.take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes);
    let read = read.with_context(|| format!("cannot read {name}"))?;
    ensure!(
        bytes.len() as u64 <= LINE_BYTES_MAX,
        "{name}:{number}: the line has more than {LINE_BYTES_MAX} bytes"
    );
    if read == 0 {
        return Ok(None);
    }
    // Half a line may be JSON, too: a number that lost its last digits.
    ensure!(
        bytes.ends_with(b"\n"),
        "{name}:{number}: the line has no end, so the file was cut off"
    );
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| anyhow::anyhow!("{name}:{number}: the line is not UTF-8"))
}

fn kept(text: &str) -> anyhow::Result<Kept> {
    let row: Row = serde_json::from_str(text).context("this is no line of such a file")?;
    let resource = Resource::new(&row.resource)?;
    let mark = mark(&row.mark, &row.holder)?;
    ensure!(mark.token > Token::ZERO, "the mark is 0, which nobody can bring");
    ensure!(row.history.len() <= HISTORY_MAX, "the history has more than {HISTORY_MAX} raises");
    let mut history = Vec::new();
    for raised in row.history {
        let Mark { token, holder } = self::mark(&raised.token, &raised.holder)?;
        ensure!(token <= mark.token, "the history goes above the mark");
        let at: jiff::Timestamp = raised.at.parse().context("a time of the history is no time")?;
        history.push(Raised { token, holder, at: at.into() });
    }
    Ok(Kept { resource, mark, history })
}

fn mark(token: &str, holder: &str) -> anyhow::Result<Mark> {
    let token = Token::recorded(token)?;
    ensure!(token.counter() <= Token::MAX.counter(), "the token {token} is too large");
    ensure!(
        (1..=HOLDER_LEN_MAX_BYTES).contains(&holder.len()),
        "a holder has from 1 to {HOLDER_LEN_MAX_BYTES} bytes"
    );
    Ok(Mark { token, holder: Holder::new(holder) })
}

/// To the millisecond, as the ledgers keep it.
fn moment(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

//! Export, import, verify: one page or one batch after the other, whatever the ledger.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::file::{Kept, Reader, Whole, Writer};
use super::place::{Place, Put};
use crate::cli::text::plain;

/// Resources that are read from a ledger at a time.
const PAGE: usize = 1_000;
/// Resources that are written to a ledger at a time.
const BATCH: usize = 1_000;
/// How many of those that were refused or are missing are named.
const NAMED_MAX: u64 = 100;
/// How often is told how far it has come.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Writes everything that a ledger has to a file, or to standard output.
pub(super) async fn export(
    place: &Place,
    output: Option<&Path>,
    told: &mut dyn Write,
) -> anyhow::Result<()> {
    let notes = place.notes().await?;
    for note in &notes {
        writeln!(told, "note: {note}")?;
    }
    let resources = match output {
        None => {
            let out = BufWriter::new(std::io::stdout().lock());
            write(place, out, notes, told).await?.1
        }
        Some(path) => {
            if path.exists() {
                bail!("{} is there already; name another file", path.display());
            }
            // It has its name only when it is whole and on disk.
            let mut part = path.as_os_str().to_owned();
            part.push(".part");
            let why = || format!("cannot write {}", path.display());
            let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part);
            let out = BufWriter::new(file.with_context(why)?);
            let (out, resources) = write(place, out, notes, told).await?;
            out.into_inner().with_context(why)?.sync_all().with_context(why)?;
            std::fs::rename(&part, path).with_context(why)?;
            resources
        }
    };
    writeln!(told, "exported {resources} resources from {}", place.name())?;
    Ok(())
}

async fn write<W: Write>(
    place: &Place,
    out: W,
    notes: Vec<String>,
    told: &mut dyn Write,
) -> anyhow::Result<(W, u64)> {
    let mut writer = Writer::begin(out, place.name().to_owned(), notes)?;
    let mut progress = Progress::new("exported", None);
    let mut after: Option<String> = None;
    loop {
        let page = place.page(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.resource.to_string());
        // What was never raised has a row, and no mark.
        for kept in page.iter().filter(|kept| kept.mark.token > crate::fence::Token::ZERO) {
            writer.put(kept)?;
        }
        progress.add(page.len(), told)?;
    }
    writer.end()
}

/// Raises marks to those of a file; false when some were refused.
pub(super) async fn import(
    place: &Place,
    file: &Path,
    whole: &Whole,
    told: &mut dyn Write,
) -> anyhow::Result<bool> {
    for note in whole.head.notes.iter().map(|note| plain(note)) {
        writeln!(told, "note of the export from {}: {note}", plain(&whole.head.from))?;
    }
    let (mut raised, mut same, mut refused) = (0_u64, 0_u64, 0_u64);
    let mut progress = Progress::new("imported", Some(whole.resources));
    let mut reader = Reader::open(file)?;
    while let Some(batch) = batch(&mut reader)? {
        let (numbers, batch): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let answers = place.put(&batch).await?;
        for ((number, kept), put) in numbers.iter().zip(&batch).zip(answers) {
            let why = match put {
                Put::Raised => {
                    raised += 1;
                    continue;
                }
                Put::Same => {
                    same += 1;
                    continue;
                }
                Put::Higher(there) => format!("the mark there is {there}; it is not lowered"),
                Put::Holder(there) => format!(
                    "the same mark is held by {} there: two leaders had one token",
                    plain(there.as_str())
                ),
                Put::Failed(why) => why,
            };
            refused += 1;
            if refused <= NAMED_MAX {
                let (name, token) = (plain(kept.resource.as_str()), kept.mark.token);
                writeln!(told, "{}:{number}: {name} at {token}: {why}", file.display())?;
            }
        }
        progress.add(batch.len(), told)?;
    }
    if refused > NAMED_MAX {
        writeln!(told, "... and {} more", refused - NAMED_MAX)?;
    }
    writeln!(told, "{}: {raised} raised, {same} there already, {refused} refused", place.name())?;
    Ok(refused == 0)
}

/// Whether every mark of a file is there, or higher.
pub(super) async fn verify(
    place: &Place,
    file: &Path,
    whole: &Whole,
    told: &mut dyn Write,
) -> anyhow::Result<bool> {
    let (mut there, mut lacking) = (0_u64, 0_u64);
    let mut progress = Progress::new("verified", Some(whole.resources));
    let mut reader = Reader::open(file)?;
    while let Some(batch) = batch(&mut reader)? {
        let names: Vec<_> = batch.iter().map(|(_, kept)| kept.resource.clone()).collect();
        let marks = place.marks(&names).await?;
        for ((number, kept), mark) in batch.iter().zip(marks) {
            if mark.token >= kept.mark.token {
                there += 1;
                continue;
            }
            lacking += 1;
            if lacking <= NAMED_MAX {
                let (name, token) = (plain(kept.resource.as_str()), kept.mark.token);
                let found = mark.token;
                writeln!(told, "{}:{number}: {name} is at {found}, not {token}", file.display())?;
            }
        }
        progress.add(batch.len(), told)?;
    }
    if lacking > NAMED_MAX {
        writeln!(told, "... and {} more", lacking - NAMED_MAX)?;
    }
    writeln!(told, "{}: {there} marks are there or higher, {lacking} are not", place.name())?;
    Ok(lacking == 0)
}

/// The next lines; `None` behind the last one.
fn batch(reader: &mut Reader) -> anyhow::Result<Option<Vec<(u64, Kept)>>> {
    let mut batch: Vec<(u64, Kept)> = Vec::new();
    let mut names = HashSet::new();
    while batch.len() < BATCH
        && let Some(next) = reader.next()?
    {
        // A batch has each resource once.
        if !names.insert(next.1.resource.clone()) {
            bail!("line {}: {} is there twice", next.0, plain(next.1.resource.as_str()));
        }
        batch.push(next);
    }
    Ok((!batch.is_empty()).then_some(batch))
}

/// Says once in a while how far it has come.
struct Progress {
    verb: &'static str,
    of: Option<u64>,
    done: u64,
    told: Instant,
}

impl Progress {
    fn new(verb: &'static str, of: Option<u64>) -> Self {
        Self { verb, of, done: 0, told: Instant::now() }
    }

    fn add(&mut self, count: usize, to: &mut dyn Write) -> anyhow::Result<()> {
        self.done += count as u64;
        if self.told.elapsed() >= PROGRESS_INTERVAL {
            self.told = Instant::now();
            let of = self.of.map(|of| format!(" of {of}")).unwrap_or_default();
            writeln!(to, "{} {}{of} ...", self.verb, self.done)?;
        }
        Ok(())
    }
}

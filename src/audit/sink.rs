//! Where lines end up: a file that rotates, or standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Target;

/// Only the owner writes, the group may read: the log names identities and addresses.
const FILE_MODE: u32 = 0o640;

/// An open log. After an error it has to be reopened.
#[derive(Debug)]
pub(super) struct Sink {
    target: Target,
    file: Option<File>,
    bytes: u64,
    /// The file ends in a part of a line.
    torn: bool,
}

impl Sink {
    pub(super) fn open(target: Target) -> io::Result<Self> {
        let mut sink = Self { target, file: None, bytes: 0, torn: false };
        sink.reopen()?;
        Ok(sink)
    }

    /// The file by its name: also the way back when it was moved, or its disk was.
    fn reopen(&mut self) -> io::Result<()> {
        self.file = None;
        let Target::File { path, .. } = &self.target else {
            // A descriptor of its own, past the buffer of `std::io::stdout`: so it is
            // known how much of a batch was written.
            let stdout = io::stdout().as_fd().try_clone_to_owned()?;
            self.file = Some(File::from(stdout));
            return Ok(());
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(path)
            .map_err(|error| named(&error, path))?;
        self.bytes = file.metadata()?.len();
        self.torn = self.bytes > 0 && !ends_in_line_feed(&mut file)?;
        self.file = Some(file);
        Ok(())
    }

    /// Writes whole lines, rotating where the size asks for it. The answer is how many
    /// bytes need not be written again: always whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut done = 0;
        while done < lines.len() {
            match self.write_some(&lines[done..]) {
                Ok(count) => done += count,
                Err((count, error)) => return (done + count, Err(error)),
            }
        }
        (done, Ok(()))
    }

    fn write_some(&mut self, lines: &[u8]) -> Result<usize, (usize, io::Error)> {
        if self.file.is_none() {
            self.reopen().map_err(|error| (0, error))?;
        }
        let mut part = lines;
        if let Target::File { rotate_bytes, keep, path } = &self.target {
            let room = rotate_bytes.saturating_sub(self.bytes);
            let first = line_end(lines, 0);
            if self.bytes > 0 && first as u64 > room {
                self.sync().map_err(|error| (0, error))?;
                rotate(path, *keep).map_err(|error| (0, error))?;
                self.reopen().map_err(|error| (0, error))?;
                return Ok(0);
            }
            let room = usize::try_from(room).unwrap_or(usize::MAX).max(first);
            if lines.len() > room {
                part = &lines
                    [..lines[..room].iter().rposition(|b| *b == b'\n').map_or(first, |at| at + 1)];
            }
        }
        let Some(file) = &mut self.file else {
            return Err((0, io::Error::other("the log is not open")));
        };
        if self.torn {
            file.write_all(b"\n").map_err(|error| (0, error))?;
            self.bytes += 1;
            self.torn = false;
        }
        let (written, outcome) = write_counted(file, part);
        self.bytes += written as u64;
        let Err(error) = outcome else { return Ok(written) };
        let whole = part[..written].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        // The part of a line is taken back where that can be done; else a line feed sets
        // it off from the next one.
        let length = self.bytes - (written - whole) as u64;
        let is_file = matches!(self.target, Target::File { .. });
        if written > whole && !(is_file && file.set_len(length).is_ok()) {
            self.torn = true;
        }
        if is_file {
            self.file = None;
        }
        Err((whole, error))
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match (&self.target, &self.file) {
            (Target::File { .. }, Some(file)) => match file.sync_data() {
                // A pipe or a terminal by a file's name has nothing to sync.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
                outcome => outcome,
            },
            _ => Ok(()),
        }
    }
}

/// `write_all`, telling how far it came.
fn write_counted(file: &mut File, mut bytes: &[u8]) -> (usize, io::Result<()>) {
    let total = bytes.len();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return (total - bytes.len(), Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (total - bytes.len(), Err(error)),
        }
    }
    (total, Ok(()))
}

fn line_end(lines: &[u8], from: usize) -> usize {
    lines[from..].iter().position(|b| *b == b'\n').map_or(lines.len(), |at| from + at + 1)
}

fn ends_in_line_feed(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// `log` to `log.1`, that to `log.2`, and so on; the last one goes.
fn rotate(path: &Path, keep: usize) -> io::Result<()> {
    if keep == 0 {
        fs::remove_file(path).map_err(|error| named(&error, path))?;
    } else {
        for number in (1..keep).rev() {
            move_file(&numbered(path, number), &numbered(path, number + 1))?;
        }
        move_file(path, &numbered(path, 1))?;
    }
    // The new name has to be as durable as the lines. A folder that cannot be synced is
    // no reason to stop writing.
    if let Some(folder) = path.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome.map_err(|error| named(&error, to)),
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("the audit log {}: {error}", path.display()))
}

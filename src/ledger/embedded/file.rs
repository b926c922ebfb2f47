//! Opening the file: made whole or not at all, one process at a time, and never anything
//! but a ledger.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, StorageBackend, WriteTransaction,
};

use super::Settings;
use super::tables::{self, Identity, LAYOUT_VERSION, Session};

/// What every redb file begins with, from its published file format.
const REDB_MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// Why the ledger was not opened. None of these is ever mended by starting with an empty
/// ledger unasked, because that forgets every mark.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it, or this one twice.
    #[error(
        "the ledger {} is in use by another process; stop that one first (one palisade per \
         ledger file), or give this one a ledger file of its own", path.display()
    )]
    AlreadyOpen {
        /// The file.
        path: PathBuf,
    },
    /// It is a ledger, or was to be one, and cannot be trusted.
    #[error(
        "the ledger {} is damaged: {detail}; restore its newest backup and compare the marks in \
         it with the current tokens, or, knowing that every mark in it is forgotten, move it \
         away once no older leader can be left", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// It is something else.
    #[error(
        "{} is not a ledger of palisade: {detail}; check the path, restore the newest backup if \
         the ledger was overwritten, or move the file away if no ledger was ever there",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        detail: String,
    },
    /// The system refused.
    #[error("cannot {action} the ledger {}: {source}; {}", path.display(), mend(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another version of Palisade wrote it.
    #[error(
        "the ledger {} has layout {found}, and this palisade knows layout {LAYOUT_VERSION}; \
         start the version of palisade that wrote it", path.display()
    )]
    Layout {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// The folder it should be in does not exist. It is not made unasked: a volume that is not
    /// mounted must not look like a first start.
    #[error(
        "the folder of the ledger {} does not exist; create it, or mount its volume, or correct \
         the path", path.display()
    )]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
}

fn mend(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "let the user that palisade runs as read and write the file and its folder"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its file system",
        _ => "check its disk and its file system",
    }
}

/// An open file, marked as in use.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) ended_uncleanly: bool,
}

/// Opens the ledger at `path`, or makes it when there is nothing at all. `wrap` lets tests
/// put faults between redb and the file.
pub(super) fn open<B: StorageBackend>(
    path: &Path,
    settings: &Settings,
    wrap: impl FnOnce(FileBackend) -> B,
) -> Result<Opened, OpenError> {
    let place = Place { path };
    let (file, fresh) = match place.existing()? {
        Some(file) => (file, false),
        None => match place.make_room()? {
            Some(file) => (file, true),
            // Another process was faster, between the two looks.
            None => return Err(OpenError::AlreadyOpen { path: path.into() }),
        },
    };
    // redb panics on some damaged files that were closed cleanly.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        if fresh { place.create(file, settings, wrap) } else { place.resume(file, settings, wrap) }
    }));
    opened.unwrap_or_else(|_| Err(place.damaged("it cannot be made sense of".into())))
}

/// A transaction that is durable and cannot be rolled back once committed.
///
/// Two-phase commit, for two reasons. With redb's single-phase one a commit that turns out to
/// be damaged later is rolled back silently at the next open, and marks would go down. And
/// after a failed fsync the system may go on to show pages that never reached the disk: here
/// no commit points to pages before their own fsync has succeeded, and the header, which
/// does the pointing, is written and synced again by the next open. Quick repair, so that a
/// start after a crash need not depend on the size of the file.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
    Ok(txn)
}

/// Where the ledger is, or is to be.
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
}

impl Place<'_> {
    /// The file if it is there, locked and looking like one of redb's.
    fn existing(&self) -> Result<Option<File>, OpenError> {
        match self.path.metadata() {
            Ok(found) if !found.is_file() => return Err(self.foreign("it is not a regular file")),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match self.path.symlink_metadata() {
                    Ok(_) => Err(self.foreign("it is a link to a place that does not exist")),
                    Err(_) => Ok(None),
                };
            }
            Err(error) => return Err(self.io("look for")(error)),
        }
        let file = OpenOptions::new().read(true).write(true).open(self.path);
        let file = self.lock(file.map_err(self.io("open"))?)?;
        let mut magic = [0; REDB_MAGIC.len()];
        match file.read_exact_at(&mut magic, 0) {
            Ok(()) if magic == REDB_MAGIC => Ok(Some(file)),
            Ok(()) => Err(self.foreign("it begins with other bytes")),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let len = file.metadata().map_err(self.io("look at"))?.len();
                Err(match len {
                    // redb would start afresh in it without a word.
                    0 => self.foreign("it is empty, and palisade never leaves it so"),
                    len => self.foreign(&format!("it has only {len} bytes")),
                })
            }
            Err(error) => Err(self.io("read")(error)),
        }
    }

    /// An empty, locked file beside the place, under a name that is never taken for a ledger.
    /// Whatever a process left there that died while it made one was never in use.
    pub(super) fn make_room(&self) -> Result<Option<File>, OpenError> {
        if !self.folder().is_dir() {
            return Err(OpenError::NoFolder { path: self.path.into() });
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(self.unfinished()).map_err(self.io("create"))?;
        let file = self.lock(file)?;
        // Looked at again under the lock: only its holder renames the file, so if there is
        // still no ledger, then nobody else can be about to put one there.
        if self.path.symlink_metadata().is_ok() {
            return Ok(None);
        }
        file.set_len(0).map_err(self.io("create"))?;
        // One that was left there may have any mode.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(self.io("create"))?;
        Ok(Some(file))
    }

    fn create<B: StorageBackend>(
        &self,
        file: File,
        settings: &Settings,
        wrap: impl FnOnce(FileBackend) -> B,
    ) -> Result<Opened, OpenError> {
        let whole = file.try_clone().map_err(self.io("create"))?;
        let database = self.database(file, settings, wrap)?;
        self.commit(&database, |txn| {
            tables::initialise(txn)?;
            tables::set_session(txn, Session::Open)
        })?;
        whole.sync_all().map_err(self.io("create"))?;
        // The lock goes along: it is on the file, not on the name.
        std::fs::rename(self.unfinished(), self.path).map_err(self.io("create"))?;
        File::open(self.folder())
            .and_then(|folder| folder.sync_all())
            .map_err(self.io("create"))?;
        tracing::warn!(
            path = %self.path.display(),
            "made a new ledger, in which every mark is 0; right on a first start only"
        );
        Ok(Opened { database, ended_uncleanly: false })
    }

    fn resume<B: StorageBackend>(
        &self,
        file: File,
        settings: &Settings,
        wrap: impl FnOnce(FileBackend) -> B,
    ) -> Result<Opened, OpenError> {
        let database = self.database(file, settings, wrap)?;
        let identity = database
            .begin_read()
            .map_err(redb::Error::from)
            .and_then(|txn| tables::identify(&txn))
            .map_err(|error| self.refused(error))?;
        let before = match identity {
            Identity::Ours(session) => session,
            Identity::Damaged(detail) => return Err(self.damaged(detail.into())),
            Identity::Foreign(detail) => return Err(self.foreign(detail)),
            Identity::OtherLayout(found) => {
                return Err(OpenError::Layout { path: self.path.into(), found });
            }
        };
        self.commit(&database, |txn| tables::set_session(txn, Session::Open))?;
        Ok(Opened { database, ended_uncleanly: before == Session::Open })
    }

    fn database<B: StorageBackend>(
        &self,
        file: File,
        settings: &Settings,
        wrap: impl FnOnce(FileBackend) -> B,
    ) -> Result<Database, OpenError> {
        let backend = FileBackend::new(file).map_err(|error| self.refused(error.into()))?;
        Database::builder()
            .set_cache_size(settings.cache_bytes)
            .set_check_integrity_on_open(settings.verify_on_open)
            .create_with_backend(wrap(backend))
            .map_err(|error: DatabaseError| self.refused(error.into()))
    }

    fn commit(
        &self,
        database: &Database,
        work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), OpenError> {
        begin(database)
            .and_then(|txn| {
                work(&txn)?;
                Ok(txn.commit()?)
            })
            .map_err(|error| self.refused(error))
    }

    fn lock(&self, file: File) -> Result<File, OpenError> {
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(OpenError::AlreadyOpen { path: self.path.into() }),
            Err(TryLockError::Error(error)) => Err(self.io("lock")(error)),
        }
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    fn unfinished(&self) -> PathBuf {
        let mut name = OsString::from(self.path);
        name.push(".new");
        name.into()
    }

    fn refused(&self, error: redb::Error) -> OpenError {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                OpenError::AlreadyOpen { path: self.path.into() }
            }
            redb::Error::Io(error)
                if !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) =>
            {
                self.io("read or write")(error)
            }
            redb::Error::UpgradeRequired(version) => {
                self.foreign(&format!("it is a redb file of the old format {version}"))
            }
            other => self.damaged(other.to_string()),
        }
    }

    fn damaged(&self, detail: String) -> OpenError {
        OpenError::Damaged { path: self.path.into(), detail }
    }

    fn foreign(&self, detail: &str) -> OpenError {
        OpenError::Foreign { path: self.path.into(), detail: detail.into() }
    }

    fn io(&self, action: &'static str) -> impl Fn(io::Error) -> OpenError {
        let path = self.path.to_path_buf();
        move |source| OpenError::Io { path: path.clone(), action, source }
    }
}

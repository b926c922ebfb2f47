//! PostgreSQL's programs: where they are, and as whom they run.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A user and its group.
#[derive(Clone, Copy)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// `None`: as whoever runs the tests.
    pub(super) fn of_servers() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let named = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut ids = line.split(':').skip(2);
            Some(Self { uid: ids.next()?.parse().ok()?, gid: ids.next()?.parse().ok()? })
        };
        Some(named("postgres").or_else(|| named("nobody")).expect("a user that is not root"))
    }
}

/// One program that is to be run.
pub(super) struct Program(Command);

impl Program {
    pub(super) fn named(name: &str) -> Self {
        Self(Command::new(path(name)))
    }

    pub(super) fn as_user(&mut self, user: Option<User>) -> &mut Self {
        run_as(&mut self.0, user);
        self
    }

    pub(super) fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.0.args(args);
        self
    }

    pub(super) fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.0.arg(arg);
        self
    }

    pub(super) fn run(&mut self) {
        // A file in place of a pipe: what it starts may hold it open for ever.
        let said = tempfile::tempfile().expect("a temporary file");
        let (one, other) = (said.try_clone(), said.try_clone());
        self.0.stdout(one.expect("a file")).stderr(other.expect("a file"));
        let status = self.0.stdin(std::process::Stdio::null()).status().expect("it runs");
        if !status.success() {
            let mut text = String::new();
            use std::io::{Read as _, Seek as _};
            let mut said = said;
            let _ = said.rewind().and_then(|()| said.read_to_string(&mut text));
            panic!("{:?}: {status}: {text}", self.0);
        }
    }
}

/// Where a program is: beside the newest server, or on the path.
pub(in crate::protocol::postgres) fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let of_config = || {
            let output = Command::new("pg_config").arg("--bindir").output().ok()?;
            Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
        };
        let newest = || {
            let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
            let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
            let newest = versions.map(|entry| entry.path()).max_by_key(version)?;
            Some(newest.join("bin"))
        };
        let whole = |folder: &PathBuf| folder.join("postgres").exists();
        of_config().filter(whole).or_else(|| newest().filter(whole))
    });
    folder.as_ref().map_or_else(|| name.into(), |folder| folder.join(name))
}

/// A new empty folder.
pub(super) fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("palisade-pg-").tempdir().expect("a folder").keep()
}

/// Gives a folder and all that is in it to the user.
pub(super) fn own(path: &Path, user: Option<User>) {
    let Some(User { uid, gid }) = user else { return };
    chown(path, Some(uid), Some(gid)).expect("root may give files away");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                own(&entry.path(), user);
            }
        }
    }
}

pub(super) fn run_as(command: &mut Command, user: Option<User>) {
    command.current_dir("/");
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
}

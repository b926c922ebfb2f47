//! The shim between Palisade and the kernel, and the file by which it is told what to do.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The words of the control file, as `shim.c` has them.
const FIRST_SITE: u64 = 0;
const FIRST_COUNT: u64 = 1;
const SECOND_SITE: u64 = 2;
const SECOND_COUNT: u64 = 3;
const MOMENT: u64 = 4;
const IS_POWER_CUT: u64 = 5;
const SEED: u64 = 6;
const IS_SECOND: u64 = 7;
const DISK: u64 = 8;
const LISTEN_PORT: u64 = 9;
const STORE_PORT: u64 = 10;
const DEATHS: u64 = 11;
const DISK_FAULTS: u64 = 12;
const LOST_BYTES: u64 = 13;
const WORDS: u64 = 512;

/// A kind of call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Site {
    LedgerWrite = 1,
    LedgerSync,
    /// Bytes to the store.
    Send,
    /// The end of a connection to the store.
    Close,
    /// Bytes from a client.
    Receive,
    /// Bytes to a client.
    Reply,
}

/// When, seen from the call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    Before,
    /// Half of it is done.
    Torn,
    After,
}

/// Where the process dies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Strike {
    /// A kind of call, and which of them from now on.
    pub first: (Site, u64),
    /// The same, counted from there; without it the process dies at the first.
    pub second: Option<(Site, u64)>,
    pub moment: Moment,
    /// Sectors of the ledger that were not synced may be lost.
    pub is_power_cut: bool,
    /// Which of them.
    pub seed: u64,
}

/// How the ledger's disk is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disk {
    Good,
    SyncFails,
    SyncHangs,
    Full,
}

/// The compiled shim and its control file.
#[derive(Debug)]
pub struct Shim {
    library: PathBuf,
    path: PathBuf,
    control: File,
}

impl Shim {
    /// Compiles it into that folder.
    pub fn build(dir: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/trial/shim.c");
        let library = dir.join("shim.so");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-pthread", "-o"]);
        let done = gcc.arg(&library).arg(source).output();
        let done =
            done.unwrap_or_else(|error| panic!("gcc: {error}: `integration/run` installs it"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let path = dir.join("control");
        let control = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        control.set_len(WORDS * 8).unwrap();
        Self { library, path, control }
    }

    /// What the process has to be started with.
    pub fn environment(&self, ledger: &Path) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", self.library.clone()),
            ("PALISADE_TORTURE_CONTROL", self.path.clone()),
            ("PALISADE_TORTURE_LEDGER", ledger.to_owned()),
        ]
    }

    /// Tells it which connections are which.
    pub fn ports(&self, listen: u16, store: u16) {
        self.set(LISTEN_PORT, listen.into());
        self.set(STORE_PORT, store.into());
    }

    /// From now on it counts.
    pub fn arm(&self, strike: &Strike) {
        self.disarm();
        let (second, count) = strike.second.map_or((0, 0), |(site, count)| (site as u64, count));
        self.set(SECOND_SITE, second);
        self.set(SECOND_COUNT, count);
        self.set(MOMENT, strike.moment as u64);
        self.set(IS_POWER_CUT, strike.is_power_cut.into());
        self.set(SEED, strike.seed);
        self.set(FIRST_COUNT, strike.first.1);
        // Last: the counting begins with it.
        self.set(FIRST_SITE, strike.first.0 as u64);
    }

    /// It kills nothing any more.
    pub fn disarm(&self) {
        self.set(FIRST_SITE, 0);
        self.set(SECOND_SITE, 0);
        self.set(IS_SECOND, 0);
    }

    /// Makes the disk bad, or good again.
    pub fn disk(&self, disk: Disk) {
        self.set(DISK, disk as u64);
    }

    /// How often it has killed its process.
    pub fn deaths(&self) -> u64 {
        self.word(DEATHS)
    }

    /// How many calls a bad disk has answered.
    pub fn disk_faults(&self) -> u64 {
        self.word(DISK_FAULTS)
    }

    /// How much power cuts have taken back.
    pub fn lost_bytes(&self) -> u64 {
        self.word(LOST_BYTES)
    }

    fn set(&self, word: u64, value: u64) {
        self.control.write_all_at(&value.to_ne_bytes(), word * 8).unwrap();
    }

    fn word(&self, word: u64) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, word * 8).unwrap();
        u64::from_ne_bytes(bytes)
    }
}

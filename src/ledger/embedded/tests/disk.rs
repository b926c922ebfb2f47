//! A disk that fails when told to, between redb and the file.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Fault {
    None,
    /// fsync answers EIO.
    Sync,
    /// Writes answer EIO.
    Write,
    /// fsync does not come back until the fault is taken away.
    Hang,
    /// redb has a defect.
    Panic,
}

const FAULTS: [Fault; 5] = [Fault::None, Fault::Sync, Fault::Write, Fault::Hang, Fault::Panic];

/// What can be done to the disk while the ledger is on it.
#[derive(Debug)]
pub(super) struct Control {
    fault: AtomicU8,
    /// The file may grow up to this many bytes.
    capacity_bytes: AtomicU64,
    changed: (Mutex<()>, Condvar),
}

impl Control {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            fault: AtomicU8::new(0),
            capacity_bytes: AtomicU64::new(u64::MAX),
            changed: Default::default(),
        })
    }

    pub(super) fn set(&self, fault: Fault) {
        let _guard = self.changed.0.lock().unwrap();
        self.fault.store(fault as u8, Ordering::SeqCst);
        self.changed.1.notify_all();
    }

    pub(super) fn limit(&self, capacity_bytes: u64) {
        self.capacity_bytes.store(capacity_bytes, Ordering::SeqCst);
    }

    fn fault(&self) -> Fault {
        FAULTS[usize::from(self.fault.load(Ordering::SeqCst))]
    }
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: FileBackend,
    pub(super) control: Arc<Control>,
}

impl Disk {
    fn fits(&self, end: u64) -> io::Result<()> {
        if end > self.control.capacity_bytes.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fits(len)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.control.fault() {
            Fault::Sync => return Err(io::Error::other("EIO on fsync")),
            Fault::Panic => panic!("a defect"),
            Fault::Hang => {
                let (lock, changed) = &self.control.changed;
                let guard = lock.lock().unwrap();
                drop(changed.wait_while(guard, |()| self.control.fault() == Fault::Hang).unwrap());
            }
            Fault::None | Fault::Write => {}
        }
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.control.fault() == Fault::Write {
            return Err(io::Error::other("EIO on write"));
        }
        self.fits(offset + data.len() as u64)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

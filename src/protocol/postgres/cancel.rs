//! The keys that clients cancel with: Palisade's own, each standing for a server's that no client
//! ever sees.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{constant_time, rand};

#[cfg(test)]
mod tests;

/// Bytes of a secret: 4 in protocol 3.0, up to 256 in 3.2.
const SECRET_BYTES: RangeInclusive<usize> = 4..=256;
/// How often another process id is tried when one is taken.
const TRIES_MAX: usize = 64;

/// What a client gets to cancel with.
#[derive(Clone, Eq, PartialEq)]
pub struct Key {
    /// In the place of a process id: 1 to `i32::MAX`, of no other session that lives.
    pub pid: u32,
    /// Random bytes.
    pub secret: Box<[u8]>,
}

/// What it stands for.
#[derive(Clone, Eq, PartialEq)]
pub struct Target {
    /// Whose session it is.
    pub identity: Arc<str>,
    /// The server: its place in the upstream's list.
    pub host: usize,
    /// The server's own key.
    pub pid: u32,
    /// The server's own key.
    pub secret: Box<[u8]>,
}

/// A secret is not shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// A secret is not shown.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("identity", &self.identity)
            .field("host", &self.host)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// The keys of all sessions that live: one each, so there are no more than sessions.
#[derive(Debug, Default)]
pub struct Cancels(Mutex<HashMap<u32, (Key, Target)>>);

/// A session's key, known until this is dropped.
#[derive(Debug)]
pub struct Registered {
    key: Key,
    cancels: Arc<Cancels>,
    is_known: bool,
}

impl Cancels {
    /// Makes a key with `secret_len` bytes of secret, 4 to 256.
    ///
    /// Where there are no random numbers, the key is one that nothing can be cancelled with.
    pub fn register(self: &Arc<Self>, target: Target, secret_len: usize) -> Registered {
        let secret_len = secret_len.clamp(*SECRET_BYTES.start(), *SECRET_BYTES.end());
        let mut key = Key { pid: 0, secret: vec![0; secret_len].into() };
        let is_known = rand::fill(&mut key.secret).is_ok() && self.insert(&mut key, target);
        Registered { key, cancels: Arc::clone(self), is_known }
    }

    /// Whether there was a free process id.
    fn insert(&self, key: &mut Key, target: Target) -> bool {
        let mut keys = self.lock();
        for _ in 0..TRIES_MAX {
            let mut pid = [0; 4];
            if rand::fill(&mut pid).is_err() {
                break;
            }
            // Some drivers hold it in a signed number, and none expects 0.
            key.pid = (u32::from_be_bytes(pid) >> 1).max(1);
            if let Entry::Vacant(place) = keys.entry(key.pid) {
                place.insert((key.clone(), target));
                return true;
            }
        }
        false
    }

    /// What a key stands for, if it is `identity`'s. `None` for `identity`: it is not known who asks
    /// (over plain TCP), and the secret is all.
    pub fn find(&self, pid: u32, secret: &[u8], identity: Option<&str>) -> Option<Target> {
        let keys = self.lock();
        let (key, target) = keys.get(&pid)?;
        constant_time::verify_slices_are_equal(&key.secret, secret).ok()?;
        identity.is_none_or(|identity| *target.identity == *identity).then(|| target.clone())
    }

    /// What happens under the lock leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, (Key, Target)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// The key, for the client.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if self.is_known {
            self.cancels.lock().remove(&self.key.pid);
        }
    }
}

//! SCRAM's keys, derived from passwords once: thousands of rounds of hashing are the most that a
//! login costs, and the server asks for the same ones until the password is changed.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

/// Keys that are kept: of as many roles, or of one role whose password was changed so often.
pub(super) const KEYS_MAX: usize = 1_024;

/// What stands for a password in an exchange.
pub(super) struct Keys {
    pub(super) client: Zeroizing<[u8; 32]>,
    pub(super) stored: Zeroizing<[u8; 32]>,
    pub(super) server: Zeroizing<[u8; 32]>,
}

/// Whose keys, and under which salt. The password itself is no part of it: it does not change
/// as long as a connector lives.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Name {
    /// The control role may have another password than the sessions' role of that name.
    pub(super) is_control: bool,
    pub(super) role: String,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: NonZeroU32,
}

/// The keys of one connector.
#[derive(Default)]
pub(super) struct Cache {
    known: Mutex<VecDeque<(Name, Arc<Keys>)>>,
    /// Held while keys are derived, so that a thousand logins at once derive them once.
    deriving: tokio::sync::Mutex<()>,
}

impl Keys {
    /// Blocks for as long as the rounds take: a millisecond for the usual 4,096.
    pub(super) fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        // RFC 7677 wants passwords prepared; one that cannot be is taken as it is, like the
        // server does when the password is set.
        let prepared = stringprep::saslprep(password).unwrap_or(password.into());
        let mut salted = Zeroizing::new([0; 32]);
        let password = Zeroizing::new(prepared.into_owned());
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut *salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
        let client = copied(hmac::sign(&key, b"Client Key").as_ref());
        let stored = copied(digest::digest(&digest::SHA256, &*client).as_ref());
        let server = copied(hmac::sign(&key, b"Server Key").as_ref());
        Self { client, stored, server }
    }
}

impl Cache {
    /// The keys of that name, off the worker where they have to be derived. `None` when the
    /// process is ending.
    pub(super) async fn keys(&self, name: Name, password: &Zeroizing<String>) -> Option<Arc<Keys>> {
        if let Some(keys) = self.known(&name) {
            return Some(keys);
        }
        let _one_at_a_time = self.deriving.lock().await;
        if let Some(keys) = self.known(&name) {
            return Some(keys);
        }
        let (password, salt, iterations) = (password.clone(), name.salt.clone(), name.iterations);
        let deriving =
            tokio::task::spawn_blocking(move || Keys::derive(&password, &salt, iterations));
        let keys = Arc::new(deriving.await.ok()?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEYS_MAX {
            known.pop_front();
        }
        known.push_back((name, keys.clone()));
        Some(keys)
    }

    fn known(&self, name: &Name) -> Option<Arc<Keys>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The newest are the likeliest.
        known.iter().rev().find(|(known, _)| known == name).map(|(_, keys)| keys.clone())
    }
}

fn copied(bytes: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut copy = Zeroizing::new([0; 32]);
    copy.copy_from_slice(bytes);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_are_derived_once_and_the_oldest_make_room() {
        let cache = Cache::default();
        let password = Zeroizing::new("secret".to_owned());
        let name = |n: usize| Name {
            is_control: false,
            role: "app".into(),
            salt: n.to_be_bytes().to_vec(),
            iterations: NonZeroU32::MIN,
        };
        let first = cache.keys(name(0), &password).await.unwrap();
        assert!(Arc::ptr_eq(&first, &cache.keys(name(0), &password).await.unwrap()));
        let control = Name { is_control: true, ..name(0) };
        assert!(!Arc::ptr_eq(&first, &cache.keys(control, &password).await.unwrap()));
        for n in 1..KEYS_MAX {
            cache.keys(name(n), &password).await.unwrap();
        }
        assert_eq!(cache.known.lock().unwrap().len(), KEYS_MAX);
        assert!(cache.known(&name(0)).is_none());
    }

    #[test]
    fn passwords_are_prepared() {
        let keys = |password| *Keys::derive(password, b"salt", NonZeroU32::MIN).client;
        assert_eq!(keys("I\u{ad}X"), keys("IX"));
        assert_eq!(keys("\u{2168}"), keys("IX"));
        assert_ne!(keys("\u{7}"), keys(""));
    }
}

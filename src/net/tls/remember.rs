//! Signatures that were found good are not computed a second time.
//!
//! Each handshake verifies the authority's signature on the client's certificate and, as
//! webpki has it, the one on the revocation list: the same bytes again and again, and a third
//! of what a new connection costs. Whether a signature is good depends on nothing but the key,
//! the message and the signature, so that can be remembered. What depends on more is looked at
//! each time: dates, revocation, the path to a root, and the signature by which the client
//! proves that it has its key.

use std::collections::HashSet;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

/// Good signatures that are remembered, at most, in each of two generations: when the younger
/// is full, the older is forgotten. 32 bytes each.
const GENERATION_MAX: usize = 4096;

/// Shared by all listeners and reloads: rustls takes algorithms only where they live for ever.
static ALGORITHMS: LazyLock<&'static [&'static dyn SignatureVerificationAlgorithm]> =
    LazyLock::new(|| {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let memory: &'static Memory = Box::leak(Box::default());
        let all = provider.signature_verification_algorithms.all.iter();
        let all = all.map(|algorithm| {
            let remembering = Remembering { algorithm: *algorithm, memory };
            &*Box::leak(Box::new(remembering)) as &'static dyn SignatureVerificationAlgorithm
        });
        all.collect::<Vec<_>>().leak()
    });

/// The same algorithms, of which those for certificates and lists remember.
pub(super) fn remembering(algorithms: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    // `mapping` is what clients prove with that they have their keys: never twice the same.
    WebPkiSupportedAlgorithms { all: *ALGORITHMS, ..algorithms }
}

struct Remembering {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    memory: &'static Memory,
}

/// By the SHA-256 of all that the verdict depends on. Only good ones, so that nobody can fill
/// it who has no authority's key.
#[derive(Default)]
struct Memory(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashSet<[u8; 32], foldhash::fast::RandomState>,
    old: HashSet<[u8; 32], foldhash::fast::RandomState>,
}

impl Memory {
    fn has(&self, digest: &[u8; 32]) -> bool {
        let generations = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.contains(digest)
            || (generations.old.contains(digest) && generations.add(*digest))
    }

    fn add(&self, digest: [u8; 32]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(digest);
    }
}

impl Generations {
    fn add(&mut self, digest: [u8; 32]) -> bool {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest)
    }
}

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let mut context = Context::new(&SHA256);
        let (of_key, of_signature) = (self.public_key_alg_id(), self.signature_alg_id());
        for part in [&*of_key, &*of_signature, public_key, signature, message] {
            // With its length, or a byte could move from one part to the next.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        if self.memory.has(&digest) {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        self.memory.add(digest);
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

impl fmt::Debug for Remembering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.algorithm, f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::alg_id;

    use super::*;

    /// Takes a signature for good that is key and message in one, and counts.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl SignatureVerificationAlgorithm for Counting {
        fn verify_signature(
            &self,
            public_key: &[u8],
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            self.0.fetch_add(1, Ordering::Relaxed);
            ([public_key, message].concat() == signature).then_some(()).ok_or(InvalidSignature)
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_P256
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_SHA256
        }
    }

    fn rig() -> (Remembering, &'static Counting) {
        let counting: &'static Counting = Box::leak(Box::default());
        let memory = Box::leak(Box::default());
        (Remembering { algorithm: counting, memory }, counting)
    }

    #[test]
    fn a_good_one_is_computed_once_and_nothing_else_passes_for_it() {
        let (remembering, counting) = rig();
        let check = |key: &str, message: &str, signature: &str, good, computed| {
            let before = counting.0.load(Ordering::Relaxed);
            let (key, message) = (key.as_bytes(), message.as_bytes());
            let verdict = remembering.verify_signature(key, message, signature.as_bytes());
            let after = counting.0.load(Ordering::Relaxed);
            assert_eq!((verdict.is_ok(), after - before), (good, computed));
        };
        check("key", "message", "keymessage", true, 1);
        check("key", "message", "keymessage", true, 0);
        // The same bytes in all, otherwise divided.
        check("", "aa", "aa", true, 1);
        check("a", "a", "aa", true, 1);
        for _ in 0..2 {
            check("key", "message", "keymessagf", false, 1);
            check("key", "messagf", "keymessage", false, 1);
            check("kez", "message", "keymessage", false, 1);
        }
    }

    #[test]
    fn what_is_used_is_remembered_and_there_is_a_bound() {
        let (remembering, counting) = rig();
        let verify = |number: usize| {
            let text = number.to_string();
            let signature = format!("k{text}");
            remembering.verify_signature(b"k", text.as_bytes(), signature.as_bytes()).unwrap();
        };
        for number in 1..4 * GENERATION_MAX {
            verify(number);
            if number % 1000 == 0 {
                verify(0);
            }
        }
        let generations = remembering.memory.0.lock().unwrap();
        assert!(generations.young.len() <= GENERATION_MAX);
        assert!(generations.old.len() <= GENERATION_MAX);
        assert_eq!(counting.0.load(Ordering::Relaxed), 4 * GENERATION_MAX);
    }
}

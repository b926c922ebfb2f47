//! SCRAM-SHA-256 as a client (RFC 5802, RFC 7677), and its variant that is bound to TLS's
//! certificate: pure. Who derives the keys is [`super::keys`]' affair, because that is what costs.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::keys::Keys;

/// The plain mechanism.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";
/// The one that is bound to the server's certificate.
pub(super) const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// A server that wants more rounds than this costs more than a login may.
pub(super) const ITERATIONS_MAX: u32 = 1_000_000;

/// Random bytes of our nonce.
pub(super) const NONCE_BYTES: usize = 18;

/// Whether the exchange is bound to the TLS connection that it runs in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Binding {
    /// We cannot: no TLS, or a certificate whose signature names no hash.
    Unsupported,
    /// We can; the server did not offer it, and will tell if it had: then somebody took it away.
    NotOffered,
    /// To the hash of the server's certificate (RFC 5929, tls-server-end-point).
    EndPoint(Vec<u8>),
}

impl Binding {
    /// The mechanism that says so.
    pub(super) fn mechanism(&self) -> &'static str {
        if matches!(self, Self::EndPoint(_)) { MECHANISM_PLUS } else { MECHANISM }
    }

    fn header(&self) -> &'static str {
        match self {
            Self::Unsupported => "n,,",
            Self::NotOffered => "y,,",
            Self::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    fn encoded(&self) -> String {
        let mut bytes = self.header().as_bytes().to_vec();
        if let Self::EndPoint(hash) = self {
            bytes.extend_from_slice(hash);
        }
        BASE64.encode(bytes)
    }
}

/// Why an exchange did not come to its end.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
pub(super) enum ScramError {
    /// What the server said is no SCRAM.
    #[error("the server's SCRAM message is malformed: {0}")]
    Malformed(&'static str),
    /// See [`ITERATIONS_MAX`].
    #[error(
        "the server wants {0} rounds of its password's hash, and more than {ITERATIONS_MAX} are \
         not done; set the role's password again with a lower scram_iterations"
    )]
    Iterations(u64),
    /// Whoever answered does not know the password either.
    #[error(
        "the server could not prove that it knows the role's password: it is not the server that \
         it says it is, or somebody is in between"
    )]
    Imposter,
    /// It said why.
    #[error("the server ended SCRAM: {0}")]
    Ended(String),
}

/// An exchange that has begun.
pub(super) struct Exchange {
    binding: Binding,
    bare: String,
    nonce: String,
}

/// What the server asks for.
pub(super) struct Challenge {
    /// Of the password's hash.
    pub(super) salt: Vec<u8>,
    /// Its rounds.
    pub(super) iterations: NonZeroU32,
    without_proof: String,
    authenticated: String,
}

/// What the server has to answer.
pub(super) struct Expected([u8; 32]);

impl Exchange {
    /// With the first message. `user` is empty for PostgreSQL, which takes the start-up packet's.
    pub(super) fn begin(user: &str, nonce: &[u8], binding: Binding) -> (Self, Vec<u8>) {
        let nonce = BASE64.encode(nonce);
        Self::with_nonce(user, nonce, binding)
    }

    fn with_nonce(user: &str, nonce: String, binding: Binding) -> (Self, Vec<u8>) {
        let bare = format!("n={user},r={nonce}");
        let first = format!("{}{bare}", binding.header()).into_bytes();
        (Self { binding, bare, nonce }, first)
    }

    /// The server's first message.
    pub(super) fn challenge(self, message: &[u8]) -> Result<Challenge, ScramError> {
        let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))?;
        let mut parts = text.split(',');
        let mut part = |name| {
            let value = parts.next().and_then(|part| part.strip_prefix(name));
            value.ok_or(ScramError::Malformed("a part of the challenge is missing"))
        };
        let nonce = part("r=")?;
        let salt = part("s=")?;
        let iterations = part("i=")?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramError::Malformed("the nonce is not ours with the server's own added"));
        }
        let salt = BASE64.decode(salt).ok().filter(|salt| !salt.is_empty());
        let salt = salt.ok_or(ScramError::Malformed("the salt is not Base64"))?;
        let iterations: u64 =
            iterations.parse().map_err(|_| ScramError::Malformed("the rounds are no number"))?;
        let rounds = u32::try_from(iterations).ok().filter(|rounds| *rounds <= ITERATIONS_MAX);
        let rounds = rounds.ok_or(ScramError::Iterations(iterations))?;
        let rounds = NonZeroU32::new(rounds).ok_or(ScramError::Malformed("no rounds"))?;
        let without_proof = format!("c={},r={nonce}", self.binding.encoded());
        let authenticated = format!("{},{text},{without_proof}", self.bare);
        Ok(Challenge { salt, iterations: rounds, without_proof, authenticated })
    }
}

impl Challenge {
    /// The last message of ours, and what proves the server.
    pub(super) fn answer(self, keys: &Keys) -> (Expected, Vec<u8>) {
        let signature = sign(&*keys.stored, &self.authenticated);
        let mut proof = *keys.client;
        for (byte, mask) in proof.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let mut last = self.without_proof;
        // Writing to a string does not fail.
        let _ = write!(last, ",p={}", BASE64.encode(proof));
        (Expected(sign(&*keys.server, &self.authenticated)), last.into_bytes())
    }
}

impl Expected {
    /// The server's last message.
    pub(super) fn verify(&self, message: &[u8]) -> Result<(), ScramError> {
        let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))?;
        let part = text.split(',').next().unwrap_or_default();
        if let Some(error) = part.strip_prefix("e=") {
            return Err(ScramError::Ended(error.chars().take(100).collect()));
        }
        let signature = part.strip_prefix("v=").and_then(|text| BASE64.decode(text).ok());
        let signature = signature.ok_or(ScramError::Malformed("no signature at its end"))?;
        verify_slices_are_equal(&self.0, &signature).map_err(|_| ScramError::Imposter)
    }
}

fn sign(key: &[u8], text: &str) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn exchange() -> Exchange {
        Exchange::with_nonce("user", NONCE.to_owned(), Binding::Unsupported).0
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let (exchange, first) =
            Exchange::with_nonce("user", NONCE.to_owned(), Binding::Unsupported);
        assert_eq!(first, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = exchange.challenge(CHALLENGE.as_bytes()).unwrap();
        let keys = Keys::derive("pencil", &challenge.salt, challenge.iterations);
        let (expected, last) = challenge.answer(&keys);
        let proof = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(last).unwrap(), proof);
        let signature = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(expected.verify(signature), Ok(()));
        let wrong = b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(expected.verify(wrong), Err(ScramError::Imposter));
        assert_eq!(expected.verify(b"v="), Err(ScramError::Imposter));
        assert_eq!(expected.verify(b"e=no"), Err(ScramError::Ended("no".into())));
    }

    #[test]
    fn challenges_that_are_none() {
        fn check(challenge: &str, expected: &str) {
            let error = exchange().challenge(challenge.as_bytes()).err().unwrap().to_string();
            assert!(error.contains(expected), "{challenge:?}: {error}");
        }

        check("", "missing");
        check("m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1", "missing");
        check("r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096", "nonce");
        check("r=another,s=AAAA,i=4096", "nonce");
        check("r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096", "salt");
        check("r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "salt");
        check("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=0", "no rounds");
        check("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=-1", "no number");
        check("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1000001", "lower scram_iterations");
        check("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999999", "lower scram_iterations");
    }

    #[test]
    fn the_binding_is_in_the_proof() {
        let binding = Binding::EndPoint(vec![1, 2, 3]);
        assert_eq!(binding.mechanism(), "SCRAM-SHA-256-PLUS");
        let (exchange, first) = Exchange::with_nonce("", "abc".into(), binding);
        assert_eq!(first, b"p=tls-server-end-point,,n=,r=abc");
        let challenge = exchange.challenge(b"r=abcd,s=AAAA,i=1").unwrap();
        let encoded = BASE64.encode(b"p=tls-server-end-point,,\x01\x02\x03");
        assert_eq!(challenge.without_proof, format!("c={encoded},r=abcd"));
    }
}

//! What a listener counts and says of connections that it does not serve to their end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use metrics::{Counter, counter};

use crate::net::metrics::{ACCEPT_ERRORS, CONNECTIONS, CONNECTIONS_CUT, CONNECTIONS_REFUSED};
use crate::net::quiet::Quiet;

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    Evicted,
    Full,
    Handshake,
    HandshakeTimeout,
    Identity,
    IdentityFull,
}

/// Why a connection was cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cut {
    /// The client's certificate has ended.
    Expired,
    /// The time for draining is over.
    Shutdown,
    /// Revoked, or its authority is not trusted any more.
    Untrusted,
}

pub(super) struct Meters {
    listener: Arc<str>,
    pub(super) served: Counter,
    pub(super) accept_errors: Counter,
    pub(super) accept_quiet: Quiet,
    refused: [(Counter, Quiet); 6],
    cut: [(Counter, Quiet); 3],
}

impl Meters {
    pub(super) fn new(listener: &Arc<str>) -> Self {
        let name = || listener.to_string();
        let refused = |reason: Refused| {
            let counter =
                counter!(CONNECTIONS_REFUSED, "listener" => name(), "reason" => reason.word());
            (counter, Quiet::default())
        };
        let cut = |reason: Cut| {
            let counter =
                counter!(CONNECTIONS_CUT, "listener" => name(), "reason" => reason.word());
            (counter, Quiet::default())
        };
        Self {
            listener: listener.clone(),
            served: counter!(CONNECTIONS, "listener" => name()),
            accept_errors: counter!(ACCEPT_ERRORS, "listener" => name()),
            accept_quiet: Quiet::default(),
            // In the order of the variants, which index them.
            refused: [
                refused(Refused::Evicted),
                refused(Refused::Full),
                refused(Refused::Handshake),
                refused(Refused::HandshakeTimeout),
                refused(Refused::Identity),
                refused(Refused::IdentityFull),
            ],
            cut: [cut(Cut::Expired), cut(Cut::Shutdown), cut(Cut::Untrusted)],
        }
    }

    pub(super) fn refused(&self, why: Refused, address: SocketAddr, detail: &str) {
        let (counter, quiet) = &self.refused[why as usize];
        counter.increment(1);
        if let Some(suppressed) = quiet.pass(Instant::now()) {
            let (listener, reason) = (&*self.listener, why.word());
            tracing::info!(listener, %address, reason, suppressed, "connection refused: {detail}");
        }
    }

    pub(super) fn cut(&self, why: Cut, address: SocketAddr, identity: &str, detail: &str) {
        let (counter, quiet) = &self.cut[why as usize];
        counter.increment(1);
        if let Some(suppressed) = quiet.pass(Instant::now()) {
            let (listener, reason) = (&*self.listener, why.word());
            tracing::warn!(
                listener, %address, identity, reason, suppressed, "connection cut: {detail}"
            );
        }
    }
}

impl Refused {
    fn word(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Full => "full",
            Self::Handshake => "handshake",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Identity => "identity",
            Self::IdentityFull => "identity_full",
        }
    }
}

impl Cut {
    fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Shutdown => "shutdown",
            Self::Untrusted => "untrusted",
        }
    }
}

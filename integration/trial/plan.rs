//! What a seed stands for: which faults come in which order, and what the leaders do.
//!
//! Every round has every kind of fault once, in an order and with details of its own. The plan
//! knows nothing of time: how far the leaders have come when a fault hits, the machine says.

use super::chance::Chance;
use super::shim::{Moment, Site, Strike};
use crate::rig::Version;

/// How long the store may still apply what it has not answered.
pub const SETTLE_TIMEOUT: &str = "1s";
/// The same in milliseconds.
pub const SETTLE_MS: u64 = 1_000;
/// How long the store takes over a write at most, unless it is frozen.
pub const DELAY_MS_MAX: u64 = 250;
/// Resources with leaders in turn.
pub const RESOURCES: u64 = 6;

/// Something that goes wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// `kill -9`, or a power cut, at a call of the process.
    Strike(&'static str, Strike),
    /// The same while it starts.
    StrikeAtStart(&'static str, Strike),
    /// `kill -9` while a takeover waits for a write past its commit point.
    KillWaiting,
    /// `kill -9` whenever.
    KillSometime { after_ms: u64 },
    /// SIGTERM, and a start.
    Restart,
    /// SIGSTOP of a process that writes, in the middle of its upload, over a takeover.
    FreezeWriter { ms: u64 },
    /// SIGSTOP of Palisade.
    FreezePalisade { kind: &'static str, ms: u64 },
    /// SIGSTOP of the store.
    FreezeStore { kind: &'static str, ms: u64 },
    /// An fsync of the ledger fails; `kill -9` or SIGTERM before the start after it.
    SyncFails { is_killed: bool },
    /// An fsync of the ledger does not return.
    SyncHangs { ms: u64 },
    /// The ledger's disk is full, and full still at the first start after it.
    DiskFull,
    /// The certificate of a leader is revoked in the middle of its upload.
    Revoke,
    /// Uploads that end one after the other while a new leader is let in.
    Race { span_ms: u64 },
}

/// The kinds of faults, each of which has to hit at least once in a run.
pub const KINDS: [&str; 27] = [
    "certificate revoked",
    "clean restart",
    "disk full",
    "freeze palisade, long",
    "freeze palisade, short",
    "freeze store, long",
    "freeze store, short",
    "freeze writer",
    "fsync fails",
    "fsync hangs",
    "kill after a forward",
    "kill after ledger sync",
    "kill at any time",
    "kill before a reply",
    "kill before ledger sync",
    "kill before ledger write",
    "kill before the first forward",
    "kill in a forward",
    "kill in ledger write",
    "kill when a request is read",
    "kill when older writes are cut",
    "kill while older writes are awaited",
    "kill while starting",
    "power cut at ledger sync",
    "power cut at ledger write",
    "power cut while starting",
    "uploads that end in a takeover",
];

impl Fault {
    /// One of [`KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Strike(kind, _) | Self::StrikeAtStart(kind, _) => kind,
            Self::FreezePalisade { kind, .. } | Self::FreezeStore { kind, .. } => kind,
            Self::KillWaiting => "kill while older writes are awaited",
            Self::KillSometime { .. } => "kill at any time",
            Self::Restart => "clean restart",
            Self::FreezeWriter { .. } => "freeze writer",
            Self::SyncFails { .. } => "fsync fails",
            Self::SyncHangs { .. } => "fsync hangs",
            Self::DiskFull => "disk full",
            Self::Revoke => "certificate revoked",
            Self::Race { .. } => "uploads that end in a takeover",
        }
    }

    fn of(kind: &'static str, chance: &mut Chance) -> Self {
        use Moment::{After, Before, Torn};
        // A raise is some ten writes and two fsyncs; so a few takeovers are reached.
        let (writes, syncs) = (chance.within(1..=24), chance.within(1..=6));
        let (few, seed) = (chance.within(1..=3), chance.number());
        let either = if chance.percent(50) { Before } else { After };
        let strike = |first, second, moment| {
            Self::Strike(kind, Strike { first, second, moment, is_power_cut: false, seed })
        };
        let power_cut =
            |first, moment| Strike { first, second: None, moment, is_power_cut: true, seed };
        let synced = (Site::LedgerSync, syncs);
        match kind {
            "certificate revoked" => Self::Revoke,
            "clean restart" => Self::Restart,
            "disk full" => Self::DiskFull,
            "freeze palisade, long" => {
                Self::FreezePalisade { kind, ms: SETTLE_MS + chance.within(200..=700) }
            }
            "freeze palisade, short" => Self::FreezePalisade { kind, ms: chance.within(50..=400) },
            "freeze store, long" => {
                Self::FreezeStore { kind, ms: 2 * SETTLE_MS + chance.within(300..=900) }
            }
            // Together with its delay it stays below what it is trusted with.
            "freeze store, short" => Self::FreezeStore { kind, ms: chance.within(50..=400) },
            "freeze writer" => Self::FreezeWriter { ms: chance.within(50..=400) },
            "fsync fails" => Self::SyncFails { is_killed: chance.percent(50) },
            "fsync hangs" => Self::SyncHangs { ms: chance.within(300..=900) },
            "kill after a forward" => strike(synced, Some((Site::Send, few)), After),
            "kill after ledger sync" => strike(synced, None, After),
            "kill at any time" => Self::KillSometime { after_ms: chance.within(0..=300) },
            "kill before a reply" => strike(synced, Some((Site::Reply, few)), Before),
            "kill before ledger sync" => strike(synced, None, Before),
            "kill before ledger write" => strike((Site::LedgerWrite, writes), None, Before),
            "kill before the first forward" => strike(synced, Some((Site::Send, 1)), Before),
            "kill in a forward" => strike(synced, Some((Site::Send, few)), Torn),
            "kill in ledger write" => strike((Site::LedgerWrite, writes), None, Torn),
            "kill when a request is read" => {
                strike((Site::Receive, chance.within(1..=60)), None, After)
            }
            "kill when older writes are cut" => strike(synced, Some((Site::Close, 1)), either),
            "kill while older writes are awaited" => Self::KillWaiting,
            "kill while starting" => {
                let first =
                    chance.one_of(&[(Site::LedgerWrite, writes % 8 + 1), (Site::LedgerSync, few)]);
                Self::StrikeAtStart(
                    kind,
                    Strike { first, second: None, moment: either, is_power_cut: false, seed },
                )
            }
            "power cut at ledger sync" => Self::Strike(kind, power_cut(synced, either)),
            "power cut at ledger write" => {
                Self::Strike(kind, power_cut((Site::LedgerWrite, writes), Torn))
            }
            "power cut while starting" => {
                Self::StrikeAtStart(kind, power_cut((Site::LedgerSync, few), Before))
            }
            "uploads that end in a takeover" => Self::Race { span_ms: chance.within(2..=10) },
            unknown => unreachable!("{unknown} is not one of the kinds"),
        }
    }
}

/// The faults of a round in their order, each with the quiet time before it in milliseconds.
/// The first round is short; in the others leaders come into their stride between the faults.
pub fn faults(seed: u64, round: u64) -> Vec<(u64, Fault)> {
    let mut chance = Chance::of(seed, &[0, round]);
    let mut kinds = KINDS;
    chance.shuffle(&mut kinds);
    let quiet_ms_max = if round == 0 { 0 } else { 2 * SETTLE_MS };
    kinds.map(|kind| (chance.within(0..=quiet_ms_max), Fault::of(kind, &mut chance))).into()
}

/// What a new leader does first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opener {
    Seal,
    Read,
    Write,
}

/// One leader, from its election until its last writer has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reign {
    /// How much larger its token is than the one before.
    pub gap: u64,
    pub who: &'static str,
    pub version: Version,
    pub opener: Opener,
    /// When the next leader comes.
    pub ms: u64,
    /// What each writer of it writes.
    pub writers: Vec<Vec<Planned>>,
}

/// One write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Planned {
    pub object: u64,
    /// Before it.
    pub pause_ms: u64,
    /// How long the store takes over it.
    pub delay_ms: u64,
    /// How long the writer stops in the middle of the body.
    pub stall_ms: u64,
}

/// A leader of a resource.
pub fn reign(seed: u64, round: u64, resource: u64, index: u64) -> Reign {
    let mut chance = Chance::of(seed, &[1, round, resource, index]);
    let gap = if chance.percent(5) { chance.within(100..=10_000) } else { chance.within(1..=3) };
    let writers = (0..chance.within(1..=3))
        .map(|_| (0..chance.within(2..=8)).map(|_| planned(&mut chance)).collect::<Vec<_>>());
    let writers = writers.collect();
    Reign {
        gap,
        who: chance.one_of(&["leader-a", "leader-a2", "leader-b"]),
        version: chance.one_of(&[Version::Http1, Version::Http2]),
        opener: chance.one_of(&[Opener::Seal, Opener::Read, Opener::Write]),
        ms: chance.within(100..=500),
        writers,
    }
}

fn planned(chance: &mut Chance) -> Planned {
    let delay_ms = match chance.within(0..=9) {
        0..=5 => 0,
        6..=8 => chance.within(1..=80),
        _ => chance.within(80..=DELAY_MS_MAX),
    };
    let stall_ms = if chance.percent(20) { chance.within(10..=200) } else { 0 };
    Planned { object: chance.within(0..=2), pause_ms: chance.within(10..=120), delay_ms, stall_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_each_round_has_every_kind() {
        for seed in 0..50 {
            for round in 0..3 {
                let plan = faults(seed, round);
                assert_eq!(plan, faults(seed, round));
                assert_ne!(plan, faults(seed + 1, round));
                assert_ne!(plan, faults(seed, round + 1));
                let mut kinds: Vec<_> = plan.iter().map(|(_, fault)| fault.kind()).collect();
                kinds.sort_unstable();
                assert_eq!(kinds, KINDS);
                assert_eq!(reign(seed, round, 1, 2), reign(seed, round, 1, 2));
                assert_ne!(reign(seed, round, 1, 2), reign(seed, round, 2, 1));
            }
        }
    }
}

//! What a seed stands for: which faults, in which order, for how long. Nothing here depends on
//! what the machine does.

use crate::rig::cluster::{DRAIN_MS, Kind, MARGIN_MS, NODES, REPLICAS, SETTLE_MS, TTL_MS};
use crate::trial::Chance;

/// Something that goes wrong, and how long it stays so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    pub what: What,
    pub ms: u64,
    /// How long all is well before it.
    pub quiet_ms: u64,
    /// What the replica has sent to the store just then arrives when the fault is over: only where
    /// the store can be asked to end connections.
    pub is_on_its_way: bool,
}

/// What goes wrong. Replicas and nodes by their places.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum What {
    /// `kill -9` of a replica, and a start.
    ReplicaKilled(usize),
    /// SIGTERM of a replica, and a start.
    ReplicaRestarted(usize),
    /// SIGSTOP of a replica: beyond its session, or not.
    ReplicaFrozen(usize),
    /// A replica and the ledger do not reach each other.
    LedgerOut(usize),
    /// What a replica sends to the ledger is lost; it hears it.
    LedgerDeaf(usize),
    /// What the ledger sends to a replica is lost; it hears the replica.
    LedgerMute(usize),
    /// A replica and one node of the ledger do not reach each other.
    PairOut(usize, usize),
    /// Two nodes of the ledger do not reach each other.
    NodesOut(usize, usize),
    /// A node and a replica reach each other, and nobody else of the ledger.
    Minority(usize, usize),
    /// `kill -9` of the node that leads, and a start.
    LeaderKilled,
    /// SIGSTOP of it.
    LeaderFrozen,
    /// No replica reaches the ledger.
    AllOut,
    /// What goes between a replica and the ledger is late and overtakes itself.
    LedgerSlow(usize),
    /// What goes between a replica and the store is late and overtakes itself.
    StoreSlow(usize),
    /// What a replica sends to the store is lost, and sent again when that is over.
    StoreDeaf(usize),
    /// What the store sends to a replica is lost, and sent again when that is over.
    StoreMute(usize),
    /// To a replica its connections to the store seem to have ended. What is on its way goes on.
    StoreReset(usize),
    /// Writers do not reach a replica, nor it them.
    WritersOut(usize),
    /// A replica and the store do not reach each other.
    StoreOut(usize),
    /// What others of the ledger send to a node is lost; they hear it.
    NodeDeaf(usize),
}

/// Their names, in the order of [`What`].
pub const KINDS: [&str; 20] = [
    "replica killed",
    "replica restarted",
    "replica frozen",
    "ledger cut off",
    "to the ledger nothing arrives",
    "from the ledger nothing arrives",
    "one node cut off from a replica",
    "two nodes cut off from each other",
    "minority of a node and a replica",
    "leader of etcd killed",
    "leader of etcd frozen",
    "all replicas cut off from the ledger",
    "ledger slow and out of order",
    "store slow and out of order",
    "to the store nothing arrives",
    "from the store nothing arrives",
    "connections to the store end",
    "writers cut off from a replica",
    "store cut off from a replica",
    "a node that hears no other",
];

impl Fault {
    /// One of [`KINDS`].
    pub fn kind(&self) -> &'static str {
        KINDS[match self.what {
            What::ReplicaKilled(_) => 0,
            What::ReplicaRestarted(_) => 1,
            What::ReplicaFrozen(_) => 2,
            What::LedgerOut(_) => 3,
            What::LedgerDeaf(_) => 4,
            What::LedgerMute(_) => 5,
            What::PairOut(..) => 6,
            What::NodesOut(..) => 7,
            What::Minority(..) => 8,
            What::LeaderKilled => 9,
            What::LeaderFrozen => 10,
            What::AllOut => 11,
            What::LedgerSlow(_) => 12,
            What::StoreSlow(_) => 13,
            What::StoreDeaf(_) => 14,
            What::StoreMute(_) => 15,
            What::StoreReset(_) => 16,
            What::WritersOut(_) => 17,
            What::StoreOut(_) => 18,
            What::NodeDeaf(_) => 19,
        }]
    }

    fn of(kind: usize, store: Kind, chance: &mut Chance) -> Self {
        let replica = chance.within(0..=REPLICAS.len() as u64 - 1) as usize;
        let node = chance.within(0..=NODES.len() as u64 - 1) as usize;
        let other = (node + 1 + chance.within(0..=1) as usize) % NODES.len();
        let what = match kind {
            0 => What::ReplicaKilled(replica),
            1 => What::ReplicaRestarted(replica),
            2 => What::ReplicaFrozen(replica),
            3 => What::LedgerOut(replica),
            4 => What::LedgerDeaf(replica),
            5 => What::LedgerMute(replica),
            6 => What::PairOut(replica, node),
            7 => What::NodesOut(node, other),
            8 => What::Minority(node, replica),
            9 => What::LeaderKilled,
            10 => What::LeaderFrozen,
            11 => What::AllOut,
            12 => What::LedgerSlow(replica),
            13 => What::StoreSlow(replica),
            14 => What::StoreDeaf(replica),
            15 => What::StoreMute(replica),
            16 => What::StoreReset(replica),
            17 => What::WritersOut(replica),
            18 => What::StoreOut(replica),
            _ => What::NodeDeaf(node),
        };
        // Within which the session goes on; within which it may be over; beyond it.
        let brief = chance.within(50..=TTL_MS - MARGIN_MS - DRAIN_MS);
        let about = chance.within(TTL_MS - MARGIN_MS - DRAIN_MS..=TTL_MS);
        let beyond = chance.within(TTL_MS..=TTL_MS + 2_000);
        let any = chance.one_of(&[brief, about, beyond]);
        let ms = match &what {
            What::ReplicaKilled(_) | What::ReplicaRestarted(_) | What::StoreReset(_) => {
                chance.within(0..=1_500)
            }
            What::ReplicaFrozen(_) | What::LedgerOut(_) | What::LedgerDeaf(_) => {
                chance.one_of(&[about, beyond])
            }
            What::AllOut => beyond,
            // A store that cannot be asked is trusted with what it has for so long and no longer,
            // and what is lost is sent again after a while that doubles.
            What::StoreDeaf(_) | What::StoreOut(_) | What::StoreSlow(_) if store == Kind::S3 => {
                chance.within(50..=SETTLE_MS / 4)
            }
            What::LedgerMute(_) | What::Minority(..) => any,
            _ => brief.min(2_500),
        };
        let may_linger = matches!(what, What::ReplicaKilled(_) | What::ReplicaFrozen(_));
        let is_on_its_way = may_linger && store != Kind::S3;
        // Others lead by then.
        let ms = if is_on_its_way { TTL_MS + chance.within(500..=3_000) } else { ms };
        Self { what, ms, quiet_ms: chance.within(100..=1_000), is_on_its_way }
    }
}

/// The faults of a round: each kind that there can be once.
pub fn faults(seed: u64, round: u64, store: Kind) -> Vec<Fault> {
    let mut chance = Chance::of(seed, &[7, round]);
    let mut kinds: Vec<_> = (0..KINDS.len()).collect();
    chance.shuffle(&mut kinds);
    kinds.into_iter().map(|kind| Fault::of(kind, store, &mut chance)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_each_round_has_every_kind() {
        for seed in 0..50 {
            let plan = faults(seed, 1, Kind::Redis);
            assert_eq!(plan, faults(seed, 1, Kind::Redis));
            assert_ne!(plan, faults(seed + 1, 1, Kind::Redis));
            assert_ne!(plan, faults(seed, 2, Kind::Redis));
            let mut kinds: Vec<_> = plan.iter().map(Fault::kind).collect();
            let mut all = KINDS;
            kinds.sort_unstable();
            all.sort_unstable();
            assert_eq!(kinds, all);
            let s3 = faults(seed, 1, Kind::S3);
            let is_short = |fault: &Fault| {
                !matches!(fault.what, What::StoreDeaf(_)) || fault.ms <= SETTLE_MS / 4
            };
            assert!(s3.iter().all(is_short));
        }
    }
}

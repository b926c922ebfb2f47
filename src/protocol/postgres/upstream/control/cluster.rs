//! What is known of the servers of one upstream together: which is the primary, whose sessions
//! can do nothing any more, and whether all is swept. Pure.

use super::dead::Dead;
use crate::fence::SessionId;

/// What a server was when it was asked last.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Sight {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It cannot be reached.
    Away,
    /// It follows another one.
    Standby,
    /// It takes writes, on this timeline.
    Primary(u32),
}

#[derive(Clone, Debug, Default)]
struct Known {
    sight: Sight,
    /// The latest on which it was seen as a primary.
    timeline: Option<u32>,
    /// Sessions of an earlier process that were ended there, once none is left.
    swept: Option<usize>,
    /// Whose sessions are to be ended besides.
    dead: Dead,
}

impl Known {
    /// Whether nothing is left there that was told to have ended.
    fn is_swept(&self) -> bool {
        self.swept.is_some() && !self.dead.is_owing()
    }
}

/// See the module. Each promotion begins a new timeline, so of two servers that both take writes
/// the one on the later timeline is the one that the others follow, and what is written on
/// the other one is lost to them.
#[derive(Debug)]
pub(super) struct Cluster {
    hosts: Vec<Known>,
    primary: Option<usize>,
}

impl Cluster {
    /// Nothing is known, except that a single server is the primary.
    pub(super) fn new(hosts: usize) -> Self {
        let primary = (hosts == 1).then_some(0);
        Self { hosts: vec![Known::default(); hosts], primary }
    }

    /// The same where there is nothing to be swept at the start.
    pub(super) fn new_swept(hosts: usize) -> Self {
        let mut cluster = Self::new(hosts);
        cluster.hosts.iter_mut().for_each(|known| known.swept = Some(0));
        cluster
    }

    pub(super) fn see(&mut self, host: usize, sight: Sight) {
        let known = &mut self.hosts[host];
        known.sight = sight;
        if let Sight::Primary(timeline) = sight {
            known.timeline = known.timeline.max(Some(timeline));
        }
        self.choose();
    }

    /// No session of an earlier process is left there.
    pub(super) fn sweep(&mut self, host: usize, ended: usize) {
        self.hosts[host].swept.get_or_insert(ended);
        self.choose();
    }

    pub(super) fn is_host_swept(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(Known::is_swept)
    }

    /// Whether the sweep at the start is done there.
    pub(super) fn is_swept_at_start(&self, host: usize) -> bool {
        self.hosts[host].swept.is_some()
    }

    /// The sessions of a dead replica are to be ended, on every server.
    pub(super) fn want(&mut self, dead: &SessionId) {
        self.hosts.iter_mut().for_each(|known| known.dead.want(dead));
    }

    /// What is still to be ended on that server.
    pub(super) fn wanted(&self, host: usize) -> Vec<SessionId> {
        self.hosts[host].dead.wanted().cloned().collect()
    }

    /// None of its sessions is left on that server.
    pub(super) fn end(&mut self, host: usize, dead: &SessionId) {
        self.hosts[host].dead.end(dead);
        self.choose();
    }

    /// Whether a dead session has none left on any server that takes writes. One that cannot be
    /// reached then owes it, and is none of those that are swept before it has ended them, too.
    pub(super) fn has_ended(&mut self, dead: &SessionId) -> bool {
        let is_any_primary = self.current().any(|(host, _)| self.hosts[host].dead.has_ended(dead));
        let is_done = |known: &Known| {
            known.dead.has_ended(dead) || known.sight == Sight::Away && is_any_primary
        };
        let has_ended = self.hosts.iter().all(is_done);
        if has_ended {
            self.hosts.iter_mut().for_each(|known| known.dead.owe(dead));
        }
        has_ended
    }

    /// The primary, as far as known. One that cannot be reached stays it until another is seen on
    /// a later timeline; one that is not swept is none yet.
    pub(super) fn primary(&self) -> Option<usize> {
        self.primary
    }

    /// Whether what a session does on that server is lost to the others: one of them is
    /// the primary on a later timeline than this one ever was.
    pub(super) fn is_superseded(&self, host: usize) -> bool {
        let Some(timeline) = self.hosts[host].timeline else { return false };
        self.current().any(|(other, later)| other != host && later > timeline)
    }

    /// How many sessions were ended, once no server that could take writes now has any left.
    /// Servers that cannot be reached are swept before they can become the primary.
    pub(super) fn swept(&self) -> Option<usize> {
        let is_any_primary = self.current().next().is_some();
        let is_done = |known: &Known| match known.swept {
            Some(_) => true,
            None => known.sight == Sight::Away && is_any_primary,
        };
        let ended = self.hosts.iter().filter_map(|known| known.swept).sum();
        self.hosts.iter().all(is_done).then_some(ended)
    }

    /// The swept servers that take writes now, with their timelines.
    fn current(&self) -> impl Iterator<Item = (usize, u32)> {
        self.hosts.iter().enumerate().filter_map(|(host, known)| match known.sight {
            Sight::Primary(timeline) if known.is_swept() => Some((host, timeline)),
            _ => None,
        })
    }

    fn choose(&mut self) {
        if self.hosts.len() == 1 {
            return;
        }
        // The first of those on the latest timeline: two names of one server are no failover.
        let best = self.current().min_by_key(|(host, timeline)| (u32::MAX - timeline, *host));
        let before = self.primary.map(|host| (host, &self.hosts[host]));
        self.primary = match (before, best) {
            // It may only be out of our sight.
            (Some((host, known)), None) if known.sight == Sight::Away => Some(host),
            (Some((host, known)), Some((_, later)))
                if known.sight == Sight::Away && known.timeline >= Some(later) =>
            {
                Some(host)
            }
            (_, best) => best.map(|(host, _)| host),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::Sight::{Away, Primary, Standby};
    use super::*;

    /// All swept but those named.
    fn cluster(sights: &[Sight], unswept: &[usize]) -> Cluster {
        let mut cluster = Cluster::new(sights.len());
        for (host, sight) in sights.iter().enumerate() {
            cluster.see(host, *sight);
            if !unswept.contains(&host) {
                cluster.sweep(host, 1);
            }
        }
        cluster
    }

    #[test]
    fn the_latest_timeline_is_the_primary() {
        fn check(sights: &[Sight], unswept: &[usize], expected: Option<usize>) {
            assert_eq!(cluster(sights, unswept).primary(), expected, "{sights:?}");
        }

        check(&[Sight::Unknown], &[0], Some(0));
        check(&[Standby, Primary(1)], &[], Some(1));
        check(&[Standby, Standby], &[], None);
        check(&[Primary(1), Primary(2)], &[], Some(1));
        check(&[Primary(2), Primary(2)], &[], Some(0));
        check(&[Primary(1), Away], &[], Some(0));
        check(&[Primary(2), Primary(1)], &[0], Some(1));
        check(&[Away, Away], &[0, 1], None);
    }

    #[test]
    fn a_primary_out_of_sight_stays_it_until_another_is_promoted() {
        let mut cluster = cluster(&[Primary(1), Standby], &[]);
        cluster.see(0, Away);
        assert_eq!(cluster.primary(), Some(0));
        cluster.see(1, Primary(1));
        assert_eq!(cluster.primary(), Some(0), "the same timeline is no promotion");
        assert!(!cluster.is_superseded(0));
        cluster.see(1, Primary(2));
        assert_eq!(cluster.primary(), Some(1));
        assert!(cluster.is_superseded(0));
        cluster.see(0, Primary(1));
        assert_eq!(cluster.primary(), Some(1), "the old one is back, and does not know");
        assert!(cluster.is_superseded(0));
        cluster.see(0, Standby);
        assert!(!cluster.is_superseded(1));
        cluster.see(1, Away);
        cluster.see(0, Primary(3));
        assert_eq!(cluster.primary(), Some(0));
        assert!(cluster.is_superseded(1));
    }

    #[test]
    fn a_demoted_primary_is_none() {
        let mut cluster = cluster(&[Primary(1), Standby], &[]);
        cluster.see(0, Standby);
        assert_eq!(cluster.primary(), None);
    }

    #[test]
    fn a_server_never_seen_as_primary_is_not_superseded() {
        assert!(!cluster(&[Away, Primary(7)], &[0]).is_superseded(0));
    }

    #[test]
    fn swept_when_nothing_that_takes_writes_has_sessions_left() {
        fn check(sights: &[Sight], unswept: &[usize], expected: Option<usize>) {
            assert_eq!(cluster(sights, unswept).swept(), expected, "{sights:?}");
        }

        check(&[Primary(1)], &[], Some(1));
        check(&[Primary(1)], &[0], None);
        check(&[Away], &[0], None);
        check(&[Primary(1), Standby], &[], Some(2));
        check(&[Primary(1), Standby], &[1], None);
        check(&[Primary(1), Away], &[1], Some(1));
        check(&[Primary(1), Sight::Unknown], &[1], None);
        check(&[Standby, Away], &[1], None);
        check(&[Primary(1), Away], &[0, 1], None);
    }

    #[test]
    fn the_dead_have_ended_where_writes_are_taken_and_are_owed_elsewhere() {
        let dead = SessionId::new("r1", 7);
        let mut cluster = cluster(&[Primary(1), Away], &[]);
        cluster.want(&dead);
        assert!(!cluster.has_ended(&dead) && cluster.is_host_swept(0) && cluster.is_host_swept(1));
        cluster.end(0, &dead);
        assert!(cluster.has_ended(&dead) && cluster.is_host_swept(0) && !cluster.is_host_swept(1));
        cluster.see(0, Away);
        cluster.see(1, Primary(2));
        assert_eq!(cluster.primary(), Some(0), "the other one may not be used yet");
        assert_eq!(cluster.wanted(1), std::slice::from_ref(&dead));
        cluster.end(1, &dead);
        assert_eq!((cluster.primary(), cluster.is_host_swept(1)), (Some(1), true));
        assert!(cluster.wanted(1).is_empty() && cluster.has_ended(&dead));

        let another = SessionId::new("r2", 1);
        cluster.want(&another);
        cluster.see(1, Away);
        assert!(!cluster.has_ended(&another), "nobody takes writes");
        cluster.end(0, &another);
        cluster.see(0, Standby);
        assert!(!cluster.has_ended(&another), "nobody takes writes");
        cluster.see(1, Standby);
        cluster.see(0, Primary(3));
        assert!(!cluster.has_ended(&another), "it could be reached");
        cluster.end(1, &another);
        assert!(cluster.has_ended(&another));
    }

    #[test]
    fn nothing_to_sweep_is_swept() {
        assert_eq!(Cluster::new_swept(2).swept(), Some(0));
        assert_eq!(Cluster::new_swept(1).primary(), Some(0));
    }
}

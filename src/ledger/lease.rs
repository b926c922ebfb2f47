//! Until when this process may rely on its session with the ledger.
//!
//! Read on the path of every write, so it is one atomic number. The clock is the one that runs
//! through suspension (`CLOCK_BOOTTIME`), and only ever goes forward.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A moment of the clock that runs through suspension, in nanoseconds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// Never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// This one.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
    }

    /// How long after an earlier one; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// See the module.
#[derive(Debug)]
pub struct Lease {
    admits_until: AtomicU64,
}

impl Lease {
    /// That of a ledger without sessions: it never ends.
    pub fn unlimited() -> Self {
        Self::until(Moment::NEVER)
    }

    /// One that admits until then.
    pub fn until(moment: Moment) -> Self {
        Self { admits_until: AtomicU64::new(moment.0) }
    }

    /// Whether a write may be admitted, or pass its commit point, now.
    pub fn admits(&self) -> bool {
        let until = self.admits_until.load(Ordering::Acquire);
        // Without sessions no clock is read.
        until == Moment::NEVER.0 || Moment::now().0 < until
    }

    /// From now on until then.
    pub fn set(&self, until: Moment) {
        self.admits_until.store(until.0, Ordering::Release);
    }

    /// Not any more.
    pub fn end(&self) {
        self.set(Moment(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_by_the_clock_or_at_once() {
        let lease = Lease::until(Moment::now() + Duration::from_millis(20));
        assert!(lease.admits());
        std::thread::sleep(Duration::from_millis(25));
        assert!(!lease.admits());
        lease.set(Moment::now() + Duration::from_secs(9));
        assert!(lease.admits());
        lease.end();
        assert!(!lease.admits());
        assert!(Lease::unlimited().admits());
    }
}

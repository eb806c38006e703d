//! Leases: for how long a node may answer as one that belongs to the cluster, by its own clock.
//!
//! Gray and Cheriton, "Leases: An Efficient Fault-Tolerant Mechanism for Distributed File Cache Consistency", SOSP
//! 1989. The holder counts from when it asked, and a little less than the lease; the granter from when it answered, and
//! a little more: so the holder stops before anybody else begins, as long as no two clocks differ in speed by more than
//! the drift. Times are milliseconds of a monotonic clock of each node, and are never sent.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ids::TableVersion;

/// How many renewals and grants a holder keeps; older ones are forgotten.
const KEPT_MAX: usize = 32;

/// How long a lease is. The same on every node of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// The length of a lease, in milliseconds.
    pub lease_ms: u64,
    /// What part of it clocks may gain or lose on each other: one in so many.
    pub drift_part: u64,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { lease_ms: 500, drift_part: 16 }
    }
}

impl LeaseSettings {
    fn drift_ms(&self) -> u64 {
        self.lease_ms.div_ceil(self.drift_part.max(1))
    }

    /// For how long the holder counts on a lease, from when it asked for it.
    pub fn holder_ms(&self) -> u64 {
        self.lease_ms.saturating_sub(self.drift_ms())
    }

    /// For how long the granter counts on it, from when it answered.
    pub fn granter_ms(&self) -> u64 {
        self.lease_ms + self.drift_ms()
    }

    /// How often a lease is renewed. A granter whose own steps are further apart than this does not run on time.
    pub fn renewal_ms(&self) -> u64 {
        self.lease_ms / 5
    }
}

/// One renewal that a holder asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RenewalId(pub u64);

/// A right to answer until some time, for who has installed a view.
#[derive(Clone, Copy, Debug)]
struct Grant {
    until: u64,
    version: TableVersion,
}

/// The lease of this process, as its holder sees it.
#[derive(Debug)]
pub struct Lease {
    settings: LeaseSettings,
    last: RenewalId,
    sent_at: Option<u64>,
    /// What was asked for and not answered yet, with its time.
    asked: VecDeque<(RenewalId, u64)>,
    /// The later one lasts longer, and asks for a newer view.
    grants: VecDeque<Grant>,
}

impl Lease {
    /// No lease yet.
    pub fn new(settings: LeaseSettings) -> Self {
        let (asked, grants) = (VecDeque::new(), VecDeque::new());
        Self { settings, last: RenewalId(0), sent_at: None, asked, grants }
    }

    /// Whether it is time to ask again.
    pub fn is_renewal_due(&self, now: u64) -> bool {
        self.sent_at.is_none_or(|sent| now >= sent + self.settings.renewal_ms())
    }

    /// A renewal is about to be sent; `now` was read before.
    pub fn renewal_sent(&mut self, now: u64) -> RenewalId {
        self.last.0 += 1;
        self.sent_at = Some(now);
        if self.asked.len() == KEPT_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((self.last, now));
        if planted!(ServeInMinority) {
            self.granted(self.last, TableVersion(0));
        }
        self.last
    }

    /// A renewal was granted to who has installed the view of `version`. One that is unknown, or was answered before,
    /// is ignored.
    pub fn granted(&mut self, id: RenewalId, version: TableVersion) {
        let Some(index) = self.asked.iter().position(|&(asked, _)| asked == id) else { return };
        let Some((_, sent)) = self.asked.remove(index) else { return };
        let grant = Grant { until: sent + self.settings.holder_ms(), version };
        // Whatever ends sooner and asks for as new a view is of no use beside the other.
        let is_useless = |one: &Grant, other: &Grant| one.until <= other.until && one.version >= other.version;
        if self.grants.iter().any(|other| is_useless(&grant, other)) {
            return;
        }
        self.grants.retain(|other| !is_useless(other, &grant));
        if self.grants.len() == KEPT_MAX {
            self.grants.pop_front();
        }
        self.grants.push_back(grant);
    }

    /// Until when the process may answer with the view that it has installed; `None` if it may not at all.
    pub fn until(&self, installed: TableVersion) -> Option<u64> {
        self.grants.iter().filter(|grant| grant.version <= installed).map(|grant| grant.until).max()
    }

    /// Whether the process may answer. `now` is read after what it answers to was read, and again before the answer
    /// leaves: a process that was stopped does not know it.
    pub fn is_valid(&self, now: u64, installed: TableVersion) -> bool {
        self.until(installed).is_some_and(|until| now < until || planted!(ReadAfterLease))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: TableVersion = TableVersion(3);
    const NEW: TableVersion = TableVersion(4);

    fn lease() -> Lease {
        Lease::new(LeaseSettings::default())
    }

    #[test]
    fn the_holder_stops_before_the_granter() {
        let settings = LeaseSettings::default();
        assert_eq!((settings.holder_ms(), settings.granter_ms(), settings.renewal_ms()), (468, 532, 100));
    }

    #[test]
    fn a_lease_counts_from_when_it_was_asked_for() {
        let mut lease = lease();
        assert!(!lease.is_valid(1000, OLD));
        let id = lease.renewal_sent(1000);
        assert!(!lease.is_valid(1000, OLD), "nothing was granted");
        lease.granted(id, OLD);
        assert!(lease.is_valid(1467, OLD));
        assert!(!lease.is_valid(1468, OLD));
    }

    #[test]
    fn a_lease_that_asks_for_a_newer_view_does_not_count_before_that_is_installed() {
        let mut lease = lease();
        let (first, second) = (lease.renewal_sent(0), lease.renewal_sent(100));
        lease.granted(first, OLD);
        lease.granted(second, NEW);
        assert_eq!((lease.until(OLD), lease.until(NEW)), (Some(468), Some(568)));
        assert_eq!(lease.until(TableVersion(2)), None);
    }

    #[test]
    fn late_repeated_and_unknown_grants_change_nothing() {
        let mut lease = lease();
        let (first, second) = (lease.renewal_sent(0), lease.renewal_sent(100));
        lease.granted(second, OLD);
        lease.granted(first, OLD);
        lease.granted(second, OLD);
        lease.granted(RenewalId(99), OLD);
        assert_eq!(lease.until(OLD), Some(568));
    }

    #[test]
    fn renewals_are_due_five_times_in_a_lease() {
        let mut lease = lease();
        assert!(lease.is_renewal_due(0));
        lease.renewal_sent(50);
        assert!(!lease.is_renewal_due(149));
        assert!(lease.is_renewal_due(150));
    }

    #[test]
    fn what_is_never_answered_does_not_pile_up() {
        let mut lease = lease();
        let first = lease.renewal_sent(0);
        (0..1000).for_each(|now| _ = lease.renewal_sent(now));
        assert_eq!(lease.asked.len(), KEPT_MAX);
        lease.granted(first, OLD);
        assert_eq!(lease.until(OLD), None);
    }
}

//! The lease of this process, to be read at every answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use greenroom_actors::{Lease, LeaseSettings, RenewalId, TableVersion};

/// The lease of this process, and all who read it.
#[derive(Debug)]
pub(super) struct Holding {
    origin: Instant,
    settings: LeaseSettings,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    cells: Vec<Weak<Cell>>,
}

#[derive(Debug, Default)]
struct Cell {
    /// In milliseconds since the origin.
    until: AtomicU64,
    installed: AtomicU64,
}

impl Holding {
    pub(super) fn new(settings: LeaseSettings) -> Self {
        let held = Held { lease: Lease::new(settings), cells: Vec::new() };
        Self { origin: Instant::now(), settings, held: Mutex::new(held) }
    }

    /// A renewal is about to be sent.
    pub(super) fn renewal_sent(&self) -> RenewalId {
        let now = self.now();
        self.held().lease.renewal_sent(now)
    }

    /// A renewal was granted to who has installed the view of that version.
    pub(super) fn granted(&self, id: RenewalId, version: TableVersion) {
        let mut held = self.held();
        held.lease.granted(id, version);
        held.refresh();
    }

    /// The process is no member any more, or another one: what it was granted is void.
    pub(super) fn forget(&self) {
        let mut held = self.held();
        held.lease = Lease::new(self.settings);
        held.refresh();
    }

    /// Rounded down, so that a lease begins no later than it was asked for.
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn refresh(&mut self) {
        self.cells.retain(|cell| cell.strong_count() > 0);
        for cell in self.cells.iter().filter_map(Weak::upgrade) {
            let installed = TableVersion(cell.installed.load(Ordering::Acquire));
            cell.until.store(self.lease.until(installed).unwrap_or(0), Ordering::Release);
        }
    }
}

/// The lease of this process, as one shard of it may count on it: with the view that the shard has installed.
///
/// Reading it costs an atomic load and a look at the clock. A clone is the same shard's.
#[derive(Clone, Debug)]
pub struct LeaseCell {
    holding: Arc<Holding>,
    cell: Arc<Cell>,
}

impl LeaseCell {
    pub(super) fn new(holding: &Arc<Holding>) -> Self {
        let cell = Arc::new(Cell::default());
        holding.held().cells.push(Arc::downgrade(&cell));
        Self { holding: Arc::clone(holding), cell }
    }

    /// Whether the process may answer now. It is asked after what is answered was read, and again before the answer leaves:
    /// a process that was stopped does not know it.
    pub fn is_valid(&self) -> bool {
        self.holding.now() < self.cell.until.load(Ordering::Acquire)
    }

    /// The shard has installed the view of that version, or of a later one before.
    pub fn installed(&self, version: TableVersion) {
        let mut held = self.holding.held();
        self.cell.installed.fetch_max(version.0, Ordering::AcqRel);
        held.refresh();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for any test.
    fn holding() -> Arc<Holding> {
        Arc::new(Holding::new(LeaseSettings { lease_ms: 3_600_000, ..LeaseSettings::default() }))
    }

    #[test]
    fn a_shard_that_has_not_installed_the_view_has_no_lease() {
        let holding = holding();
        let (first, second) = (LeaseCell::new(&holding), LeaseCell::new(&holding));
        first.installed(TableVersion(3));
        holding.granted(holding.renewal_sent(), TableVersion(3));
        assert!(first.is_valid() && !second.is_valid());
        second.installed(TableVersion(4));
        assert!(second.is_valid());
    }

    #[test]
    fn nothing_is_left_of_a_lease_that_is_forgotten() {
        let holding = holding();
        let cell = LeaseCell::new(&holding);
        cell.installed(TableVersion(1));
        let asked_before = holding.renewal_sent();
        holding.granted(holding.renewal_sent(), TableVersion(1));
        assert!(cell.is_valid());
        holding.forget();
        holding.granted(RenewalId(asked_before.0 + 7), TableVersion(1));
        assert!(!cell.is_valid());
    }

    #[test]
    fn a_lease_of_no_length_is_over_at_once() {
        let holding = Arc::new(Holding::new(LeaseSettings { lease_ms: 0, ..LeaseSettings::default() }));
        let cell = LeaseCell::new(&holding);
        holding.granted(holding.renewal_sent(), TableVersion(0));
        assert!(!cell.is_valid());
    }
}

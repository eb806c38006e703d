//! Which node is left alone with which slot, as a copy to it failed.

use std::collections::BTreeMap;

use super::CoordinatorSettings;
use crate::ids::{NodeId, SlotId};
use crate::view::View;

/// The copies that failed. Bounded by the slots and members of the view.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failed: BTreeMap<(SlotId, NodeId), Failed>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failed {
    count: u32,
    until: u64,
}

impl Backoff {
    pub(super) fn failed(&mut self, slot: SlotId, node: NodeId, now: u64, settings: &CoordinatorSettings) {
        let failed = self.failed.entry((slot, node)).or_default();
        let wait_ms = settings.backoff_ms.saturating_mul(1 << failed.count.min(20));
        failed.count += 1;
        failed.until = now + wait_ms.min(settings.backoff_ms_max);
    }

    pub(super) fn succeeded(&mut self, slot: SlotId, node: NodeId) {
        self.failed.remove(&(slot, node));
    }

    pub(super) fn is_on(&self, slot: SlotId, node: NodeId, now: u64) -> bool {
        self.failed.get(&(slot, node)).is_some_and(|failed| now < failed.until)
    }

    /// Forgets nodes that are no members, and failures of long ago.
    pub(super) fn forget_old(&mut self, view: &View, now: u64, settings: &CoordinatorSettings) {
        let is_kept = |node: &NodeId, failed: &Failed| {
            view.members.contains_key(node) && now < failed.until + settings.backoff_ms_max
        };
        self.failed.retain(|(_, node), failed| is_kept(node, failed));
    }
}

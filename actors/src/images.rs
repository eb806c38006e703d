//! Which images of slots a shard sends now, and which wait: a few at a time to each node, as calls go on meanwhile.

use std::collections::BTreeSet;

use crate::ids::{NodeId, SlotId};
use crate::slot::{Effect, Slot};

/// Images that a shard sends to one node at a time: one is on its way while the next is made.
const AT_ONCE: usize = 2;

/// The images of a shard's slots.
#[derive(Debug, Default)]
pub(crate) struct Images {
    waiting: BTreeSet<SlotId>,
    under_way: Vec<(SlotId, NodeId)>,
    /// Whether one waits that has not been looked at.
    has_new: bool,
}

impl Images {
    /// A copy of that slot is to be made.
    pub(crate) fn add(&mut self, slot: SlotId) {
        self.has_new |= self.waiting.insert(slot);
    }

    /// Begins images in the place of those that have ended.
    pub(crate) fn start(&mut self, slots: &mut [Option<Slot>], out: &mut Vec<(SlotId, Effect)>) {
        if self.waiting.is_empty() {
            return;
        }
        let goes_on = |&(slot, to): &(SlotId, NodeId)| {
            slots.get(usize::from(slot.0)).and_then(Option::as_ref).is_some_and(|slot| slot.is_sending_to(to))
        };
        let n_before = self.under_way.len();
        self.under_way.retain(goes_on);
        if !std::mem::take(&mut self.has_new) && self.under_way.len() == n_before {
            return;
        }
        let mut effects = Vec::new();
        self.waiting.retain(|&id| {
            let Some(slot) = slots.get_mut(usize::from(id.0)).and_then(Option::as_mut) else { return false };
            let Some(to) = slot.awaits_copy() else { return false };
            if self.under_way.iter().filter(|image| image.1 == to).count() >= AT_ONCE {
                return true;
            }
            self.under_way.push((id, to));
            slot.begin_image(to, &mut effects);
            out.extend(effects.drain(..).map(|effect| (id, effect)));
            false
        });
    }
}

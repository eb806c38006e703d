//! The slots of one shard of a node: which copies it has, as the view says, and what they do by the clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::arrival::{Limits, Now};
use crate::ids::{ClusterId, Epoch, NodeId, ShardId, SlotId};
use crate::images::Images;
use crate::object::Registry;
use crate::objects_table::ObjectTable;
use crate::peer::{PeerMessage, ShippedError};
use crate::slot::{Effect, Slot};
use crate::table::shard_of;
use crate::view::{Placement, View, ViewCommand};

/// Objects of slots that have gone, of which a shard lets go at a time: calls wait meanwhile.
const SHED_AT_ONCE: usize = 500;

/// How patient copies are with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A backup that has acknowledged nothing of what it was sent for so long is dropped. Longer than it takes to find out
    /// that a node is dead, since that costs no copy of a node that lives.
    pub backup_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { backup_ms: 2_000 }
    }
}

/// Which slots a shard has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The shard.
    pub shard: ShardId,
    /// How many the node has.
    pub n_shards: u16,
}

/// The copies of slots that one shard of a node has.
#[derive(Debug)]
pub struct Host {
    me: NodeId,
    share: Share,
    limits: Limits,
    patience: Patience,
    view: Arc<View>,
    slots: Vec<Option<Slot>>,
    /// The generation of the last copy that was here, by slot.
    had: Vec<Option<u32>>,
    images: Images,
    /// The objects of slots that have gone.
    gone: Vec<ObjectTable>,
    /// When a change of the view was last asked for, to be patient.
    dropped_ms: u64,
    /// When this host was seen last, and since when it has run on time.
    seen_ms: u64,
    on_time_since_ms: u64,
}

impl Host {
    /// A host without slots.
    pub fn new(me: NodeId, share: Share, limits: Limits, patience: Patience) -> Self {
        let view = Arc::new(View::default());
        let (slots, had, images, gone) = (Vec::new(), Vec::new(), Images::default(), Vec::new());
        let (dropped_ms, seen_ms, on_time_since_ms) = (0, 0, 0);
        Self { me, share, limits, patience, view, slots, had, images, gone, dropped_ms, seen_ms, on_time_since_ms }
    }

    /// The view that was installed last.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The copies, by slot.
    pub fn slots(&self) -> &[Option<Slot>] {
        &self.slots
    }

    /// The copies, by slot.
    pub fn slots_mut(&mut self) -> &mut [Option<Slot>] {
        &mut self.slots
    }

    /// The copy of a slot, if there is one here.
    pub fn slot(&self, slot: SlotId) -> Option<&Slot> {
        self.slots.get(usize::from(slot.0))?.as_ref()
    }

    /// The copy of a slot, if there is one here.
    pub fn slot_mut(&mut self, slot: SlotId) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(slot.0))?.as_mut()
    }

    /// Takes a newer view: copies begin, order, follow or go, as it says.
    pub fn install(&mut self, view: Arc<View>, now: Now, out: &mut Vec<(SlotId, Effect)>) {
        // A view of no cluster is what a node has that knows nothing yet: it takes nothing from one that knows.
        if view.version <= self.view.version && (view.cluster == self.view.cluster || view.cluster == ClusterId(0)) {
            return;
        }
        self.slots.resize_with(view.slots.len(), || None);
        self.had.resize(view.slots.len(), None);
        let mut effects = Vec::new();
        for (id, placement) in view.iter() {
            if shard_of(id, usize::from(self.share.n_shards)) != self.share.shard {
                continue;
            }
            self.place(id, placement, view.copies, now, &mut effects);
            out.extend(effects.drain(..).map(|effect| (id, effect)));
        }
        self.view = view;
        self.start_images(out);
    }

    /// Begins images of slots that are to be copied, as many as may be on their way. Call it after each batch from other nodes.
    pub fn start_images(&mut self, out: &mut Vec<(SlotId, Effect)>) {
        self.images.start(&mut self.slots, out);
    }

    fn place(&mut self, id: SlotId, placement: &Placement, copies: u8, now: Now, out: &mut Vec<Effect>) {
        let (me, limits) = (self.me, self.limits);
        let (Some(copy), Some(had)) = (self.slots.get_mut(usize::from(id.0)), self.had.get_mut(usize::from(id.0)))
        else {
            return;
        };
        if copy.as_ref().is_some_and(|slot| placement.epoch < slot.epoch()) {
            // Another copy has told more than this view says; a later one will say it too.
            return;
        }
        let leads = placement.primary == Some(me);
        let joins = placement.joining == Some(me);
        let counts = placement.in_sync.contains(&me);
        let stays = |slot: &Slot| {
            // A copy that counted and is to be made anew was not told in between that it was dropped.
            (leads || counts || (joins && !slot.has_counted)) && slot.generation == placement.generation
        };
        if let Some(slot) = copy.take_if(|slot| !stays(slot)) {
            self.gone.push(slot.dismissed(out));
        }
        match copy {
            // Whoever had a copy of this data and is told to order alone has lost it, and must not begin anew in silence.
            None if leads && placement.in_sync == [me] && *had != Some(placement.generation) => {
                // Nobody else has it, and this node never had: the slot begins.
                let mut slot = Slot::new(id, placement.epoch, limits, now);
                slot.lead(placement, me, out);
                *copy = Some(slot);
            }
            None if joins => *copy = Some(Slot::joining(id, placement.epoch, limits)),
            None => {}
            Some(slot) if leads => slot.lead(placement, me, out),
            Some(slot) => slot.follow_in(placement.epoch, out),
        }
        if let Some(slot) = copy {
            *had = Some(placement.generation);
            slot.has_counted |= counts;
            slot.generation = placement.generation;
            slot.copies = copies;
            if slot.awaits_copy().is_some() {
                self.images.add(id);
            }
        }
    }

    /// Lets go of some of the objects of slots that have gone.
    fn shed(&mut self) {
        if let Some(objects) = self.gone.last_mut()
            && objects.shed(SHED_AT_ONCE)
        {
            self.gone.pop();
        }
    }

    /// Another node's copy says something.
    ///
    /// # Errors
    /// When what it ships cannot be taken by this program.
    pub fn handle_peer(
        &mut self,
        from: NodeId,
        message: PeerMessage,
        registry: &Registry,
        out: &mut Vec<Effect>,
    ) -> Result<(), ShippedError> {
        match self.slot_mut(message.slot) {
            Some(slot) => slot.handle_peer(from, message, registry, out),
            // The view that brings the slot here is on its way, or this node has it no more.
            None => Ok(()),
        }
    }

    /// Ships what has been ordered. Call it after each batch, for the slots that it touched.
    pub fn ship(&mut self, slot: SlotId, out: &mut Vec<Effect>) {
        if let Some(slot) = self.slot_mut(slot) {
            slot.ship(out, None);
        }
    }

    /// A connection to a node is there, or there again.
    pub fn handle_reconnected(&mut self, node: NodeId, out: &mut Vec<(SlotId, Effect)>) {
        let mut effects = Vec::new();
        for slot in self.slots.iter_mut().flatten() {
            slot.handle_reconnected(node, &mut effects);
            out.extend(effects.drain(..).map(|effect| (slot.id(), effect)));
        }
    }

    /// Time passes: deadlines, what has to be sent again, changes of the view that are waited for, backups that are silent.
    ///
    /// `steady_ms` is of a clock that only goes forward, from any moment on; patience is counted by it. `wanted` says to which
    /// node a slot's primary should hand over.
    pub fn tick(
        &mut self,
        now: Now,
        steady_ms: u64,
        wanted: impl Fn(SlotId) -> Option<NodeId>,
        out: &mut Vec<(SlotId, Effect)>,
    ) {
        // What others have said while this host stood still has not been heard yet.
        if steady_ms.saturating_sub(self.seen_ms) > self.patience.backup_ms / 2 {
            self.on_time_since_ms = steady_ms;
        }
        self.seen_ms = steady_ms;
        self.shed();
        self.start_images(out);
        let mut silent: BTreeMap<bool, Vec<(SlotId, Epoch, NodeId)>> = BTreeMap::new();
        let silent_since = steady_ms.saturating_sub(self.patience.backup_ms);
        let mut effects = Vec::new();
        for slot in self.slots.iter_mut().flatten() {
            let id = slot.id();
            if slot.next_deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now.ms) {
                slot.handle_tick(now, &mut effects);
            }
            if slot.has_followers() {
                slot.ship(&mut effects, Some(steady_ms));
                slot.resend_image(steady_ms, &mut effects);
                if slot.is_primary()
                    && let Some(to) = wanted(id)
                {
                    slot.seal(to);
                }
                slot.propose(steady_ms, &mut effects);
                let epoch = slot.epoch();
                for (node, counts) in slot.silent_since(silent_since) {
                    silent.entry(counts).or_default().push((id, epoch, node));
                }
            }
            out.extend(effects.drain(..).map(|effect| (id, effect)));
        }
        let is_patient = steady_ms.saturating_sub(self.on_time_since_ms) < self.patience.backup_ms;
        if is_patient || silent.is_empty() || steady_ms.saturating_sub(self.dropped_ms) < self.patience.backup_ms / 4 {
            return;
        }
        self.dropped_ms = steady_ms;
        for (counts, copies) in silent {
            let at = copies.first().map_or(SlotId(0), |copy| copy.0);
            let command = if counts { ViewCommand::DropCopies(copies) } else { ViewCommand::CopiesFailed(copies) };
            out.push((at, Effect::Propose(command)));
        }
    }
}

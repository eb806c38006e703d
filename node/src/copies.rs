//! What a shard has to do with copies of slots on other nodes: views, what is shipped, images.

use std::rc::Rc;
use std::sync::Arc;

use greenroom_actors::{Effect, InstanceImage, NodeId, Now, ObjectNumber, PeerMessage, SharedInstance, SlotId};

use crate::core::{Core, ObjectAt};
use crate::place::Installed;

impl Core {
    /// Takes a newer view: copies begin, order, follow or go, and clients are told where the slots are now.
    pub(crate) fn install(&mut self, installed: Arc<Installed>) {
        let now = self.now();
        let mut placed = Vec::new();
        self.host.install(Arc::clone(&installed.view), now, &mut placed);
        let is_newer = self.installed.table.version < installed.table.version;
        self.installed = Arc::clone(&installed);
        self.peers.reroute(installed);
        self.perform_all(placed, now);
        if let Some(lease) = self.place.leases.get(usize::from(self.shard.0)) {
            lease.installed(self.installed.view.version);
        }
        if is_newer {
            self.sessions.tell_table(self.installed.table.version, &self.installed.table_bytes);
        }
        self.deliver(now.ms);
    }

    /// Carries out what several slots ask for.
    pub(crate) fn perform_all(&mut self, effects: Vec<(SlotId, Effect)>, now: Now) {
        let mut of_one = std::mem::take(&mut self.effects);
        let mut effects = effects.into_iter().peekable();
        while let Some((slot, effect)) = effects.next() {
            of_one.push(effect);
            if effects.peek().is_none_or(|next| next.0 != slot) {
                self.perform(slot, &mut of_one, now);
            }
        }
        self.effects = of_one;
    }

    /// A copy on another node says something.
    pub(crate) fn handle_peer(&mut self, from: NodeId, message: PeerMessage, now: Now) {
        let slot = message.slot;
        if !self.installed.view.members.contains_key(&from) {
            // It was given up, or the view that it came with is on its way; it says everything again.
            return tracing::debug!(node = from.0, "a node that is no member speaks of a slot");
        }
        let mut effects = std::mem::take(&mut self.effects);
        let place = Arc::clone(&self.place);
        if let Err(error) = self.host.handle_peer(from, message, &place.registry, &mut effects) {
            tracing::error!(node = from.0, slot = slot.0, %error, "what another node ships cannot be taken");
        }
        self.perform(slot, &mut effects, now);
        self.effects = effects;
        let mut begun = Vec::new();
        self.host.start_images(&mut begun);
        self.perform_all(begun, now);
    }

    /// A stream to another node is there, or there again.
    pub(crate) fn handle_reconnected(&mut self, node: NodeId) {
        let now = self.now();
        let mut effects = Vec::new();
        self.host.handle_reconnected(node, &mut effects);
        self.perform_all(effects, now);
        self.deliver(now.ms);
    }

    /// Sends other nodes what the batch at hand has ordered.
    pub(crate) fn ship(&mut self) {
        while let Some(slot) = self.unshipped.pop() {
            let mut effects = std::mem::take(&mut self.effects);
            self.host.ship(slot, &mut effects);
            for effect in effects.drain(..) {
                if let Effect::Send { to, message } = effect {
                    self.peers.tell(to, &message);
                }
            }
            self.effects = effects;
        }
    }

    /// The image of an object is there.
    pub(crate) fn handle_image(&mut self, slot: SlotId, object: ObjectNumber, image: Option<InstanceImage>) {
        let now = self.last_now;
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(at) = self.host.slot_mut(slot) {
            at.handle_image(object, image, &mut effects);
        }
        self.perform(slot, &mut effects, now);
        self.effects = effects;
        self.deliver(now.ms);
    }

    /// Whether that is the object's core.
    pub(crate) fn has(&self, slot: SlotId, object: ObjectNumber, instance: &SharedInstance) -> bool {
        let entry = self.host.slot(slot).and_then(|slot| slot.objects().get(object));
        entry.is_some_and(|entry| Rc::ptr_eq(entry.instance(), instance))
    }

    /// Whether nothing is on its way to the object, and it has no actor.
    pub(crate) fn is_at_rest(&self, at: ObjectAt) -> bool {
        let entry = self.host.slot(at.0).and_then(|slot| slot.objects().get(at.1));
        !self.seats.has(at) && entry.is_none_or(|entry| entry.is_quiet())
    }

    /// Makes images of objects that are at rest.
    pub(crate) fn add_images(&mut self, slot: SlotId, objects: &mut Vec<ObjectNumber>, out: &mut Vec<Effect>) {
        let Some(slot) = self.host.slot_mut(slot) else { return objects.clear() };
        for object in objects.drain(..) {
            let image = slot.objects().get(object).and_then(|entry| entry.instance().borrow().to_image());
            slot.handle_image(object, image, out);
        }
    }
}

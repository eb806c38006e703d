//! A copy that follows: it holds what the primary ships, and applies what is committed.

use super::installing::Installing;
use super::log::LogPlace;
use super::{Effect, Role, Slot};
use crate::arrival::Limits;
use crate::ids::{Epoch, LogIndex, NodeId, SlotId};
use crate::object::Registry;
use crate::peer::{PeerBody, PeerMessage, ShippedError, unship};

/// What a copy that follows knows.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// The image that it is being made of, until that is complete.
    pub(super) installing: Option<Installing>,
    /// What the tables of its image know already.
    pub(super) in_image: LogIndex,
}

impl Slot {
    /// A copy that has nothing yet, and waits for its image.
    pub(crate) fn joining(id: SlotId, epoch: Epoch, limits: Limits) -> Self {
        let role = Role::Backup(Following { installing: Some(Installing::default()), in_image: LogIndex(0) });
        Self::with_role(id, epoch, limits, LogPlace::default(), role)
    }

    /// A view says that this copy follows in that epoch.
    pub(crate) fn follow_in(&mut self, epoch: Epoch, out: &mut Vec<Effect>) {
        self.epoch = self.epoch.max(epoch);
        if self.is_primary() {
            self.dismiss_callers(out);
            self.lose_all(out);
            self.timers.clear();
            self.role = Role::Backup(Following::default());
            self.log.trim(LogIndex(u64::MAX));
        }
    }

    /// Whether an entry's traces in the reply table came with the image.
    pub(super) fn is_in_image(&self, index: LogIndex) -> bool {
        matches!(&self.role, Role::Backup(following) if index <= following.in_image)
    }

    /// Another copy says something.
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
        let PeerMessage { epoch, body, .. } = message;
        match body {
            PeerBody::Append { .. } | PeerBody::Image { .. } if epoch < self.epoch && !planted!(AcceptOldEpoch) => {
                self.answer(from, PeerBody::Refused, out);
            }
            // Only one copy orders in an epoch, and it is not told by itself.
            PeerBody::Append { .. } | PeerBody::Image { .. } if epoch == self.epoch && self.is_primary() => {}
            PeerBody::Append { prev, committed, count, entries } => {
                let entries = unship(&entries, count, registry)?;
                self.meet(epoch, out);
                let mut end = prev;
                if !self.is_equal_at(prev) {
                    self.answer(from, PeerBody::Lacking(self.committed), out);
                    return Ok(());
                }
                for logged in entries {
                    let before = std::mem::replace(&mut end, logged.place());
                    if end.index <= self.log.base().index || self.holds(end) {
                        continue;
                    }
                    // Between the two places this log may have entries that the primary's has not: places are left out.
                    self.log.truncate_after(before.index);
                    self.log.push(logged);
                }
                self.committed = self.committed.max(committed.min(end.index));
                let image = self.image;
                self.answer(from, PeerBody::Ack { index: end.index, image }, out);
                if !self.is_installing() {
                    self.hand_out(out);
                }
            }
            PeerBody::Image { image, number, piece } => {
                self.meet(epoch, out);
                self.install(from, image, (number, piece), registry, out)?;
            }
            PeerBody::Ack { index, image } => self.handle_held((from, image), epoch, index, out),
            PeerBody::Lacking(index) => self.handle_lacking(from, epoch, index, out),
            PeerBody::Copied { image, number } => self.handle_copied(from, image, number, out),
            // The view that tells what has changed is on its way.
            PeerBody::Refused => {}
        }
        Ok(())
    }

    /// Whoever speaks in a later epoch is its primary, and this copy is not.
    fn meet(&mut self, epoch: Epoch, out: &mut Vec<Effect>) {
        if epoch > self.epoch {
            self.follow_in(epoch, out);
        }
    }

    /// Whether this log is equal to one that has an entry there, up to it.
    fn is_equal_at(&self, place: LogPlace) -> bool {
        // What is committed is the same everywhere.
        place.index <= self.committed || self.holds(place)
    }

    /// Whether this log has the entry of that index and epoch: one of an earlier epoch may be another entry.
    fn holds(&self, place: LogPlace) -> bool {
        self.log.place_of(place.index).is_some_and(|here| here == place || planted!(KeepTail))
    }

    pub(super) fn is_installing(&self) -> bool {
        matches!(&self.role, Role::Backup(Following { installing: Some(_), .. }))
    }

    pub(super) fn answer(&self, to: NodeId, body: PeerBody, out: &mut Vec<Effect>) {
        out.push(Effect::Send { to, message: PeerMessage { slot: self.id, epoch: self.epoch, body } });
    }
}

//! What the copy that orders sends to the others, and how far each of them has it.

use bytes::Bytes;

use super::log::LogPlace;
use super::{Effect, Role, Slot};
use crate::ids::{Epoch, LogIndex, NodeId};
use crate::peer::{PeerBody, PeerMessage, ship};

/// Entries are shipped again if they have not been acknowledged for so long.
const RESEND_MS: u64 = 300;
/// The most bytes of entries in one message, about.
const APPEND_BYTES_MAX: usize = 512 * 1024;

/// Another copy, as the one that orders sees it.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) node: NodeId,
    /// Whether an entry is committed only when this copy holds it.
    pub(super) counts: bool,
    /// The image of which it is made, if this copy has made it: an earlier copy on that node says nothing of it.
    image: Option<u64>,
    /// The epoch in which it became a copy: what it said in an earlier one is of a copy that is gone.
    since: Epoch,
    /// Where what was shipped last ends.
    pub(super) sent: LogPlace,
    /// How far its log is known to be equal.
    pub(super) acked: LogIndex,
    /// How far it knows the log to be committed; `None` if it has been told nothing yet.
    pub(super) told: Option<LogIndex>,
    /// Since when something that was shipped has not been acknowledged.
    waiting_since_ms: Option<u64>,
    /// When it was last sent something again.
    resent_ms: u64,
}

impl Follower {
    pub(super) fn new(node: NodeId, counts: bool, since: Epoch, from: LogPlace) -> Self {
        let (image, acked, told) = (None, LogIndex(0), None);
        Self { node, counts, image, since, sent: from, acked, told, waiting_since_ms: None, resent_ms: 0 }
    }
}

impl Slot {
    /// Sends each other copy what it has not been sent. Call it after each batch, and now and then with the time by a clock that
    /// only goes forward.
    pub fn ship(&mut self, out: &mut Vec<Effect>, steady_ms: Option<u64>) {
        let Role::Primary(leading) = &mut self.role else { return };
        for follower in &mut leading.followers {
            if let (Some(now_ms), Some(since)) = (steady_ms, follower.waiting_since_ms)
                && now_ms.saturating_sub(since.max(follower.resent_ms)) >= RESEND_MS
            {
                follower.sent = self.log.place_at_most(follower.acked);
                follower.told = None;
                follower.resent_ms = now_ms;
            }
            let mut told_anything = false;
            loop {
                let prev = follower.sent;
                let (mut entries, mut count, mut last) = (Vec::new(), 0, prev);
                for logged in self.log.after(prev.index) {
                    let named = |number| self.objects.get(number).map(|entry| entry.name());
                    let before = entries.len();
                    entries = ship(logged, named, entries).unwrap_or_else(|unchanged| unchanged);
                    if count > 0 && entries.len() > APPEND_BYTES_MAX {
                        // A large one goes alone: with others it might be more than a node takes.
                        entries.truncate(before);
                        break;
                    }
                    (count, last) = (count + 1, logged.place());
                    if entries.len() >= APPEND_BYTES_MAX {
                        break;
                    }
                }
                // That something is committed is told with the next entries, or a little later.
                let is_behind = follower.told.is_some_and(|told| told < self.committed);
                let news = !told_anything && (follower.told.is_none() || (is_behind && steady_ms.is_some()));
                if count == 0 && !news {
                    break;
                }
                let committed = self.committed;
                (follower.sent, follower.told, told_anything) = (last, Some(committed), true);
                let body = PeerBody::Append { prev, committed, count, entries: Bytes::from(entries) };
                let message = PeerMessage { slot: self.id, epoch: self.epoch, body };
                out.push(Effect::Send { to: follower.node, message });
            }
            let is_behind = follower.acked < follower.sent.index;
            follower.waiting_since_ms = match (is_behind, steady_ms) {
                (false, _) => None,
                (true, None) => follower.waiting_since_ms,
                (true, Some(now_ms)) => follower.waiting_since_ms.or(Some(now_ms)),
            };
        }
    }

    /// A backup holds the log up to `index`.
    pub(super) fn handle_held(
        &mut self,
        (from, image): (NodeId, u64),
        epoch: Epoch,
        index: LogIndex,
        out: &mut Vec<Effect>,
    ) {
        let last = self.log.last().index;
        let Role::Primary(leading) = &mut self.role else { return };
        if epoch < leading.since {
            return;
        }
        let is_of_it =
            |follower: &&mut Follower| epoch >= follower.since && follower.image.is_none_or(|made_of| made_of == image);
        let Some(follower) = leading.follower(from).filter(is_of_it) else { return };
        if index > follower.acked {
            follower.acked = index.min(last);
            follower.waiting_since_ms = None;
        }
        self.advance(out);
        self.log.trim(self.keep_after());
        self.finish_image(out);
    }

    /// A backup does not have what the last entries were to follow.
    pub(super) fn handle_lacking(&mut self, from: NodeId, epoch: Epoch, index: LogIndex, out: &mut Vec<Effect>) {
        let base = self.log.base();
        let Role::Primary(leading) = &mut self.role else { return };
        if epoch < leading.since || index < base.index {
            return;
        }
        let place = self.log.place_at_most(index);
        if let Some(follower) = leading.follower(from).filter(|follower| epoch >= follower.since) {
            follower.sent = place;
        }
        self.ship(out, None);
    }

    /// A connection to the node is there, or there again: what was on its way may be lost.
    pub fn handle_reconnected(&mut self, node: NodeId, out: &mut Vec<Effect>) {
        let Role::Primary(leading) = &mut self.role else { return };
        if let Some(follower) = leading.followers.iter_mut().find(|follower| follower.node == node) {
            follower.sent = self.log.place_at_most(follower.acked.max(self.log.base().index));
            follower.told = None;
        }
        self.ship(out, None);
    }

    /// Whether there are other copies, or one that is being made.
    pub(crate) fn has_followers(&self) -> bool {
        matches!(&self.role, Role::Primary(leading) if !leading.followers.is_empty())
    }

    /// The other copies that have acknowledged nothing more of what they were sent, be it of the log or of their image, since
    /// that time or earlier, and whether they count.
    pub(crate) fn silent_since(&self, at_ms: u64) -> impl Iterator<Item = (NodeId, bool)> {
        let (followers, sending) = match &self.role {
            Role::Primary(leading) => (leading.followers.as_slice(), leading.sending.as_ref()),
            Role::Backup(_) => ([].as_slice(), None),
        };
        let silent = move |follower: &&Follower| follower.waiting_since_ms.is_some_and(|since| since <= at_ms);
        let followers = followers.iter().filter(silent).map(|follower| (follower.node, follower.counts));
        followers.chain(sending.filter(|sending| sending.is_silent_since(at_ms)).map(|sending| (sending.to, false)))
    }

    /// Entries up to here need not be kept for anybody.
    pub(super) fn keep_after(&self) -> LogIndex {
        match &self.role {
            Role::Primary(leading) => {
                leading.followers.iter().map(|follower| follower.acked).min().unwrap_or(LogIndex(u64::MAX))
            }
            Role::Backup(_) => LogIndex(u64::MAX),
        }
    }

    /// Lets a copy that joins count, before the view says so: from here on nothing is committed that it does not hold.
    pub(super) fn count_in(&mut self, node: NodeId) {
        if let Role::Primary(leading) = &mut self.role
            && let Some(follower) = leading.follower(node)
        {
            follower.counts = true;
        }
    }

    /// Begins to ship the log to a copy that joins.
    pub(super) fn follow(&mut self, node: NodeId, image: u64, from: LogPlace) {
        if let Role::Primary(leading) = &mut self.role {
            leading.followers.retain(|follower| follower.node != node);
            let follower = Follower::new(node, false, self.epoch, from);
            leading.followers.push(Follower { image: Some(image), ..follower });
        }
    }
}

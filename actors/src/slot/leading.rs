//! A copy that orders: what it ships to the others, and when an entry is committed.

use super::image::Sending;
use super::shipping::Follower;
use super::{Effect, Role, Slot};
use crate::entry::NestedCall;
use crate::error::Refusal;
use crate::ids::{Epoch, LogIndex, NodeId, Owner, SessionId};
use crate::objects_table::{ObjectEntry, ObjectTable};
use crate::view::{Placement, ViewCommand};

/// A change of the view is asked for again if it has not come for so long.
const PROPOSE_AGAIN_MS: u64 = 300;
/// The most entries that may be ordered and not yet held by every copy that counts; beyond it calls are refused.
const UNCOMMITTED_MAX: usize = 100_000;

/// What the copy that orders knows of the others.
#[derive(Debug)]
pub(super) struct Leading {
    serving: Serving,
    /// The epoch in which it began to order: an earlier acknowledgement says nothing of its log.
    pub(super) since: Epoch,
    /// Whether another copy ordered before it.
    pub(super) has_taken_over: bool,
    /// Whether that one may have given places that are in no log.
    pub(super) places_are_missing: bool,
    pub(super) followers: Vec<Follower>,
    /// Who is to be given a copy, as the view says.
    pub(super) joining: Option<NodeId>,
    /// The image that is being sent to the copy that joins.
    pub(super) sending: Option<Box<Sending>>,
    pub(super) n_images: u16,
    /// When the view was last asked to be changed.
    proposed_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serving {
    /// The others may not hold the log yet.
    TakingOver,
    Yes,
    /// Another one is to go on: nothing more is ordered.
    Sealed(NodeId),
}

impl Leading {
    pub(super) fn alone(epoch: Epoch) -> Self {
        let (has_taken_over, places_are_missing) = (false, false);
        Self {
            serving: Serving::Yes,
            since: epoch,
            has_taken_over,
            places_are_missing,
            followers: Vec::new(),
            joining: None,
            sending: None,
            n_images: 0,
            proposed_ms: None,
        }
    }

    pub(super) fn follower(&mut self, node: NodeId) -> Option<&mut Follower> {
        self.followers.iter_mut().find(|follower| follower.node == node)
    }
}

impl Slot {
    /// Whether this copy orders calls.
    pub fn is_primary(&self) -> bool {
        matches!(self.role, Role::Primary(_))
    }

    /// Whether this copy takes calls: it answers reads for as long as its node has a lease.
    pub fn is_serving(&self) -> bool {
        self.check_serving().is_ok()
    }

    /// Everything up to here is held by every copy that counts, as far as this copy knows.
    pub fn committed(&self) -> LogIndex {
        self.committed
    }

    /// Whether the copy takes calls now; if not, nothing was applied and the caller may try again.
    pub(super) fn check_serving(&self) -> Result<(), Refusal> {
        let Role::Primary(leading) = &self.role else { return Err(Refusal::WrongPlace) };
        match leading.serving {
            Serving::Yes => Ok(()),
            Serving::TakingOver => Err(Refusal::Unavailable("the slot is being taken over".to_owned())),
            Serving::Sealed(_) => Err(Refusal::Unavailable("the slot is moving to another node".to_owned())),
        }
    }

    /// Whether so much waits for the other copies that new calls are refused; whatever sets others free still comes through.
    pub(super) fn check_log(&self) -> Result<(), Refusal> {
        if self.log.len() < UNCOMMITTED_MAX {
            return Ok(());
        }
        Err(Refusal::Overloaded { what: "the slot's log".to_owned(), count: UNCOMMITTED_MAX as u64 })
    }

    /// Whether nobody else holds a copy that counts: then a lease is all that says that nobody else serves.
    pub(super) fn is_alone(&self) -> bool {
        matches!(&self.role, Role::Primary(leading) if !leading.followers.iter().any(|follower| follower.counts))
    }

    /// A view says what this copy, which orders or is about to, is part of.
    pub(crate) fn lead(&mut self, placement: &Placement, me: NodeId, out: &mut Vec<Effect>) {
        let epoch_before = std::mem::replace(&mut self.epoch, placement.epoch);
        let others = placement.in_sync.iter().copied().filter(|&node| node != me);
        if let Role::Primary(leading) = &mut self.role {
            // Whoever was counted in counts until a view says that it is not to be a copy.
            let stays = |node: &NodeId| placement.in_sync.contains(node) || placement.joining == Some(*node);
            leading.followers.retain(|follower| stays(&follower.node));
            for node in others {
                match leading.follower(node) {
                    Some(follower) => follower.counts = true,
                    None => leading.followers.push(Follower::new(node, true, placement.epoch, self.log.base())),
                }
            }
            // A copy may have been given up, and begun anew, in views that this node was not told: its node may have nothing.
            if epoch_before != placement.epoch
                || leading.sending.as_ref().is_some_and(|sending| placement.joining != Some(sending.to))
            {
                leading.sending = None;
                leading.followers.retain(|follower| placement.in_sync.contains(&follower.node));
            }
            if epoch_before != placement.epoch {
                leading.proposed_ms = None;
                // A copy that knew of this epoch earlier has refused what was shipped in the one before.
                for follower in &mut leading.followers {
                    follower.sent = self.log.place_at_most(follower.acked.max(self.log.base().index));
                    follower.told = None;
                }
                if matches!(leading.serving, Serving::Sealed(_)) {
                    // The hand-over was asked for in an epoch that is over, so it will not be. What came meanwhile was refused:
                    // ends of sessions and replies of nested calls come again, as if the slot had been taken over.
                    leading.serving = Serving::TakingOver;
                }
            }
        } else {
            let from = self.log.place_at_most(self.committed);
            let mut leading =
                Leading { serving: Serving::TakingOver, has_taken_over: true, ..Leading::alone(placement.epoch) };
            leading.followers = others.map(|node| Follower::new(node, true, placement.epoch, from)).collect();
            self.role = Role::Primary(leading);
            self.take_over_log();
        }
        if let Role::Primary(leading) = &mut self.role {
            leading.joining = placement.joining;
        }
        self.advance(out);
        self.ship(out, None);
    }

    /// What the copy holds and does not know to be committed is its own now: the calls in it are running.
    fn take_over_log(&mut self) {
        let mut tail: Vec<_> = self.log.unhanded_mut().map(|logged| logged.clone()).collect();
        for logged in &mut tail {
            self.now_ms = self.now_ms.max(logged.stamp.now_ms);
            self.resolve(logged);
            self.note_ordered(logged);
        }
        for (logged, resolved) in self.log.unhanded_mut().zip(tail) {
            *logged = resolved;
        }
    }

    /// Commits what every copy that counts holds.
    pub(super) fn advance(&mut self, out: &mut Vec<Effect>) {
        let Role::Primary(leading) = &self.role else { return };
        let last = self.log.last().index;
        let counting = leading.followers.iter().filter(|follower| follower.counts);
        let held = counting.map(|follower| follower.acked).min().map_or(last, |acked| acked.min(last));
        let held = if planted!(SkipAck) { last } else { held };
        if held > self.committed {
            self.committed = held;
            self.hand_out(out);
        }
        if leading_is_new(&self.role) && self.committed == last {
            self.begin_serving(out);
        }
    }

    /// Every copy holds what this one holds: it takes calls from now on.
    fn begin_serving(&mut self, out: &mut Vec<Effect>) {
        // What has not been applied yet may make an ephemeral object.
        let may_be_ephemeral = |entry: &ObjectEntry| !entry.is_quiet() || entry.instance().borrow().is_ephemeral();
        if let Role::Primary(leading) = &mut self.role {
            leading.serving = Serving::Yes;
            leading.places_are_missing = self.objects.iter().any(|(_, entry)| may_be_ephemeral(entry));
        }
        self.timers.clear();
        for (object, entry) in self.objects.iter() {
            if planted!(DropWaiter) {
                let mut instance = entry.instance().borrow_mut();
                if let Some(first) = instance.parked.keys().next().copied() {
                    instance.parked.remove(&first);
                }
            }
            for (&waiter, parked) in entry.instance().borrow().parked().iter() {
                self.timers.extend(parked.deadline_ms.map(|at| (at, object, waiter, parked.call)));
            }
        }
        let of_owners = self.owners.keys().map(|Owner::Session(session)| *session);
        let mut sessions: Vec<SessionId> = of_owners.chain(self.replies.sessions()).collect();
        sessions.retain(|session| !session.is_object());
        sessions.sort_unstable();
        sessions.dedup();
        out.push(Effect::Serving { sessions });
        for (&(object, _), call) in &self.nested {
            if let Some(entry) = self.objects.get(object) {
                let call = NestedCall { again: true, ..call.clone() };
                out.push(Effect::Nested { object, job: entry.job(), call });
            }
        }
    }

    /// Another copy, which counts, is to order from now on: what is under way is finished, and nothing more is taken.
    pub(crate) fn seal(&mut self, to: NodeId) {
        if let Role::Primary(leading) = &mut self.role
            && leading.serving == Serving::Yes
            && leading.followers.iter().any(|follower| follower.node == to && follower.counts)
        {
            leading.serving = Serving::Sealed(to);
        }
    }

    /// Asks for the changes of the view that this copy waits for.
    pub(crate) fn propose(&mut self, steady_ms: u64, out: &mut Vec<Effect>) {
        let (slot, epoch, last) = (self.id, self.epoch, self.log.last().index);
        let Role::Primary(leading) = &mut self.role else { return };
        if leading.proposed_ms.is_some_and(|at| steady_ms.saturating_sub(at) < PROPOSE_AGAIN_MS) {
            return;
        }
        let command = match (leading.serving, &leading.sending) {
            (Serving::Sealed(to), _) if self.committed == last => ViewCommand::HandOver(vec![(slot, epoch, to)]),
            (Serving::Yes, Some(sending)) if sending.is_done() => {
                ViewCommand::CopiesDone(vec![(slot, epoch, sending.to)])
            }
            _ => return,
        };
        leading.proposed_ms = Some(steady_ms);
        out.push(Effect::Propose(command));
    }

    /// The copy is here no more; what is left of it are its objects.
    pub(crate) fn dismissed(mut self, out: &mut Vec<Effect>) -> ObjectTable {
        self.dismiss_callers(out);
        out.push(Effect::Dropped);
        self.objects
    }

    /// The copy orders no more: whoever waits for an answer asks the one that does.
    pub(crate) fn dismiss_callers(&mut self, out: &mut Vec<Effect>) {
        if self.is_primary() {
            for call in self.replies.running() {
                out.push(Effect::Reply { call, answer: super::moved() });
            }
        }
    }
}

fn leading_is_new(role: &Role) -> bool {
    matches!(role, Role::Primary(leading) if leading.serving == Serving::TakingOver)
}

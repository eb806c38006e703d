//! A slot's replica: it orders the calls of its objects, commits them, hands them out to be applied, and keeps the replies.
//!
//! Everything goes one way: `order` appends to the log; `ship` sends it to the backups; `advance` moves the mark up to what
//! every copy that counts holds; only then does an [`Effect::Apply`] leave, and the object's actor applies it;
//! `handle_outcomes` keeps the replies, and the primary sends them.
//! With one copy, an entry is committed as soon as it is appended.

mod abandoned;
mod alone;
mod endings;
mod following;
pub(crate) mod image;
mod installing;
mod leading;
pub(crate) mod log;
mod ordering;
mod outcomes;
mod shipping;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::arrival::{Arrival, Limits, Now};
use crate::caller::{SYSTEM_METHODS_FROM, system};
use crate::entry::{CallEntry, Entry, EntryKind, GiveUp, NestedCall};
use crate::error::{Fault, Refusal};
use crate::ids::{CallId, Epoch, JobId, Lane, LogIndex, NodeId, Owner, Sequence, SessionId, SlotId, WaiterId};
use crate::object::Access;
use crate::objects_table::{ObjectNumber, ObjectTable};
use crate::peer::PeerMessage;
use crate::replies::{Admission, Answer, ReplyTable};
use crate::turn::Stamp;
use crate::view::ViewCommand;

use alone::Alone;
use following::Following;
use leading::Leading;
use log::{Log, LogPlace};

/// Spreads the turns of one batch over the seeds (2^64 divided by the golden ratio).
const SEED_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a slot asks of its shard.
#[derive(Debug)]
pub enum Effect {
    /// Have the object's actor apply a committed entry.
    Apply {
        /// The object.
        object: ObjectNumber,
        /// The entry.
        entry: Entry,
    },
    /// Answer a caller.
    Reply {
        /// The call.
        call: CallId,
        /// The answer.
        answer: Answer,
    },
    /// Make a call to another object.
    Nested {
        /// The object that calls.
        object: ObjectNumber,
        /// Its job, which is also that of the object that is called.
        job: JobId,
        /// The call.
        call: NestedCall,
    },
    /// Say something to another copy.
    Send {
        /// The node that has it.
        to: NodeId,
        /// What to say.
        message: PeerMessage,
    },
    /// Have the object's actor make an image of the object, behind everything that is on its way to it.
    Image {
        /// The object.
        object: ObjectNumber,
    },
    /// This copy orders the slot's calls from now on: these sessions have calls or grants here, and may come back to them.
    Serving {
        /// The sessions, in order.
        sessions: Vec<SessionId>,
    },
    /// Ask for a change of the view.
    Propose(ViewCommand),
    /// This copy is here no more: its objects' actors end.
    Dropped,
}

/// One copy of a slot.
#[derive(Debug)]
pub struct Slot {
    id: SlotId,
    epoch: Epoch,
    limits: Limits,
    role: Role,
    /// Whether a view has said that this copy counts.
    pub(crate) has_counted: bool,
    /// How often the slot's data was lost before this copy's.
    pub(crate) generation: u32,
    /// The image of which this copy was made, or is being made; 0 if of none.
    image: u64,
    /// How many copies the cluster keeps of each object.
    pub(crate) copies: u8,
    /// Everything up to here is held by every copy that counts.
    committed: LogIndex,
    now_ms: u64,
    log: Log,
    alone: Alone,
    objects: ObjectTable,
    replies: ReplyTable,
    /// Deadlines of parked calls; only the primary keeps them.
    timers: BTreeSet<(u64, ObjectNumber, WaiterId, CallId)>,
    /// Objects that an owner's end concerns.
    owners: BTreeMap<Owner, BTreeSet<ObjectNumber>>,
    /// Of each object, how many images have been asked for and are not there: only the one that was asked for last is used.
    images_due: BTreeMap<ObjectNumber, u32>,
    /// Nested calls that are out: whoever becomes the primary makes them again, with the same ids.
    nested: BTreeMap<(ObjectNumber, Lane), NestedCall>,
}

/// What a copy does.
#[derive(Debug)]
enum Role {
    Primary(Leading),
    Backup(Following),
}

impl Slot {
    /// An empty slot that its only copy serves from `epoch` on.
    ///
    /// Its log begins at the microseconds of `birth`, so that places in the log, and the fences made of them, are greater
    /// than those of an earlier slot of the number, which a process that has ended had.
    pub fn new(id: SlotId, epoch: Epoch, limits: Limits, birth: Now) -> Self {
        let base = LogPlace { index: LogIndex(birth.ms.saturating_mul(1_000)), epoch };
        Self::with_role(id, epoch, limits, base, Role::Primary(Leading::alone(epoch)))
    }

    fn with_role(id: SlotId, epoch: Epoch, limits: Limits, base: LogPlace, role: Role) -> Self {
        Self {
            id,
            epoch,
            limits,
            role,
            has_counted: false,
            generation: 0,
            image: 0,
            copies: 1,
            committed: base.index,
            now_ms: 0,
            log: Log::new(base),
            alone: Alone::default(),
            objects: ObjectTable::default(),
            replies: ReplyTable::default(),
            timers: BTreeSet::new(),
            owners: BTreeMap::new(),
            images_due: BTreeMap::new(),
            nested: BTreeMap::new(),
        }
    }

    /// The slot's number.
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// The epoch that this copy has seen last.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The objects of the slot.
    pub fn objects(&self) -> &ObjectTable {
        &self.objects
    }

    /// The objects of the slot, for the shard to note their actors' state.
    pub fn objects_mut(&mut self) -> &mut ObjectTable {
        &mut self.objects
    }

    /// Removes the object if it does not exist and nothing is on its way to it; returns whether it was removed.
    ///
    /// Entries that may still have to be shipped name objects by number, so as long as there are any all keep theirs.
    pub fn remove_vacant(&mut self, object: ObjectNumber) -> bool {
        self.log.len() == 0 && self.objects.remove_vacant(object)
    }

    /// The replies that are kept for retries.
    pub fn replies(&self) -> &ReplyTable {
        &self.replies
    }

    /// A call arrives: answer it from the table, refuse it, or order it.
    pub fn handle_call(&mut self, arrival: Arrival<'_>, now: Now, out: &mut Vec<Effect>) {
        let call = arrival.call;
        if let Err(refusal) = self.check_serving() {
            return out.push(refused(call, refusal));
        }
        if call.session.attempt().is_some() && self.replies.has_ended(call.session) {
            return out.push(refused(call, Refusal::AttemptEnded));
        }
        let is_write = self.is_write(&arrival);
        if is_write {
            match self.replies.admission(call) {
                Admission::New if arrival.retry && self.is_forgotten(&arrival) => {
                    return out.push(Effect::Reply { call, answer: not_known() });
                }
                Admission::New => {}
                // Its reply will go to wherever the session is now.
                Admission::Running(_) => return,
                Admission::Done(answer) => return out.push(Effect::Reply { call, answer }),
                Admission::Busy => return out.push(refused(call, busy())),
                Admission::Stale => return out.push(refused(call, Refusal::Stale)),
            }
        }
        let now = Now { ms: now.ms.max(self.now_ms), ..now };
        let checked = arrival.check(self.limits, now);
        if let Err(refusal) = checked
            .and_then(|()| self.check_alone(&arrival))
            .and_then(|()| if is_write { self.check_log() } else { Ok(()) })
        {
            return out.push(refused(call, refusal));
        }
        let object = self.objects.find_or_add(arrival.object);
        let parks = arrival.parks();
        if let Err(refusal) = self.check_room(object, parks.then_some(arrival.method)) {
            return out.push(refused(call, refusal));
        }
        let entry = CallEntry {
            call,
            owner: arrival.owner,
            method: self.meant(&arrival),
            arguments: arrival.arguments,
            construction: arrival.construction,
            durability: arrival.durability,
            deadline_ms: arrival.deadline_ms,
            chain: arrival.chain.into(),
        };
        if is_write {
            self.order(object, EntryKind::Call(entry), now, out);
        } else {
            self.read(object, entry, now, out);
        }
    }

    /// The caller has the reply of `call`.
    pub fn handle_ack(&mut self, call: CallId) {
        self.replies.acknowledge(call);
    }

    /// A nested call of the object has its reply.
    pub fn handle_nested_reply(
        &mut self,
        object: ObjectNumber,
        (lane, sequence): (Lane, Sequence),
        result: Result<Bytes, Fault>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        if self.check_serving().is_ok() {
            self.order(object, EntryKind::Then { lane, sequence, result }, now, out);
        }
    }

    /// Time passes: parked calls whose deadline is over leave their queues.
    pub fn handle_tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.check_serving().is_err() {
            return;
        }
        while let Some(&(deadline_ms, object, waiter, call)) = self.timers.first() {
            if deadline_ms > now.ms {
                break;
            }
            self.timers.pop_first();
            let Some(method) = self.objects.parked_method(object, waiter) else { continue };
            self.order(object, EntryKind::Cancel { call, waiter, method, why: GiveUp::TimedOut }, now, out);
        }
    }

    /// Forgets what has expired. Call it every few seconds.
    pub fn trim(&mut self, now: Now) {
        // With other copies, by the log's time and not the clock's: one whose clock is ahead must not forget too early.
        let now_ms = if self.is_alone() { self.now_ms.max(now.ms) } else { self.now_ms };
        self.replies.trim(now_ms);
    }

    /// When the next parked call has to be woken by its deadline.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.timers.first().map(|timer| timer.0)
    }

    /// A read of an object that is not there makes it, and is then a write: creation is always replicated.
    fn is_write(&self, arrival: &Arrival<'_>) -> bool {
        if arrival.method >= SYSTEM_METHODS_FROM {
            return arrival.method != system::DESCRIBE;
        }
        let method = arrival.object.object_type.methods.get(usize::from(arrival.method));
        method.is_none_or(|method| method.access() == Access::Write)
            || !self.objects.find(arrival.object).is_some_and(|object| self.objects.exists(object))
    }

    /// A full waiting room takes nobody in who may have to wait for the same; who sets the waiting free comes through.
    fn check_room(&self, object: ObjectNumber, parks: Option<u16>) -> Result<(), Refusal> {
        if self.objects.queued(object) >= self.limits.mailbox_max {
            let count = u64::from(self.limits.mailbox_max);
            return Err(Refusal::Overloaded { what: "the object's mailbox".to_owned(), count });
        }
        if parks.is_some_and(|method| self.objects.has_parked(object, method, self.limits.parked_max)) {
            let count = u64::from(self.limits.parked_max);
            return Err(Refusal::Overloaded { what: "the object's waiting room".to_owned(), count });
        }
        Ok(())
    }

    /// A read is not logged. It follows what has been committed, and sees nothing else.
    fn read(&mut self, object: ObjectNumber, entry: CallEntry, now: Now, out: &mut Vec<Effect>) {
        let call = u64::from(entry.call.lane.0) << 32 ^ entry.call.sequence.0;
        let seed = now.seed ^ call.wrapping_mul(SEED_STEP);
        // What an ephemeral object has seen is in no log; of another one, what is not committed is still to come.
        let index = if self.alone.has(object) { self.committed.max(self.alone.last) } else { self.committed };
        let stamp = Stamp { index, now_ms: self.now_ms.max(now.ms), seed };
        self.objects.note_queued(object);
        out.push(Effect::Apply { object, entry: self.unlogged(stamp, EntryKind::Read(entry)) });
    }
}

/// Tells a caller that nobody knows what became of a call.
fn not_known() -> Answer {
    Answer { applied: true, index: LogIndex(0), result: Err(alone::forgotten()) }
}

/// Tells a caller to ask whoever serves the slot now.
fn moved() -> Answer {
    Answer { applied: false, index: LogIndex(0), result: Err(Fault::Moved) }
}

/// The call before it on the lane is not done here: its caller may try again.
fn busy() -> Refusal {
    Refusal::Unavailable("the call before it on its lane is not done yet".to_owned())
}

fn refused(call: CallId, refusal: Refusal) -> Effect {
    let result = Err(Fault::Refused(refusal));
    Effect::Reply { call, answer: Answer { applied: false, index: LogIndex(0), result } }
}

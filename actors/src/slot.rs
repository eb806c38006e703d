//! A slot's replica: it orders the calls of its objects, commits them, hands them out to be applied, and keeps the replies.
//!
//! Everything goes one way: `order` appends to the log; `commit` moves the mark up to what every copy that counts has; only
//! then does an [`Effect::Apply`] leave, and the object's actor applies it; `handle_outcomes` keeps and sends the replies.
//! With one copy, an entry is committed as soon as it is appended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::arrival::{Arrival, Limits, Now};
use crate::caller::{SYSTEM_METHODS_FROM, system};
use crate::entry::{CallEntry, Entry, EntryKind, GiveUp, NestedCall, Outcomes, Wanted};
use crate::error::{Fault, Refusal};
use crate::ids::{CallId, Epoch, JobId, Lane, LogIndex, Owner, Sequence, SlotId, WaiterId};
use crate::object::Access;
use crate::objects_table::{ObjectEntry, ObjectName, ObjectNumber, ObjectTable};
use crate::replies::{Abandoned, Admission, Answer, ReplyTable};
use crate::turn::Stamp;

/// Spreads the turns of one batch over the seeds (2^64 divided by the golden ratio).
const SEED_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// How long a call of an object that was cancelled before it came is remembered; no nested call lives longer.
const KILLED_FOR_MS: u64 = 2 * crate::instance::NESTED_TIMEOUT_MS;

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
}

/// One slot on its primary.
#[derive(Debug)]
pub struct Slot {
    id: SlotId,
    epoch: Epoch,
    limits: Limits,
    /// Drawn when the slot began, from nothing: sessions of its objects never meet those of an earlier slot of the number.
    birth: u64,
    appended: LogIndex,
    committed: LogIndex,
    now_ms: u64,
    /// Appended and not yet committed.
    log: VecDeque<(ObjectNumber, Entry)>,
    objects: ObjectTable,
    replies: ReplyTable,
    /// Deadlines of parked calls.
    timers: BTreeSet<(u64, ObjectNumber, WaiterId, CallId)>,
    /// Objects that an owner's end concerns.
    owners: BTreeMap<Owner, BTreeSet<ObjectNumber>>,
}

impl Slot {
    /// An empty slot, served from `epoch` on.
    ///
    /// Its log begins at the microseconds of `birth`, so that places in the log, and the fences made of them, are greater
    /// than those of an earlier slot of the number, which a process that has ended had.
    pub fn new(id: SlotId, epoch: Epoch, limits: Limits, birth: Now) -> Self {
        let first = LogIndex(birth.ms.saturating_mul(1_000));
        Self {
            id,
            epoch,
            limits,
            birth: birth.seed,
            appended: first,
            committed: first,
            now_ms: 0,
            log: VecDeque::new(),
            objects: ObjectTable::default(),
            replies: ReplyTable::default(),
            timers: BTreeSet::new(),
            owners: BTreeMap::new(),
        }
    }

    /// The slot's number.
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// The epoch in which this node serves the slot.
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

    /// The replies that are kept for retries.
    pub fn replies(&self) -> &ReplyTable {
        &self.replies
    }

    /// A call arrives: answer it from the table, refuse it, or order it.
    pub fn handle_call(&mut self, arrival: Arrival<'_>, now: Now, out: &mut Vec<Effect>) {
        let call = arrival.call;
        let is_write = self.is_write(&arrival);
        if is_write {
            match self.replies.admission(call) {
                Admission::New => {}
                // Its reply will go to wherever the session is now.
                Admission::Running(_) => return,
                Admission::Done(answer) => return out.push(Effect::Reply { call, answer }),
                Admission::Stale => return out.push(refused(call, Refusal::Stale)),
            }
        }
        if let Err(refusal) = arrival.check(self.limits, now) {
            return out.push(refused(call, refusal));
        }
        let object = self.objects.find_or_add(arrival.object, self.birth ^ self.appended.0.wrapping_mul(SEED_STEP));
        let parks = arrival.parks();
        if let Err(refusal) = self.check_room(object, parks.then_some(arrival.method)) {
            return out.push(refused(call, refusal));
        }
        let entry = CallEntry {
            call,
            owner: arrival.owner,
            method: arrival.method,
            arguments: arrival.arguments,
            construction: arrival.construction,
            deadline_ms: arrival.deadline_ms,
            chain: arrival.chain.into(),
        };
        if is_write {
            let may_hold = parks || arrival.object.object_type.hooks.owner_gone.is_some();
            // Objects do not end as sessions do.
            if may_hold && !call.session.is_object() {
                // From now on, and not only once it is applied: the owner may end in between.
                self.owners.entry(arrival.owner).or_default().insert(object);
            }
            let index = self.order(object, EntryKind::Call(entry), now);
            self.replies.accept(call, arrival.method, arrival.object.hash, index, arrival.deadline_ms.unwrap_or(0));
            self.commit(index, out);
        } else {
            self.read(object, entry, now, out);
        }
    }

    /// The caller of `call` has given up: its wait ends, or what it was granted is taken back.
    ///
    /// A call that has not arrived yet will not be run when it does.
    pub fn handle_cancel(&mut self, call: CallId, name: ObjectName<'_>, now: Now, out: &mut Vec<Effect>) {
        if !self.replies.may_be_of(call, name.hash) {
            // Its object would take back what another one granted.
            return;
        }
        match self.replies.give_up(call) {
            Abandoned::Unseen => self.kill(call, Fault::Cancelled, now, out),
            Abandoned::Running { index, method } => {
                let Some(object) = self.objects.find(name) else { return };
                let cancel = EntryKind::Cancel { call, waiter: WaiterId(index.0), method, why: GiveUp::Cancelled };
                let index = self.order(object, cancel, now);
                self.commit(index, out);
            }
            Abandoned::Answered { index, method, body: granted } => {
                let Some(object) = self.objects.find(name) else { return };
                if self.takes_back(object) {
                    let take_back = EntryKind::TakeBack { call, grant: WaiterId(index.0), method, granted };
                    let index = self.order(object, take_back, now);
                    self.commit(index, out);
                }
            }
            Abandoned::Nothing => {}
        }
    }

    /// Tells a caller that has given up that its lane is free, unless the call still runs: its answer will tell.
    pub fn confirm_cancel(&self, call: CallId, out: &mut Vec<Effect>) {
        if self.replies.admission(call) == Admission::Stale {
            let answer = Answer { applied: false, index: LogIndex(0), result: Err(Fault::Cancelled) };
            out.push(Effect::Reply { call, answer });
        }
    }

    /// Whether the object wants to know that nobody has taken what a call was granted.
    fn takes_back(&self, object: ObjectNumber) -> bool {
        self.objects.get(object).is_some_and(|entry| entry.object_type().hooks.grant_cancelled.is_some())
    }

    /// What became of `call`? One that was never accepted never will be: a lane only moves forward.
    pub fn handle_query(&mut self, call: CallId, now: Now, out: &mut Vec<Effect>) {
        match self.replies.admission(call) {
            Admission::Running(_) => {}
            Admission::Done(answer) => out.push(Effect::Reply { call, answer }),
            Admission::New => self.kill(call, Fault::Refused(Refusal::Expired), now, out),
            Admission::Stale => out.push(refused(call, Refusal::Stale)),
        }
    }

    /// What became of `call`, of a session that has ended on this shard? One that was never accepted never will be.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`] when that is not known any more, or not yet.
    pub fn handle_late_query(&mut self, call: CallId, now: Now, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        match self.replies.admission(call) {
            Admission::New if self.replies.knows(call.session) => {
                self.kill(call, Fault::Refused(Refusal::Expired), now, out);
            }
            Admission::Done(answer) => out.push(Effect::Reply { call, answer }),
            Admission::New | Admission::Running(_) | Admission::Stale => return Err(Refusal::SessionEnded),
        }
        Ok(())
    }

    /// Answers a call that was never accepted, for good: it will not be run when it comes.
    fn kill(&mut self, call: CallId, fault: Fault, now: Now, out: &mut Vec<Effect>) {
        if self.replies.admission(call) != Admission::New {
            return;
        }
        let answer = Answer { applied: false, index: LogIndex(0), result: Err(fault) };
        self.replies.accept(call, 0, 0, LogIndex(0), now.ms.saturating_add(KILLED_FOR_MS));
        let _ = self.replies.complete(call, &answer);
        out.push(Effect::Reply { call, answer });
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
        let index = self.order(object, EntryKind::Then { lane, sequence, result }, now);
        self.commit(index, out);
    }

    /// An owner has ended: every object that it concerns is told, once, in order.
    pub fn handle_owner_gone(&mut self, owner: Owner, now: Now, out: &mut Vec<Effect>) {
        for object in self.owners.remove(&owner).unwrap_or_default() {
            let index = self.order(object, EntryKind::OwnerGone(owner), now);
            self.commit(index, out);
        }
        // Sessions of objects end by time: their calls have deadlines, and may be retried until then.
        if let Owner::Session(session) = owner
            && !session.is_object()
        {
            self.replies.end(session, now.ms);
        }
    }

    /// A job has ended: its objects go.
    pub fn handle_job_end(&mut self, job: JobId, now: Now, out: &mut Vec<Effect>) {
        for object in self.objects.of_job(job) {
            let entry = CallEntry {
                call: CallId::default(),
                owner: Owner::Session(CallId::default().session),
                method: system::DELETE,
                arguments: Bytes::new(),
                construction: Wanted::Anything,
                deadline_ms: None,
                chain: Box::default(),
            };
            let index = self.order(object, EntryKind::Call(entry), now);
            self.commit(index, out);
        }
    }

    /// Time passes: parked calls whose deadline is over leave their queues.
    pub fn handle_tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        while let Some(&(deadline_ms, object, waiter, call)) = self.timers.first() {
            if deadline_ms > now.ms {
                break;
            }
            self.timers.pop_first();
            let Some(method) = self.objects.parked_method(object, waiter) else { continue };
            let index = self.order(object, EntryKind::Cancel { call, waiter, method, why: GiveUp::TimedOut }, now);
            self.commit(index, out);
        }
    }

    /// Forgets what has expired. Call it every few seconds.
    pub fn trim(&mut self, now: Now) {
        self.replies.trim(now.ms);
    }

    /// When the next parked call has to be woken by its deadline.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.timers.first().map(|timer| timer.0)
    }

    /// An object's actor has applied entries: keep and send the replies.
    pub fn handle_outcomes(&mut self, object: ObjectNumber, outcomes: Outcomes, out: &mut Vec<Effect>) {
        self.objects.note_applied(object, outcomes.n_applied, outcomes.last_index);
        for (call, answer) in outcomes.answers {
            if matches!(answer.result, Err(Fault::Refused(Refusal::NotCreated))) {
                // The caller tries again with the arguments, as the same call.
                self.replies.withdraw(call);
            } else if self.replies.complete(call, &answer)
                && let Ok(granted) = &answer.result
                && self.takes_back(object)
                && !outcomes.taken_back.contains(&call)
                && let Some(entry) = self.objects.get(object)
            {
                // The cancel is behind the entries that were just applied.
                entry.instance().borrow_mut().note_untaken(call, granted.clone());
            }
            out.push(Effect::Reply { call, answer });
        }
        for (deadline_ms, waiter, call) in outcomes.timers {
            self.timers.insert((deadline_ms, object, waiter, call));
        }
        for (deadline_ms, waiter, call) in outcomes.ended_timers {
            self.timers.remove(&(deadline_ms, object, waiter, call));
        }
        if let Some(job) = self.objects.get(object).map(ObjectEntry::job) {
            out.extend(outcomes.nested.into_iter().map(|call| Effect::Nested { object, job, call }));
        }
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

    /// Appends to the log. Time never goes back in a slot.
    fn order(&mut self, object: ObjectNumber, kind: EntryKind, now: Now) -> LogIndex {
        self.now_ms = self.now_ms.max(now.ms);
        self.appended.0 += 1;
        let index = self.appended;
        let seed = now.seed ^ index.0.wrapping_mul(SEED_STEP);
        self.log.push_back((object, Entry { stamp: Stamp { index, now_ms: self.now_ms, seed }, kind }));
        index
    }

    /// Every copy that counts has the log up to `index`: what is in it may be applied.
    fn commit(&mut self, index: LogIndex, out: &mut Vec<Effect>) {
        self.committed = self.committed.max(index);
        while self.log.front().is_some_and(|(_, entry)| entry.stamp.index <= self.committed) {
            let Some((object, entry)) = self.log.pop_front() else { break };
            self.objects.note_queued(object);
            out.push(Effect::Apply { object, entry });
        }
    }

    /// A read is not logged. It follows what has been committed, and sees nothing else.
    fn read(&mut self, object: ObjectNumber, entry: CallEntry, now: Now, out: &mut Vec<Effect>) {
        let call = u64::from(entry.call.lane.0) << 32 ^ entry.call.sequence.0;
        let seed = now.seed ^ call.wrapping_mul(SEED_STEP);
        let stamp = Stamp { index: self.committed, now_ms: self.now_ms.max(now.ms), seed };
        self.objects.note_queued(object);
        out.push(Effect::Apply { object, entry: Entry { stamp, kind: EntryKind::Call(entry) } });
    }
}

fn refused(call: CallId, refusal: Refusal) -> Effect {
    let result = Err(Fault::Refused(refusal));
    Effect::Reply { call, answer: Answer { applied: false, index: LogIndex(0), result } }
}

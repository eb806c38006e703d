//! The reply table: what makes a call happen exactly once.
//!
//! Of each lane the table keeps the highest call that was accepted, and its reply until the caller has it. One call of a
//! lane is outstanding at a time, so the next call on the lane acknowledges the one before.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::ids::{CallId, Lane, LogIndex, Sequence, SessionId};

use bytes::Bytes;

/// The most lanes that a session may use in one slot: one for each call that it has in flight there.
pub const LANES_MAX: usize = 1 << 20;

/// How long the replies of a session that has ended are kept, for a client that was stopped and asks what became of a call.
pub(crate) const ENDED_FOR_MS: u64 = 60_000;

/// A reply, as it is kept for a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the call changed, or may have changed, the object.
    pub applied: bool,
    /// Its place in the slot's log; 0 for a read.
    pub index: LogIndex,
    /// The encoded return value, or why there is none.
    pub result: Result<Bytes, Fault>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LaneEntry {
    sequence: Sequence,
    /// Where the call itself was ordered; its answer may be due to a later entry.
    index: LogIndex,
    method: u16,
    /// The hash of its object.
    object: u64,
    state: CallState,
}

impl LaneEntry {
    fn lose(&mut self, objects: &BTreeSet<u64>) {
        if objects.contains(&self.object) {
            let answer = Answer { applied: true, index: self.index, result: Err(Fault::ObjectLost) };
            self.state = CallState::Done(answer);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum CallState {
    /// Ordered, maybe applied, maybe parked.
    Running,
    /// The same, and its caller has given up: nobody will take its reply.
    GivenUp,
    Done(Answer),
    /// The caller has the reply.
    Acknowledged,
}

/// What the table knows of a call that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Never seen: run it.
    New,
    /// It runs, or is parked: its reply will come.
    Running(LogIndex),
    /// It is done: answer this.
    Done(Answer),
    /// The call before it on its lane is not done here. Its caller may have had that one's answer from another copy: a new
    /// primary has yet to apply what it holds.
    Busy,
    /// It is older than what the lane has seen: never run it.
    Stale,
}

/// What became of a reply that the table was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// It is kept for a retry.
    Kept,
    /// Nobody will take it: the caller had given up.
    GivenUp,
    /// The table had it before, or the lane has left it behind.
    Known,
}

/// What the table knows of a call whose caller has given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// Never seen: it has not arrived.
    Unseen,
    /// It runs, or is parked.
    Running {
        /// Where it was ordered.
        index: LogIndex,
        /// Its method's number.
        method: u16,
    },
    /// It has been answered.
    Answered {
        /// Where it was ordered.
        index: LogIndex,
        /// Its method's number.
        method: u16,
        /// What it was answered, if that is still kept.
        body: Option<Bytes>,
    },
    /// Nothing is left to be done.
    Nothing,
}

/// What a table knows of one session, as a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionImage {
    lanes: Vec<(Lane, LaneEntry)>,
    expires_ms: u64,
    has_ended: bool,
}

impl SessionImage {
    /// Whether the session has ended.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The last call of each lane, and whether it has been answered, in the order of the lanes.
    pub fn calls(&self) -> impl Iterator<Item = (Lane, (Sequence, bool))> {
        let is_done = |state: &CallState| matches!(state, CallState::Done(_) | CallState::Acknowledged);
        self.lanes.iter().map(move |(lane, entry)| (*lane, (entry.sequence, is_done(&entry.state))))
    }

    /// Of the calls of those objects, which are told to no copy, what is known elsewhere is that they were lost.
    pub(crate) fn lose(&mut self, objects: &BTreeSet<u64>) {
        if !objects.is_empty() {
            self.lanes.iter_mut().for_each(|(_, entry)| entry.lose(objects));
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let body = |entry: &LaneEntry| match &entry.state {
            CallState::Done(Answer { result: Ok(body), .. }) => body.len(),
            _ => 0,
        };
        self.lanes.iter().map(|(_, entry)| 32 + body(entry)).sum()
    }
}

/// The lanes of one session.
#[derive(Clone, Debug, Default, PartialEq)]
struct SessionReplies {
    lanes: HashMap<Lane, LaneEntry>,
    /// When the last call of the session expires, for sessions that objects have, or when one that has ended is forgotten.
    expires_ms: u64,
    has_ended: bool,
}

/// The replies of one slot.
#[derive(Clone, Debug, Default)]
pub struct ReplyTable {
    sessions: HashMap<SessionId, SessionReplies>,
}

impl ReplyTable {
    /// Looks a call up, without accepting it.
    pub fn admission(&self, call: CallId) -> Admission {
        let Some(session) = self.sessions.get(&call.session) else { return Admission::New };
        let Some(entry) = session.lanes.get(&call.lane) else {
            return if session.lanes.len() < LANES_MAX { Admission::New } else { Admission::Stale };
        };
        if call.sequence > entry.sequence {
            return match entry.state {
                CallState::Running | CallState::GivenUp => Admission::Busy,
                CallState::Done(_) | CallState::Acknowledged => Admission::New,
            };
        }
        if call.sequence < entry.sequence {
            if planted!(RunOldDuplicate) {
                return Admission::New;
            }
            return Admission::Stale;
        }
        match &entry.state {
            CallState::Running | CallState::GivenUp => Admission::Running(entry.index),
            CallState::Done(answer) => Admission::Done(answer.clone()),
            CallState::Acknowledged => Admission::Stale,
        }
    }

    /// Whether the table has any calls of the session: if it has, it knows of each whether it was accepted.
    pub fn knows(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Notes that the call of that method of the object with that hash was ordered at `index`. Its table entry lasts at least
    /// until `expires_ms`.
    pub fn accept(&mut self, call: CallId, method: u16, object: u64, index: LogIndex, expires_ms: u64) {
        let session = self.sessions.entry(call.session).or_default();
        session.expires_ms = session.expires_ms.max(expires_ms);
        let entry = LaneEntry { sequence: call.sequence, index, method, object, state: CallState::Running };
        session.lanes.insert(call.lane, entry);
    }

    /// Keeps the reply of a call that was accepted; one that the lane has left behind is not kept.
    pub fn complete(&mut self, call: CallId, answer: &Answer) -> Completed {
        let Some(entry) = self.entry(call) else { return Completed::Known };
        match entry.state {
            // Its cancel has been ordered, and takes back what there is.
            CallState::GivenUp => {
                (entry.index, entry.state) = (LogIndex(0), CallState::Acknowledged);
                Completed::GivenUp
            }
            CallState::Running => {
                entry.state = CallState::Done(answer.clone());
                Completed::Kept
            }
            CallState::Done(_) | CallState::Acknowledged => Completed::Known,
        }
    }

    /// Whether the call may be one of the object with that hash: not if it was ordered for another one.
    pub fn may_be_of(&mut self, call: CallId, object: u64) -> bool {
        self.entry(call).is_none_or(|entry| entry.object == object || entry.index == LogIndex(0))
    }

    /// The caller of a call has given up, and will not take its reply. Saying so twice means nothing.
    pub fn give_up(&mut self, call: CallId) -> Abandoned {
        let Some(entry) = self.entry(call) else { return Abandoned::Unseen };
        let (index, method) = (entry.index, entry.method);
        let state = std::mem::replace(&mut entry.state, CallState::Acknowledged);
        match state {
            CallState::Running => {
                entry.state = CallState::GivenUp;
                Abandoned::Running { index, method }
            }
            CallState::Done(Answer { result: Ok(body), .. }) => {
                entry.index = LogIndex(0);
                Abandoned::Answered { index, method, body: Some(body) }
            }
            CallState::Acknowledged if index != LogIndex(0) => {
                entry.index = LogIndex(0);
                Abandoned::Answered { index, method, body: None }
            }
            CallState::GivenUp => {
                entry.state = CallState::GivenUp;
                Abandoned::Nothing
            }
            CallState::Done(_) | CallState::Acknowledged => Abandoned::Nothing,
        }
    }

    /// Drops a reply that its caller has.
    pub fn acknowledge(&mut self, call: CallId) {
        if let Some(entry) = self.entry(call)
            && matches!(entry.state, CallState::Done(_))
        {
            entry.state = CallState::Acknowledged;
        }
    }

    /// Takes back that the call was accepted at `index`: it was refused for want of something that the caller will send with a
    /// retry. The retry may have been accepted meanwhile.
    pub fn withdraw(&mut self, call: CallId, index: LogIndex) {
        if let Some(entry) = self.entry(call).filter(|entry| entry.index == index) {
            // A caller that has given up does not try again: a retry that is on its way must not be run.
            let again = !matches!(entry.state, CallState::GivenUp);
            *entry = LaneEntry {
                sequence: Sequence(call.sequence.0.saturating_sub(u64::from(again))),
                index: LogIndex(0),
                method: entry.method,
                object: entry.object,
                state: CallState::Acknowledged,
            };
        }
    }

    /// A session has ended. That is remembered until then, when what it has set off has been applied.
    pub fn end(&mut self, session: SessionId, until_ms: u64) {
        let replies = self.sessions.entry(session).or_default();
        (replies.has_ended, replies.expires_ms) = (true, replies.expires_ms.max(until_ms));
    }

    /// Whether the session is known to have ended.
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|replies| replies.has_ended)
    }

    /// The sessions that have made calls here and not ended, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.iter().filter(|(_, replies)| !replies.has_ended).map(|(&session, _)| session)
    }

    /// The states of those objects were here only, and are lost: so are their calls.
    pub(crate) fn lose(&mut self, objects: &BTreeSet<u64>) {
        if !objects.is_empty() {
            let lanes = self.sessions.values_mut().flat_map(|session| session.lanes.values_mut());
            lanes.for_each(|entry| entry.lose(objects));
        }
    }

    /// The calls that have been accepted and not been answered, in order.
    pub fn running(&self) -> Vec<CallId> {
        let of_session = |(&session, replies): (&SessionId, &SessionReplies)| {
            let running = replies.lanes.iter().filter(|(_, entry)| entry.state == CallState::Running);
            let call = |(&lane, entry): (&Lane, &LaneEntry)| CallId { session, lane, sequence: entry.sequence };
            running.map(call).collect::<Vec<_>>()
        };
        let mut running: Vec<CallId> = self.sessions.iter().flat_map(of_session).collect();
        running.sort_unstable();
        running
    }

    /// The table as values, in the order of the sessions and lanes.
    pub fn images(&self) -> Vec<(SessionId, SessionImage)> {
        let image = |(&session, replies): (&SessionId, &SessionReplies)| {
            let mut lanes: Vec<(Lane, LaneEntry)> =
                replies.lanes.iter().map(|(&lane, entry)| (lane, entry.clone())).collect();
            lanes.sort_unstable_by_key(|(lane, _)| *lane);
            let (expires_ms, has_ended) = (replies.expires_ms, replies.has_ended);
            (session, SessionImage { lanes, expires_ms, has_ended })
        };
        let mut images: Vec<_> = self.sessions.iter().map(image).collect();
        images.sort_unstable_by_key(|(session, _)| *session);
        images
    }

    /// Takes what another copy's table knows.
    pub fn install(&mut self, images: Vec<(SessionId, SessionImage)>) {
        for (session, SessionImage { lanes, expires_ms, has_ended }) in images {
            let lanes = lanes.into_iter().collect();
            self.sessions.insert(session, SessionReplies { lanes, expires_ms, has_ended });
        }
    }

    /// Forgets the sessions that have ended, and those of objects whose calls have all expired; a call is refused after its
    /// deadline, so none can come back.
    pub fn trim(&mut self, now_ms: u64) {
        let by_time = |session: &SessionId, replies: &SessionReplies| session.is_object() || replies.has_ended;
        self.sessions.retain(|session, replies| !by_time(session, replies) || replies.expires_ms >= now_ms);
    }

    /// Sessions, lanes and bytes of kept replies.
    pub fn size(&self) -> (usize, usize, usize) {
        let mut size = (self.sessions.len(), 0, 0);
        let lanes = self.sessions.values().flat_map(|session| session.lanes.values());
        for entry in lanes {
            size.1 += 1;
            if let CallState::Done(Answer { result: Ok(body), .. }) = &entry.state {
                size.2 += body.len();
            }
        }
        size
    }

    fn entry(&mut self, call: CallId) -> Option<&mut LaneEntry> {
        let entry = self.sessions.get_mut(&call.session)?.lanes.get_mut(&call.lane)?;
        (entry.sequence == call.sequence).then_some(entry)
    }
}

/// The free lanes of a session in one slot, as the caller keeps them.
#[derive(Debug, Default)]
pub struct LanePool {
    free: Vec<(Lane, Sequence)>,
    used: bool,
}

impl LanePool {
    /// Takes a free lane with its next number, or a new one from `new_lane`.
    pub fn take(&mut self, new_lane: impl FnOnce() -> Lane) -> (Lane, Sequence) {
        self.used = true;
        let (lane, last) = self.free.pop().unwrap_or_else(|| (new_lane(), Sequence(0)));
        (lane, Sequence(last.0 + 1))
    }

    /// Notes that a lane of the slot was taken elsewhere.
    pub fn note_used(&mut self) {
        self.used = true;
    }

    /// Whether a lane was ever taken.
    pub fn is_used(&self) -> bool {
        self.used
    }

    /// Gives a lane back, once its call has been answered.
    pub fn give_back(&mut self, lane: Lane, sequence: Sequence) {
        self.free.push((lane, sequence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: u64 = 77;

    fn call(lane: u32, sequence: u64) -> CallId {
        CallId { session: SessionId(9), lane: Lane(lane), sequence: Sequence(sequence) }
    }

    fn answer(index: u64) -> Answer {
        Answer { applied: true, index: LogIndex(index), result: Ok(Bytes::from_static(b"7")) }
    }

    #[test]
    fn a_retry_finds_its_reply_until_the_lane_moves_on() {
        let mut table = ReplyTable::default();
        assert_eq!(table.admission(call(1, 1)), Admission::New);
        table.accept(call(1, 1), 0, OBJECT, LogIndex(4), 0);
        assert_eq!(table.admission(call(1, 1)), Admission::Running(LogIndex(4)));
        table.complete(call(1, 1), &answer(4));
        assert_eq!(table.admission(call(1, 1)), Admission::Done(answer(4)));
        table.accept(call(1, 2), 0, OBJECT, LogIndex(5), 0);
        assert_eq!(table.admission(call(1, 1)), Admission::Stale);
    }

    #[test]
    fn an_acknowledged_call_is_never_run_again() {
        let mut table = ReplyTable::default();
        table.accept(call(1, 1), 0, OBJECT, LogIndex(4), 0);
        table.complete(call(1, 1), &answer(4));
        table.acknowledge(call(1, 1));
        assert_eq!(table.admission(call(1, 1)), Admission::Stale);
        assert_eq!(table.admission(call(1, 2)), Admission::New);
        assert_eq!(table.size(), (1, 1, 0));
    }

    #[test]
    fn a_parked_call_pins_nothing_but_its_own_lane() {
        let mut table = ReplyTable::default();
        table.accept(call(1, 1), 0, OBJECT, LogIndex(4), 0);
        assert_eq!(table.admission(call(2, 1)), Admission::New);
        assert_eq!(table.admission(call(1, 2)), Admission::Busy, "one call of a lane is outstanding at a time");
    }

    #[test]
    fn a_withdrawn_call_whose_caller_gave_up_is_not_run_when_a_retry_comes() {
        let mut table = ReplyTable::default();
        table.accept(call(1, 1), 0, OBJECT, LogIndex(4), 0);
        table.withdraw(call(1, 1), LogIndex(4));
        assert_eq!(table.admission(call(1, 1)), Admission::New, "its caller tries again");
        table.accept(call(1, 1), 0, OBJECT, LogIndex(5), 0);
        table.give_up(call(1, 1));
        table.withdraw(call(1, 1), LogIndex(5));
        assert_eq!(table.admission(call(1, 1)), Admission::Stale);
        assert_eq!(table.admission(call(1, 2)), Admission::New);
    }

    #[test]
    fn sessions_of_objects_end_by_time() {
        let mut table = ReplyTable::default();
        let of_object = CallId { session: SessionId::of_object(77), lane: Lane(0), sequence: Sequence(3) };
        table.accept(of_object, 0, OBJECT, LogIndex(4), 1_000);
        table.accept(call(1, 1), 0, OBJECT, LogIndex(5), 1_000);
        table.trim(1_000);
        assert_eq!(table.size().0, 2);
        table.trim(1_001);
        assert_eq!(table.size().0, 1);
    }
}

//! The calls that are out on a connection, by their lanes.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use greenroom_actors::wire::{Reply, Request};
use greenroom_actors::{Fault, Lane, Sequence, SessionId, SlotId};
use hashbrown::HashMap;
use tokio::sync::oneshot;

/// The most calls that were given up and are remembered; beyond it they are left to the end of the session.
const ABANDONED_MAX: usize = 100_000;

/// What became of a call that was sent.
#[derive(Debug)]
pub(crate) enum Event {
    /// It was answered.
    Answered(Result<Bytes, Fault>),
    /// The stream broke: the call may have arrived.
    Broken(String),
    /// The process is gone, and with it what only it held.
    Gone(String),
    /// Its time is over.
    Expired,
}

/// Why a call could not be put on the stream. It has not been sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// There is no stream now; this tells when that changes.
    Opening(oneshot::Receiver<Result<(), String>>),
    /// The process is gone.
    Gone(String),
    /// The call is too large.
    TooLarge { bytes: usize, bytes_max: usize },
}

/// A lane that is free again.
pub(crate) type FreeLane = (SlotId, Lane, Sequence);

/// A call that is out.
#[derive(Debug)]
struct Pending {
    slot: SlotId,
    sequence: Sequence,
    expires: Option<Instant>,
    caller: CallerOf,
}

#[derive(Debug)]
enum CallerOf {
    Waits(oneshot::Sender<Event>),
    /// It has given up. The node is told so on each stream until it has answered: only then is the lane free.
    Gone {
        session: SessionId,
        cancel: BytesMut,
    },
}

/// What an answer means.
pub(crate) enum Answered {
    /// Its caller is to be told.
    Tell(oneshot::Sender<Event>, Event),
    /// Its caller has gone: the lane is free.
    Free(FreeLane),
}

/// The calls that are out, and those whose callers have gone before the node's last word.
#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    by_lane: HashMap<Lane, Pending>,
    /// How many of them have no caller any more.
    n_gone: usize,
}

impl PendingCalls {
    /// A call is out; the receiver tells what becomes of it.
    pub(crate) fn add(&mut self, request: &Request<'_>, expires: Option<Instant>) -> oneshot::Receiver<Event> {
        let (tell, told) = oneshot::channel();
        let (slot, sequence, caller) = (request.slot, request.sequence, CallerOf::Waits(tell));
        self.by_lane.insert(request.lane, Pending { slot, sequence, expires, caller });
        told
    }

    /// The caller of a call has gone, which `cancel` tells the node; returns what is to be sent.
    pub(crate) fn abandon(&mut self, cancel: &Request<'_>) -> BytesMut {
        let mut encoded = BytesMut::new();
        cancel.encode(&mut encoded);
        let session = cancel.session.unwrap_or_default();
        self.forget(cancel.lane);
        if self.n_gone < ABANDONED_MAX {
            let caller = CallerOf::Gone { session, cancel: encoded.clone() };
            let gone = Pending { slot: cancel.slot, sequence: cancel.sequence, expires: None, caller };
            self.by_lane.insert(cancel.lane, gone);
            self.n_gone += 1;
        }
        encoded
    }

    /// The caller of a call has gone, and the node need not know.
    pub(crate) fn forget(&mut self, lane: Lane) {
        let _ = self.remove(lane);
    }

    fn remove(&mut self, lane: Lane) -> Option<Pending> {
        let call = self.by_lane.remove(&lane)?;
        self.n_gone -= usize::from(matches!(call.caller, CallerOf::Gone { .. }));
        Some(call)
    }

    /// The node has answered.
    pub(crate) fn answered(&mut self, reply: Reply) -> Option<Answered> {
        // Else its caller's time was over.
        self.by_lane.get(&reply.lane).filter(|call| call.sequence == reply.sequence)?;
        let call = self.remove(reply.lane)?;
        Some(match call.caller {
            CallerOf::Waits(tell) => Answered::Tell(tell, Event::Answered(reply.result)),
            CallerOf::Gone { .. } => Answered::Free((call.slot, reply.lane, reply.sequence)),
        })
    }

    /// The stream has ended: returns who has to be told, in order.
    pub(crate) fn take_waiting(&mut self) -> Vec<oneshot::Sender<Event>> {
        let waits = |_: &Lane, call: &mut Pending| matches!(call.caller, CallerOf::Waits(_));
        let mut waiting: Vec<_> = self.by_lane.extract_if(waits).collect();
        waiting.sort_unstable_by_key(|(lane, _)| *lane);
        waiting.into_iter().filter_map(|(_, call)| call.waiting()).collect()
    }

    /// A stream of the session is open: what has to be told on it again. What other sessions left has ended with them, those of
    /// cloud threads apart.
    pub(crate) fn cancels(&mut self, of: SessionId) -> impl Iterator<Item = &BytesMut> {
        let n_gone = &mut self.n_gone;
        self.by_lane.retain(|_, call| match &call.caller {
            CallerOf::Waits(_) => true,
            CallerOf::Gone { session, .. } => {
                let stays = *session == of || session.attempt().is_some();
                *n_gone -= usize::from(!stays);
                stays
            }
        });
        self.by_lane.values().filter_map(|call| match &call.caller {
            CallerOf::Waits(_) => None,
            CallerOf::Gone { cancel, .. } => Some(cancel),
        })
    }

    /// Takes out what is out on slots that are served elsewhere now: who has to be told, and the cancels to be told there.
    pub(crate) fn let_go(
        &mut self,
        moved: impl Fn(SlotId) -> bool,
    ) -> (Vec<oneshot::Sender<Event>>, Vec<(SlotId, BytesMut)>) {
        let mut gone: Vec<_> = self.by_lane.extract_if(|_, call| moved(call.slot)).collect();
        gone.sort_unstable_by_key(|(lane, _)| *lane);
        let (mut waiting, mut cancels) = (Vec::new(), Vec::new());
        for (_, call) in gone {
            self.n_gone -= usize::from(matches!(call.caller, CallerOf::Gone { .. }));
            match call.caller {
                CallerOf::Waits(tell) => waiting.push(tell),
                CallerOf::Gone { cancel, .. } => cancels.push((call.slot, cancel)),
            }
        }
        (waiting, cancels)
    }

    /// Keeps a cancel until the node has answered it.
    pub(crate) fn add_cancel(&mut self, request: &Request<'_>, slot: SlotId, cancel: BytesMut) {
        let caller = CallerOf::Gone { session: request.session.unwrap_or_default(), cancel };
        self.forget(request.lane);
        self.n_gone += 1;
        self.by_lane.insert(request.lane, Pending { slot, sequence: request.sequence, expires: None, caller });
    }

    /// Nobody is left who could be told that callers have gone.
    pub(crate) fn clear(&mut self) {
        self.by_lane.clear();
        self.n_gone = 0;
    }

    /// Ends calls whose time is over: returns who has to be told, and whether others have a deadline.
    pub(crate) fn expire(&mut self, now: Instant) -> (Vec<oneshot::Sender<Event>>, bool) {
        let over = |_: &Lane, call: &mut Pending| call.expires.is_some_and(|expires| expires <= now);
        let over: Vec<_> = self.by_lane.extract_if(over).collect();
        let more = self.by_lane.values().any(|call| call.expires.is_some());
        (over.into_iter().filter_map(|(_, call)| call.waiting()).collect(), more)
    }
}

impl Pending {
    fn waiting(self) -> Option<oneshot::Sender<Event>> {
        match self.caller {
            CallerOf::Waits(tell) => Some(tell),
            CallerOf::Gone { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lane: u32) -> Request<'static> {
        Request { lane: Lane(lane), sequence: Sequence(1), session: Some(SessionId(1)), ..Request::default() }
    }

    #[test]
    fn calls_with_waiting_callers_leave_room_for_those_that_were_given_up() {
        let mut pending = PendingCalls::default();
        let many = u32::try_from(ABANDONED_MAX).expect("fits");
        let waiting: Vec<_> = (0..many).map(|lane| pending.add(&request(lane), None)).collect();
        pending.abandon(&request(many));
        pending.abandon(&request(many));
        assert_eq!(pending.cancels(SessionId(1)).count(), 1);
        assert_eq!(pending.n_gone, 1);
        for lane in 0..many {
            pending.abandon(&request(lane));
        }
        assert_eq!(pending.cancels(SessionId(1)).count(), ABANDONED_MAX, "there is a limit");
        let reply = Reply {
            lane: Lane(0),
            sequence: Sequence(1),
            session: None,
            applied: false,
            index: None,
            table: None,
            fence: None,
            result: Ok(Bytes::new()),
        };
        assert!(matches!(pending.answered(reply), Some(Answered::Free(_))));
        assert_eq!(pending.n_gone, ABANDONED_MAX - 1);
        assert_eq!(pending.cancels(SessionId(2)).count(), 0);
        assert_eq!(pending.n_gone, 0);
        drop(waiting);
    }
}

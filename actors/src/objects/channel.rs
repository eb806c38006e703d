//! The object behind channels, oneshots and queues: values in order, from those who send to those who receive.
//!
//! After each turn these hold: if a call waits to send, there is no room; if one waits to receive, nothing is there. So a caller
//! that gives up while it waits keeps nobody behind it waiting.

mod refusals;
mod store;

use std::collections::VecDeque;

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::{Grants, WaitQueue};
use crate::ids::{Fence, Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;
use crate::waiter::Waiter;

pub use refusals::{ChannelClosed, NotRegistered, NotTaken, RecvError, TryRecvError};
pub use store::ChannelItem;
use store::Store;

/// A reply to a call for many values ends before it has more bytes than this.
const PAGE_BYTES_MAX: u64 = 1 << 20;

/// How many values a channel may hold. One with 256 MiB in it is full, of whatever kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelKind {
    /// As many as come.
    Unbounded,
    /// So many; of none, each value goes straight from a sender to a receiver.
    Bounded(u64),
    /// One, ever: the channel closes behind it.
    Oneshot,
}

impl ChannelKind {
    /// How many values may wait in it.
    pub fn capacity(self) -> Option<u64> {
        match self {
            Self::Unbounded => None,
            Self::Bounded(capacity) => Some(capacity),
            Self::Oneshot => Some(1),
        }
    }
}

/// Values of any type on their way from senders to receivers, encoded by their clients; use it through the client's
/// `Sender<T>`, `Receiver<T>` and `Queue<T>`.
#[object(name = "Channel")]
#[derive(Debug, Serialize, Deserialize)]
pub struct ChannelObject {
    /// The fingerprint of the values' type.
    shape: u64,
    kind: ChannelKind,
    life: Life,
    /// The senders whose end is the end of the channel.
    senders: Grants,
    store: Store,
    sending: WaitQueue<Result<(), NotTaken>, Parcel>,
    /// Each with how many values it takes at most.
    receiving: WaitQueue<Result<Vec<ChannelItem>, RecvError>, u32>,
}

/// How far a channel is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Life {
    /// No sender has left: without any, the channel waits for its first.
    Fresh,
    /// One has left: the channel closes with the last.
    Left,
    Closed,
}

/// What a call that waits to send has not been able to put in.
#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    values: VecDeque<Bytes>,
    /// How many of its values are in.
    taken: u64,
}

/// A sender, as the channel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredSender {
    /// Names it in its sends.
    pub grant: WaiterId,
    /// Grows with each sender.
    pub fence: Fence,
}

#[object]
impl ChannelObject {
    /// A channel for values of the type with that fingerprint.
    pub fn new(shape: u64, kind: ChannelKind) -> Self {
        Self {
            shape,
            kind,
            life: Life::Fresh,
            senders: Grants::default(),
            store: Store::default(),
            sending: WaitQueue::default(),
            receiving: WaitQueue::default(),
        }
    }

    /// Counts the caller in as a sender, until it leaves or its owner ends.
    pub fn register(&mut self, turn: &mut Turn) -> Result<RegisteredSender, ChannelClosed> {
        if self.life == Life::Closed {
            return Err(ChannelClosed);
        }
        let grant = turn.grant();
        let fence = self.senders.give(grant, turn.owner(), (), turn);
        Ok(RegisteredSender { grant, fence })
    }

    /// A sender leaves; the channel closes behind the last.
    pub fn leave(&mut self, sender: WaiterId) -> Result<(), NotRegistered> {
        self.senders.take(sender).ok_or(NotRegistered)?;
        self.sender_left();
        Ok(())
    }

    /// Puts values in, in order, each as soon as there is room; answers when all are in.
    ///
    /// A caller that gives up has put in those for which there was room. Without a `sender`, nobody is asked who sends.
    pub fn send(&mut self, sender: Option<WaiterId>, values: Vec<Bytes>, waiter: Waiter<Result<(), NotTaken>>) {
        if let Err(refusal) = self.check(sender) {
            return waiter.reply(Err(refusal));
        }
        if values.is_empty() {
            // It needs no room, and so waits behind nobody.
            return waiter.reply(Ok(()));
        }
        self.sending.push(waiter, Parcel { values: values.into(), taken: 0 });
        self.meet();
    }

    /// Puts a value in, if there is room, or a receiver that waits for it.
    pub fn try_send(&mut self, sender: Option<WaiterId>, value: Bytes) -> Result<(), NotTaken> {
        self.check(sender)?;
        // If others wait for room, there is none: this overtakes nobody.
        if !self.store.has_room(self.places()) && self.receiving.first().is_none() {
            return Err(NotTaken::Full);
        }
        self.store.push(value);
        self.meet();
        Ok(())
    }

    /// Takes at most `max` values (about 1 MiB, and at least one), as soon as there are any.
    pub fn recv(&mut self, max: u32, waiter: Waiter<Result<Vec<ChannelItem>, RecvError>>) {
        if self.life == Life::Closed && self.store.is_empty() {
            return waiter.reply(Err(RecvError));
        }
        self.receiving.push(waiter, max.max(1));
        self.meet();
    }

    /// Takes at most `max` values of those that are there.
    pub fn try_recv(&mut self, max: u32) -> Result<Vec<ChannelItem>, TryRecvError> {
        if self.has_something() {
            return Ok(self.take(max.max(1)));
        }
        Err(if self.life == Life::Closed { TryRecvError::Disconnected } else { TryRecvError::Empty })
    }

    /// Refuses all further values; those that are in can still be taken. Returns whether the channel was open.
    pub fn close(&mut self) -> bool {
        let was_open = self.life != Life::Closed;
        self.end();
        was_open
    }

    /// Forgets the values that are in; returns how many there were.
    pub fn clear(&mut self) -> u64 {
        let count = self.store.clear();
        self.meet();
        count
    }

    /// The value that would be taken next.
    pub fn peek(&self) -> Option<Bytes> {
        self.store.front().map(|item| item.value.clone())
    }

    /// How many values are in.
    pub fn len(&self) -> u64 {
        self.store.len()
    }

    /// Whether no values are in.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// How many values may be in; `None` is any number.
    pub fn capacity(&self) -> Option<u64> {
        self.kind.capacity()
    }

    /// Whether values are refused.
    pub fn is_closed(&self) -> bool {
        self.life == Life::Closed
    }

    /// How many senders are registered.
    pub fn sender_count(&self) -> u64 {
        self.senders.len() as u64
    }

    fn places(&self) -> u64 {
        self.kind.capacity().unwrap_or(u64::MAX)
    }

    fn check(&self, sender: Option<WaiterId>) -> Result<(), NotTaken> {
        if self.life == Life::Closed {
            return Err(NotTaken::Closed { taken: 0 });
        }
        match sender {
            Some(sender) if self.senders.get(sender).is_none() => Err(NotTaken::NotRegistered),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a receiver would get something: in the store, or straight from a sender.
    fn has_something(&mut self) -> bool {
        !self.store.is_empty() || self.sending.first().is_some()
    }

    /// Lets in what there is room for, and gives what is there to who waits for it.
    fn meet(&mut self) {
        self.let_in(self.places());
        while self.has_something()
            && let Some((waiter, _, max)) = self.receiving.pop()
        {
            let taken = self.take(max);
            waiter.reply(Ok(taken));
        }
        if self.kind == ChannelKind::Oneshot && self.store.n_come() > 0 {
            self.end();
        }
    }

    /// Takes values from those who wait to send, up to so many in the store.
    fn let_in(&mut self, places: u64) {
        while let Some(parcel) = self.sending.first_mut() {
            while self.store.has_room(places)
                && let Some(value) = parcel.values.pop_front()
            {
                self.store.push(value);
                parcel.taken += 1;
            }
            if !parcel.values.is_empty() {
                return;
            }
            if let Some((waiter, ..)) = self.sending.pop() {
                waiter.reply(Ok(()));
            }
        }
    }

    /// Takes at most `max` values from the front; who waits to send fills up behind them.
    fn take(&mut self, max: u32) -> Vec<ChannelItem> {
        if self.store.is_empty() {
            // Where nothing may wait: straight from the sender, one.
            self.let_in(1);
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while (taken.len() as u64) < u64::from(max)
            && let Some(next) = self.store.front()
        {
            bytes += next.bytes();
            if !taken.is_empty() && bytes > PAGE_BYTES_MAX {
                break;
            }
            taken.extend(self.store.pop());
            self.let_in(self.places());
        }
        taken
    }

    /// A sender has gone: the channel closes with the last.
    fn sender_left(&mut self) {
        if self.life == Life::Fresh {
            self.life = Life::Left;
        }
        if self.senders.is_empty() {
            self.end();
        }
    }

    /// Closes the channel, if it is not: tells those who wait that they wait for nothing.
    fn end(&mut self) {
        self.life = Life::Closed;
        self.senders = Grants::default();
        for (waiter, parcel) in self.sending.drain() {
            waiter.reply(Err(NotTaken::Closed { taken: parcel.taken }));
        }
        for (waiter, _) in self.receiving.drain() {
            waiter.reply(Err(RecvError));
        }
    }

    /// The caller gave up and has not seen its answer: what it was to receive is for the next; what it has put in stays.
    fn grant_cancelled(&mut self, grant: WaiterId, turn: &mut Turn) {
        if self.senders.take(grant).is_some() {
            // It never was a sender, so its going alone closes nothing.
            if self.life == Life::Left {
                self.sender_left();
            }
            return;
        }
        let received = turn.granted::<Result<Vec<ChannelItem>, RecvError>>("recv").and_then(Result::ok);
        let untaken = received.or_else(|| turn.granted::<Result<Vec<ChannelItem>, TryRecvError>>("try_recv")?.ok());
        for item in untaken.into_iter().flatten() {
            self.store.put_back(item);
        }
        self.meet();
    }

    /// An owner has ended, and its senders with it.
    fn owner_gone(&mut self, owner: Owner) {
        if !self.senders.take_all_of(owner).is_empty() {
            self.sender_left();
        }
    }

    fn holders(&self) -> Vec<Holder> {
        self.senders.holders(|()| "sender".to_owned())
    }

    fn summary(&self) -> serde_json::Value {
        json!({
            "kind": self.kind,
            "values": self.store.len(),
            "bytes": self.store.bytes(),
            "closed": self.life == Life::Closed,
            "senders": self.senders.len(),
            "sending": self.sending.len(),
            "receiving": self.receiving.len(),
        })
    }
}

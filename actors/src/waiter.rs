//! Waiters: calls that wait in an object, as values of its state.

use std::cell::RefCell;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{CallId, Owner, WaiterId};

/// A call that waits for `T`, as a value: keep it in the object's state, and let a later call complete it.
///
/// It is only an id; the table of parked calls in the object's core is the truth. So it can be replicated, moved with its
/// object, and outlive the node. A waiter that is dropped in a turn that commits answers its caller with `Abandoned`.
pub struct Waiter<T> {
    id: WaiterId,
    /// Set when the value has been answered or handed on, so that dropping it means nothing.
    spent: bool,
    reply: PhantomData<fn(T)>,
}

/// A call that is parked in an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedCall {
    /// The call.
    pub call: CallId,
    /// Who made it.
    pub owner: Owner,
    /// Its method's number.
    pub method: u16,
    /// When it leaves the queue by itself, in milliseconds since the Unix epoch; `None` is never.
    pub deadline_ms: Option<u64>,
    /// When it was parked, in the same unit.
    pub since_ms: u64,
}

/// The parked calls of one object, in order of arrival, and how many there are of each method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParkedCalls {
    calls: BTreeMap<WaiterId, ParkedCall>,
    by_method: BTreeMap<u16, u32>,
}

impl ParkedCalls {
    /// No calls.
    pub const fn new() -> Self {
        Self { calls: BTreeMap::new(), by_method: BTreeMap::new() }
    }

    /// How many calls of that method are parked.
    pub fn count_of(&self, method: u16) -> u32 {
        self.by_method.get(&method).copied().unwrap_or(0)
    }

    /// Adds a call.
    pub fn insert(&mut self, waiter: WaiterId, parked: ParkedCall) {
        *self.by_method.entry(parked.method).or_default() += 1;
        if let Some(replaced) = self.calls.insert(waiter, parked) {
            self.uncount(replaced.method);
        }
    }

    /// Takes a call out.
    pub fn remove(&mut self, waiter: &WaiterId) -> Option<ParkedCall> {
        let parked = self.calls.remove(waiter)?;
        self.uncount(parked.method);
        Some(parked)
    }

    fn uncount(&mut self, method: u16) {
        if let Some(count) = self.by_method.get_mut(&method) {
            *count -= 1;
            if *count == 0 {
                self.by_method.remove(&method);
            }
        }
    }
}

impl Deref for ParkedCalls {
    type Target = BTreeMap<WaiterId, ParkedCall>;

    fn deref(&self) -> &Self::Target {
        &self.calls
    }
}

impl Extend<(WaiterId, ParkedCall)> for ParkedCalls {
    fn extend<I: IntoIterator<Item = (WaiterId, ParkedCall)>>(&mut self, calls: I) {
        calls.into_iter().for_each(|(waiter, parked)| self.insert(waiter, parked));
    }
}

impl FromIterator<(WaiterId, ParkedCall)> for ParkedCalls {
    fn from_iter<I: IntoIterator<Item = (WaiterId, ParkedCall)>>(calls: I) -> Self {
        let mut parked = Self::new();
        parked.extend(calls);
        parked
    }
}

impl IntoIterator for ParkedCalls {
    type Item = (WaiterId, ParkedCall);
    type IntoIter = btree_map::IntoIter<WaiterId, ParkedCall>;

    fn into_iter(self) -> Self::IntoIter {
        self.calls.into_iter()
    }
}

impl Serialize for ParkedCalls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.calls.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ParkedCalls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}

/// What waiters did in the turn that runs on this thread.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) parked: ParkedCalls,
    pub(crate) replies: Vec<(WaiterId, ParkedCall, Bytes)>,
    pub(crate) dropped: Vec<WaiterId>,
}

thread_local! {
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Opens the scope of a turn on this thread; `leave` closes it.
pub(crate) fn enter(parked: ParkedCalls) {
    SCOPE.with(|scope| *scope.borrow_mut() = Some(Scope { parked, ..Scope::default() }));
}

/// Closes the turn's scope and returns what the waiters did.
pub(crate) fn leave() -> Scope {
    SCOPE.with(|scope| scope.borrow_mut().take()).unwrap_or_default()
}

/// Whether a method of an object runs on this thread.
pub(crate) fn inside_turn() -> bool {
    SCOPE.with(|scope| scope.borrow().is_some())
}

impl<T> Waiter<T> {
    /// The waiter of the parked call `id`. Only the core makes one: for the call that it is about to run.
    pub fn new(id: WaiterId) -> Self {
        Self { id, spent: false, reply: PhantomData }
    }

    /// The waiter's number, which also names what its call is granted.
    pub fn id(&self) -> WaiterId {
        self.id
    }

    /// Whether its caller still waits: it has neither timed out, nor been cancelled, nor been answered.
    ///
    /// It cannot change during a turn. Ask before granting something that only one can have.
    pub fn is_live(&self) -> bool {
        SCOPE.with(|scope| scope.borrow().as_ref().is_some_and(|scope| scope.parked.contains_key(&self.id)))
    }

    /// Who waits, if the caller still does.
    pub fn owner(&self) -> Option<Owner> {
        SCOPE.with(|scope| Some(scope.borrow().as_ref()?.parked.get(&self.id)?.owner))
    }
}

impl<T: Serialize> Waiter<T> {
    /// Answers the caller with `value` once this turn is committed.
    ///
    /// A caller that no longer waits gets nothing, and the value is dropped: see [`is_live`](Self::is_live).
    ///
    /// # Panics
    /// When `T`'s `Serialize` fails, or outside of an object's method.
    pub fn reply(self, value: T) {
        self.reply_encoded(encode_reply(&value));
    }
}

/// Encodes what a waiter is answered.
pub(crate) fn encode_reply<T: Serialize>(value: &T) -> Bytes {
    postcard::to_allocvec(value).expect("a reply can be encoded").into()
}

impl<T> Waiter<T> {
    /// Answers the caller with an encoded value.
    pub(crate) fn reply_encoded(mut self, body: Bytes) {
        self.spent = true;
        SCOPE.with(|scope| {
            let mut scope = scope.borrow_mut();
            let scope = scope.as_mut().expect("a waiter is answered inside a method of its object");
            if let Some(parked) = scope.parked.remove(&self.id) {
                scope.replies.push((self.id, parked, body));
            }
        });
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        if self.spent {
            return;
        }
        // Outside of a turn (a state that is thrown away or copied) dropping means nothing.
        let _ = SCOPE.try_with(|scope| {
            if let Ok(mut scope) = scope.try_borrow_mut()
                && let Some(scope) = scope.as_mut()
            {
                scope.dropped.push(self.id);
            }
        });
    }
}

impl<T> fmt::Debug for Waiter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiter({})", self.id)
    }
}

impl<T> Serialize for Waiter<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Waiter<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WaiterId::deserialize(deserializer).map(Self::new)
    }
}

/// Encodes `value` and drops it without a word, so that the waiters inside it, which it returns, live on in the bytes.
pub(crate) fn hand_on<C: Serialize>(value: C) -> Result<(Vec<u8>, Vec<WaiterId>), postcard::Error> {
    let bytes = postcard::to_allocvec(&value)?;
    let dropped_before = SCOPE.with(|scope| scope.borrow().as_ref().map(|scope| scope.dropped.len()));
    drop(value);
    let waiters = SCOPE.with(|scope| match (scope.borrow_mut().as_mut(), dropped_before) {
        (Some(scope), Some(length)) => scope.dropped.split_off(length),
        _ => Vec::new(),
    });
    Ok((bytes, waiters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SessionId;

    #[test]
    fn parked_calls_are_counted_by_method() {
        let call = |method: u16| {
            let owner = Owner::Session(SessionId(1));
            ParkedCall { call: CallId::default(), owner, method, deadline_ms: None, since_ms: 0 }
        };
        let mut parked: ParkedCalls = (0..6).map(|number| (WaiterId(number), call((number % 2) as u16))).collect();
        parked.insert(WaiterId(0), call(1));
        parked.remove(&WaiterId(1));
        assert_eq!(parked.remove(&WaiterId(1)), None);
        let bytes = postcard::to_allocvec(&parked).expect("encodes");
        let again: ParkedCalls = postcard::from_bytes(&bytes).expect("decodes");
        for parked in [parked, again] {
            assert_eq!((parked.len(), parked.count_of(0), parked.count_of(1), parked.count_of(2)), (5, 2, 3, 0));
        }
    }
}

//! Turns: the execution of one call on one object, and all that a method may know besides its state and arguments.

use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::durability::Durability;
use crate::error::{Erased, ReplyBody};
use crate::ids::{CallId, Fence, LogIndex, Owner, WaiterId};
use crate::object::ObjectType;
use crate::waiter;

/// What the primary stamped on a call when it ordered it: the same on every replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The call's place in the slot's log.
    pub index: LogIndex,
    /// Milliseconds since the Unix epoch; never less than the previous stamp's in the slot.
    pub now_ms: u64,
    /// The seed of the turn's random numbers.
    pub seed: u64,
}

/// The turn of a method: its time, its randomness, its caller, and what it asks of other objects.
#[derive(Debug)]
pub struct Turn {
    stamp: Stamp,
    call: CallId,
    owner: Owner,
    grant: WaiterId,
    /// Counts the runs that one entry sets off: its own is 0.
    run: u32,
    random: u64,
    /// The method of a call whose caller has given up, and what it was answered.
    granted: Option<(&'static str, Bytes)>,
    pub(crate) nested: Vec<NestedRequest>,
}

/// A call to another object that a method asked for.
#[derive(Clone, Debug)]
pub(crate) struct NestedRequest {
    pub(crate) message: RawMessage,
    pub(crate) then: u16,
    pub(crate) context: Bytes,
    /// The waiters in the context.
    pub(crate) waiters: Vec<WaiterId>,
}

impl Turn {
    /// The turn of `call` by `owner`, as stamped.
    pub fn new(stamp: Stamp, call: CallId, owner: Owner) -> Self {
        let grant = WaiterId(stamp.index.0);
        Self { stamp, call, owner, grant, run: 0, random: stamp.seed, granted: None, nested: Vec::new() }
    }

    /// The turn in which what `call` was granted is taken back.
    pub(crate) fn taking_back(stamp: Stamp, call: CallId, granted: Option<(&'static str, Bytes)>) -> Self {
        Self { granted, ..Self::new(stamp, call, Owner::Session(call.session)) }
    }

    /// The turn of a call that was parked as `grant` and runs now, as number `run` of the entry that set it free.
    pub(crate) fn resumed(stamp: Stamp, run: u32, grant: WaiterId, call: CallId, owner: Owner) -> Self {
        let seed = stamp.seed ^ u64::from(run).rotate_left(32);
        Self { grant, run, random: seed, ..Self::new(stamp, call, owner) }
    }

    /// The time of the turn in milliseconds since the Unix epoch; it never goes back on an object.
    pub fn now_ms(&self) -> u64 {
        self.stamp.now_ms
    }

    /// The id of the call.
    pub fn call_id(&self) -> CallId {
        self.call
    }

    /// Who made the call.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// A fence for what this turn grants: greater than that of every earlier turn of the object.
    pub fn fence(&self) -> Fence {
        // One entry can set off more runs than this has room for; their fences are then equal, and never less.
        Fence(self.stamp.index.0 << 12 | u64::from(self.run.min(0xFFF)))
    }

    /// Names what this turn grants to its caller; it is also the id of the caller's [`Waiter`](crate::Waiter).
    pub fn grant(&self) -> WaiterId {
        self.grant
    }

    /// In `grant_cancelled`: what the call was answered, if it was a call of that method and its answer is still kept.
    ///
    /// The caller has not taken it, so it may be given to another.
    pub fn granted<T: DeserializeOwned>(&self, method: &str) -> Option<T> {
        let (granted_by, body) = self.granted.as_ref()?;
        postcard::from_bytes(body).ok().filter(|_| *granted_by == method)
    }

    /// A random number, the same on every replica (SplitMix64, Steele and others, OOPSLA 2014).
    pub fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Calls another object once this turn is committed; its reply arrives as a later call of `then`.
    ///
    /// Other calls may come between. A call that closes a circle of objects arrives as a refusal.
    ///
    /// ```text
    /// turn.call(self.other.message().add(5), Self::then_added.with((waiter,)));
    /// ```
    ///
    /// # Panics
    /// When the message's arguments or the context cannot be encoded.
    pub fn call<T, A, E: ReplyBody<A>>(&mut self, message: Message<A, E>, then: impl Into<Continue<T, A, E>>) {
        let then = then.into();
        let Continue { number, context, waiters, .. } = then;
        self.nested.push(NestedRequest { message: message.raw, then: number, context, waiters });
    }
}

/// A call of a method that has not been made: what [`Turn::call`] takes.
#[derive(Debug)]
pub struct Message<A, E = Erased> {
    pub(crate) raw: RawMessage,
    reply: PhantomData<fn() -> (A, E)>,
}

/// An untyped [`Message`].
#[derive(Clone, Debug)]
pub(crate) struct RawMessage {
    pub(crate) object_type: &'static ObjectType,
    pub(crate) key: String,
    pub(crate) construction: Option<Bytes>,
    pub(crate) durability: Option<Durability>,
    pub(crate) method: u16,
    pub(crate) arguments: Bytes,
}

impl<A, E> Message<A, E> {
    pub(crate) fn new(raw: RawMessage) -> Self {
        Self { raw, reply: PhantomData }
    }
}

/// A `then_…` method of `T`, which takes a reply of type `Result<A, Error<E>>` and a context `C` (a tuple).
///
/// `#[object]` makes a constant of this type from each private method whose name begins with `then_`.
#[derive(Debug)]
pub struct Then<T, A, E = Erased, C = ()> {
    number: u16,
    types: PhantomData<fn(T, A, E, C)>,
}

impl<T, A, E, C> Clone for Then<T, A, E, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A, E, C> Copy for Then<T, A, E, C> {}

impl<T, A, E, C> Then<T, A, E, C> {
    /// The continuation with that number in its type's table.
    pub const fn new(number: u16) -> Self {
        Self { number, types: PhantomData }
    }
}

impl<T, A, E, C: Serialize> Then<T, A, E, C> {
    /// Adds what the continuation needs to remember; a waiter in it stays parked.
    ///
    /// # Panics
    /// When the context cannot be encoded.
    pub fn with(self, context: C) -> Continue<T, A, E> {
        let (context, waiters) = waiter::hand_on(context).expect("a context can be encoded");
        Continue { number: self.number, context: context.into(), waiters, types: PhantomData }
    }
}

/// A [`Then`] with its context.
#[derive(Debug)]
pub struct Continue<T, A, E = Erased> {
    number: u16,
    context: Bytes,
    waiters: Vec<WaiterId>,
    types: PhantomData<fn(T, A, E)>,
}

impl<T, A, E> From<Then<T, A, E, ()>> for Continue<T, A, E> {
    fn from(then: Then<T, A, E, ()>) -> Self {
        Self { number: then.number, context: Bytes::new(), waiters: Vec::new(), types: PhantomData }
    }
}

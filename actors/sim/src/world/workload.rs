//! What clients call, and how what they are told is written into the history.

use bytes::Bytes;
use greenroom_actors::objects::{
    Aborted, AcquireError, AtomicI64Object, BarrierObject, BarrierWaitResult, CellObject, ChannelItem, ChannelKind,
    ChannelObject, CounterObject, Locked, MutexObject, NotTaken, Permits, PromiseError, PromiseObject, RecvError,
    SemaphoreObject, TryRecvError,
};
use greenroom_actors::{
    Construction, Durability, JobId, NotHeld, Object, ObjectType, SlotId, WaiterId, Wanted, hash_object, slot_of,
    system,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::draws::Draws;
use super::{N_SLOTS, World};
use crate::call::{
    Call, CounterCall, MutexCall, ObjectType as Recorded, PromiseCall, QueueCall, RegisterCall, Reply, SemaphoreCall,
};
use crate::history::ObjectIndex;
use crate::objects::{Pool, Relay};

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Atomic,
    Cell,
    Mutex,
    Semaphore,
    Barrier,
    Channel,
    Promise,
    Pool,
    Relay,
}

/// An object that clients call.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) hash: u64,
    pub(crate) slot: SlotId,
    pub(crate) object_type: &'static ObjectType,
    pub(crate) construction: Option<Bytes>,
    /// What its calls are recorded for; a relay's are those of the counter that it calls.
    pub(crate) history: ObjectIndex,
    /// What handles of it say about its copies.
    pub(crate) durability: Option<Durability>,
}

impl Target {
    /// What a call says about how the object is made.
    pub(crate) fn wanted(&self, only_hash: bool) -> Wanted {
        match &self.construction {
            None => Wanted::Anything,
            Some(arguments) if only_hash => Wanted::Hash(Construction::new(arguments.clone()).hash),
            Some(arguments) => Wanted::Arguments(Construction::new(arguments.clone())),
        }
    }
}

/// What was given and has to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) target: usize,
    pub(crate) grant: WaiterId,
    fence: u64,
    permits: u64,
}

/// A call to be made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) target: usize,
    pub(crate) method: u16,
    pub(crate) arguments: Bytes,
    pub(crate) recorded: Call,
    /// Whether it may have to wait in the object.
    pub(crate) parks: bool,
    /// Whether nobody may have to come for it to end.
    pub(crate) ends_by_itself: bool,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Value(Reply, Option<Held>),
    /// It does not decode.
    Nonsense,
}

fn encode(value: &impl Serialize) -> Bytes {
    postcard::to_allocvec(value).unwrap_or_default().into()
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    postcard::from_bytes(body).ok()
}

fn number_in(value: &[u8]) -> i64 {
    decode(value).unwrap_or(i64::MIN)
}

impl World {
    /// The objects that this run's clients share.
    pub(crate) fn add_targets(&mut self) {
        let few = self.draws.one_in(3);
        for number in 0..if few { 1 } else { 3 } {
            self.add_counter(number);
            self.add::<AtomicI64Object>(
                Kind::Atomic,
                number,
                Some(encode(&(0_i64,))),
                Recorded::Counter { initial: 0 },
            );
            let zero = encode(&0_i64);
            self.add::<CellObject>(
                Kind::Cell,
                number,
                Some(encode(&(1_u64, &zero))),
                Recorded::Register { initial: 0 },
            );
            self.add::<MutexObject>(Kind::Mutex, number, Some(encode(&(1_u64, &zero))), Recorded::Mutex);
            let permits = self.draws.between(1, 4);
            let recorded = Recorded::Semaphore { permits };
            self.add::<SemaphoreObject>(Kind::Semaphore, number, Some(encode(&(permits,))), recorded);
            let parties = self.draws.between(2, 4);
            let made = u32::try_from(parties).unwrap_or(2);
            self.add::<BarrierObject>(Kind::Barrier, number, Some(encode(&(made,))), Recorded::Barrier { parties });
            let capacity = self.draws.one_in(2).then(|| self.draws.between(1, 4));
            let kind = capacity.map_or(ChannelKind::Unbounded, ChannelKind::Bounded);
            let recorded = Recorded::Queue { capacity };
            self.add::<ChannelObject>(Kind::Channel, number, Some(encode(&(1_u64, kind))), recorded);
            self.add::<Pool>(Kind::Pool, number, None, Recorded::Queue { capacity: None });
        }
        self.system_history = Some(self.history.object("made anew", Recorded::Counter { initial: 0 }));
        if self.draws.one_in(2) {
            self.add_ephemerals();
        }
        for number in 0..20 {
            self.add::<PromiseObject>(Kind::Promise, number, Some(encode(&(1_u64,))), Recorded::Promise);
        }
    }

    /// Objects whose handles say that they are ephemeral.
    fn add_ephemerals(&mut self) {
        const NUMBER: usize = 100;
        let first = self.targets.len();
        self.add::<CounterObject>(Kind::Counter, NUMBER, None, Recorded::Counter { initial: 0 });
        let made = Some(encode(&(1_u64, encode(&0_i64))));
        self.add::<CellObject>(Kind::Cell, NUMBER, made, Recorded::Register { initial: 0 });
        self.add::<Pool>(Kind::Pool, NUMBER, None, Recorded::Queue { capacity: None });
        let made = Some(encode(&(2_u32,)));
        self.add::<BarrierObject>(Kind::Barrier, NUMBER, made, Recorded::Barrier { parties: 2 });
        for target in &mut self.targets[first..] {
            target.durability = Some(Durability::Ephemeral);
        }
    }

    /// The call that makes an object anew that was lost, or deletes it so that the next call makes it.
    pub(crate) fn make_anew(&mut self, target: usize) -> Plan {
        let methods = [system::CREATE, system::CREATE, system::FORCE_NEW, system::DELETE];
        let method = methods[usize::try_from(self.draws.below(4)).unwrap_or(0)];
        let recorded = Call::Counter(CounterCall::Get);
        Plan { target, method, arguments: Bytes::new(), recorded, parks: false, ends_by_itself: true }
    }

    fn add_counter(&mut self, number: usize) {
        self.add::<CounterObject>(Kind::Counter, number, None, Recorded::Counter { initial: 0 });
        let history = self.targets.last().map(|target| target.history);
        self.add::<Relay>(Kind::Relay, number, None, Recorded::Counter { initial: 0 });
        if let (Some(relay), Some(history)) = (self.targets.last_mut(), history) {
            relay.history = history;
        }
    }

    fn add<T: Object>(&mut self, kind: Kind, number: usize, construction: Option<Bytes>, recorded: Recorded) {
        let key = format!("{number}");
        let hash = hash_object(JobId::DEFAULT, T::NAME, &key);
        let slot = slot_of(hash, usize::from(N_SLOTS));
        let history = self.history.object(format!("{}/{key}", T::NAME), recorded);
        self.targets.push(Target {
            kind,
            key,
            hash,
            slot,
            object_type: T::TYPE,
            construction,
            history,
            durability: None,
        });
    }

    /// A random call of a random object.
    pub(crate) fn plan(&mut self, unique: i64) -> Plan {
        let count = self.targets.len() as u64;
        let target = usize::try_from(self.draws.below(count)).unwrap_or(0);
        let reads = self.clocks_are_bounded;
        let Target { kind, object_type, key, .. } = &self.targets[target];
        let relays_to = CounterObject::named(key.as_str());
        let (method, arguments, recorded, parks) = choose(*kind, unique, reads, relays_to, &mut self.draws);
        let number = object_type.method_number(method).unwrap_or(u16::MAX);
        let ends_by_itself = matches!(kind, Kind::Mutex | Kind::Semaphore | Kind::Relay);
        Plan { target, method: number, arguments, recorded, parks, ends_by_itself }
    }

    /// The call that gives back what was given.
    pub(crate) fn give_back(&self, held: Held) -> Plan {
        let target = &self.targets[held.target];
        let (method, arguments, recorded) = if target.kind == Kind::Mutex {
            let changed: Option<Bytes> = None;
            ("unlock", encode(&(held.grant, changed)), Call::Mutex(MutexCall::Unlock(held.fence)))
        } else {
            ("release", encode(&(held.grant,)), Call::Semaphore(SemaphoreCall::Release(held.permits)))
        };
        let method = target.object_type.method_number(method).unwrap_or(u16::MAX);
        Plan { target: held.target, method, arguments, recorded, parks: false, ends_by_itself: true }
    }
}

type Chosen = (&'static str, Bytes, Call, bool);

fn choose(
    kind: Kind,
    unique: i64,
    reads: bool,
    relays_to: greenroom_actors::objects::CounterObjectHandle,
    draws: &mut Draws,
) -> Chosen {
    let value = encode(&unique);
    let turn = draws.below(if reads { 4 } else { 3 });
    match (kind, turn) {
        (Kind::Counter, 3) => ("get", Bytes::new(), Call::Counter(CounterCall::Get), false),
        (Kind::Counter, _) => ("add", encode(&(1_i64,)), Call::Counter(CounterCall::Add(1)), false),
        (Kind::Relay, _) => ("relay", encode(&(relays_to,)), Call::Counter(CounterCall::Add(1)), true),
        (Kind::Atomic, 0 | 1) => {
            let (current, new) = (draws.below(4).cast_signed(), draws.below(4).cast_signed());
            let call = CounterCall::CompareExchange { current, new };
            ("compare_exchange", encode(&(current, new)), Call::Counter(call), false)
        }
        (Kind::Atomic, 2) => {
            let new = draws.below(4).cast_signed();
            ("swap", encode(&(new,)), Call::Counter(CounterCall::Swap(new)), false)
        }
        (Kind::Atomic, _) => ("load", Bytes::new(), Call::Counter(CounterCall::Get), false),
        (Kind::Cell, 3) => ("get", Bytes::new(), Call::Register(RegisterCall::Read), false),
        (Kind::Cell, _) => ("replace", encode(&(value,)), Call::Register(RegisterCall::Replace(unique)), false),
        (Kind::Mutex, _) => ("lock", Bytes::new(), Call::Mutex(MutexCall::Lock), true),
        (Kind::Semaphore, _) => ("acquire", encode(&(1_u32,)), Call::Semaphore(SemaphoreCall::Acquire(1)), true),
        (Kind::Barrier, _) => ("wait", Bytes::new(), Call::BarrierWait, true),
        (Kind::Channel, 0 | 2) => {
            let nobody: Option<WaiterId> = None;
            ("send", encode(&(nobody, vec![value])), Call::Queue(QueueCall::Send(unique)), true)
        }
        (Kind::Channel, 1) => ("recv", encode(&(1_u32,)), Call::Queue(QueueCall::Recv), true),
        (Kind::Channel, _) => ("try_recv", encode(&(1_u32,)), Call::Queue(QueueCall::TryRecv), false),
        (Kind::Promise, 0) => ("set", encode(&(value,)), Call::Promise(PromiseCall::Set(unique)), false),
        (Kind::Promise, 3) => ("try_get", Bytes::new(), Call::Promise(PromiseCall::TryGet), false),
        (Kind::Promise, _) => ("get", Bytes::new(), Call::Promise(PromiseCall::Wait), true),
        (Kind::Pool, 0 | 2) => ("put", encode(&(unique,)), Call::Queue(QueueCall::Send(unique)), false),
        (Kind::Pool, _) => ("take", Bytes::new(), Call::Queue(QueueCall::Recv), true),
    }
}

/// What a reply's body says.
pub(crate) fn read_reply(kind: Kind, target: usize, call: Call, body: &[u8]) -> Told {
    reply_of(kind, target, call, body).unwrap_or(Told::Nonsense)
}

fn reply_of(kind: Kind, target: usize, call: Call, body: &[u8]) -> Option<Told> {
    let value = |reply| Some(Told::Value(reply, None));
    match (kind, call) {
        (Kind::Atomic, Call::Counter(CounterCall::CompareExchange { .. })) => value(Reply::Exchanged(decode(body)?)),
        (_, Call::Counter(_)) => value(Reply::Number(decode(body)?)),
        (_, Call::Register(_)) => value(Reply::Number(number_in(&decode::<Bytes>(body)?))),
        (_, Call::Mutex(MutexCall::Lock)) => {
            let Locked { grant, fence, .. } = decode::<Result<Locked, NotHeld>>(body)?.ok()?;
            let held = Held { target, grant, fence: fence.0, permits: 0 };
            Some(Told::Value(Reply::Fence(fence.0), Some(held)))
        }
        (_, Call::Mutex(_)) | (_, Call::Semaphore(SemaphoreCall::Release(_))) => {
            value(if decode::<Result<(), NotHeld>>(body)?.is_ok() { Reply::Done } else { Reply::Refused })
        }
        (_, Call::Semaphore(_)) => {
            let Permits { grant, .. } = decode::<Result<Permits, AcquireError>>(body)?.ok()?;
            Some(Told::Value(Reply::Done, Some(Held { target, grant, fence: 0, permits: 1 })))
        }
        (_, Call::BarrierWait) => {
            let passed = decode::<Result<BarrierWaitResult, Aborted>>(body)?.ok()?;
            value(Reply::Passed { leader: passed.is_leader(), generation: passed.generation() })
        }
        (Kind::Pool, Call::Queue(QueueCall::Recv)) => value(Reply::Number(decode(body)?)),
        (Kind::Pool, Call::Queue(_)) => value(Reply::Done),
        (_, Call::Queue(QueueCall::Recv)) => {
            let items = decode::<Result<Vec<ChannelItem>, RecvError>>(body)?.ok()?;
            value(Reply::Number(number_in(&items.first()?.value)))
        }
        (_, Call::Queue(QueueCall::TryRecv)) => match decode::<Result<Vec<ChannelItem>, TryRecvError>>(body)? {
            Ok(items) => value(Reply::Value(items.first().map(|item| number_in(&item.value)))),
            Err(_) => value(Reply::Value(None)),
        },
        (_, Call::Queue(_)) => {
            decode::<Result<(), NotTaken>>(body)?.ok()?;
            value(Reply::Done)
        }
        (_, Call::Promise(PromiseCall::Set(_))) => {
            let set = decode::<Result<(), greenroom_actors::objects::AlreadySet>>(body)?;
            value(if set.is_ok() { Reply::Done } else { Reply::Refused })
        }
        (_, Call::Promise(PromiseCall::Wait)) => {
            value(Reply::Number(number_in(&decode::<Result<Bytes, PromiseError>>(body)?.ok()?)))
        }
        (_, Call::Promise(_)) => {
            let got = decode::<Result<Option<Bytes>, PromiseError>>(body)?.ok()?;
            value(Reply::Value(got.map(|value| number_in(&value))))
        }
        (_, Call::Map(_) | Call::OwnerEnded(_)) => None,
    }
}

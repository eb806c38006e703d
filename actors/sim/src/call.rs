//! What clients call, and what they are told; values of all types are numbers that the test chose.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::ClientId;

/// The type of an object, with what it was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectType {
    /// A number, for `Counter` and the atomics.
    Counter {
        /// The value before the first call.
        initial: i64,
    },
    /// One value, for `Cell<T>`.
    Register {
        /// The value before the first call.
        initial: i64,
    },
    /// Values by key, empty at first.
    Map,
    /// Values in order, for channels and queues; empty at first.
    Queue {
        /// How many values may be in, at least 1; `None` is any number.
        capacity: Option<u64>,
    },
    /// A lock, free at first.
    Mutex,
    /// Permits, none given out at first.
    Semaphore {
        /// How many there are.
        permits: u64,
    },
    /// Callers that wait for each other.
    Barrier {
        /// How many pass together, at least 1.
        parties: u64,
    },
    /// A value that is set once.
    Promise,
}

/// One call, by the type of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Call {
    /// Of a counter or an atomic.
    Counter(CounterCall),
    /// Of a cell.
    Register(RegisterCall),
    /// Of a map.
    Map(MapCall),
    /// Of a channel or queue.
    Queue(QueueCall),
    /// Of a lock.
    Mutex(MutexCall),
    /// Of a semaphore.
    Semaphore(SemaphoreCall),
    /// Waits at a barrier, for [`Reply::Passed`].
    BarrierWait,
    /// Of a promise.
    Promise(PromiseCall),
    /// No call: the environment ended this owner, whose locks and permits the object frees at any time from then on.
    ///
    /// It is recorded once for each object and client concerned, without an outcome; a client that comes back needs a new id.
    OwnerEnded(ClientId),
}

/// A call of a counter; sums wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CounterCall {
    /// Adds, for the [`Number`](Reply::Number) that comes of it.
    Add(i64),
    /// Adds, for the number before.
    FetchAdd(i64),
    /// For the number.
    Get,
    /// Sets, for the number before.
    Swap(i64),
    /// Sets, for [`Reply::Done`].
    Store(i64),
    /// Sets `new` if it is `current`, for [`Reply::Exchanged`].
    CompareExchange {
        /// What it must be.
        current: i64,
        /// What it becomes.
        new: i64,
    },
}

/// A call of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RegisterCall {
    /// For the value, as a [`Number`](Reply::Number).
    Read,
    /// Sets, for [`Reply::Done`].
    Write(i64),
    /// Sets, for the value before.
    Replace(i64),
    /// Sets `new` if it is `current`, for [`Reply::Exchanged`].
    CompareExchange {
        /// What it must be.
        current: i64,
        /// What it becomes.
        new: i64,
    },
}

/// A call of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MapCall {
    /// For the [`Value`](Reply::Value) under a key.
    Get(i64),
    /// Puts a value under a key, for the one before.
    Insert(i64, i64),
    /// Takes the value from under a key, for it.
    Remove(i64),
    /// For the [`Number`](Reply::Number) of keys.
    Len,
}

/// A call of a channel or queue; one for many values is recorded as many, with the same times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QueueCall {
    /// Puts a value in as soon as there is room, for [`Reply::Done`].
    Send(i64),
    /// Puts a value in if there is room, for [`Reply::Done`] or [`Reply::Refused`].
    TrySend(i64),
    /// Takes a value as soon as there is one, as a [`Number`](Reply::Number).
    Recv,
    /// Takes a value if there is one, as a [`Value`](Reply::Value).
    TryRecv,
}

/// A call of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MutexCall {
    /// Takes the lock as soon as it is free, for its [`Fence`](Reply::Fence).
    Lock,
    /// Takes the lock if it is free, for its fence or [`Reply::Refused`].
    TryLock,
    /// Gives back the lock that was taken with that fence, for [`Reply::Done`], or [`Reply::Refused`] if it is not held.
    Unlock(u64),
}

/// A call of a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SemaphoreCall {
    /// Takes so many permits as soon as they are there, for [`Reply::Done`].
    Acquire(u64),
    /// Takes so many permits if they are there, for [`Reply::Done`] or [`Reply::Refused`].
    TryAcquire(u64),
    /// Gives back so many of the client's own, for [`Reply::Done`], or [`Reply::Refused`] if it has fewer.
    Release(u64),
}

/// A call of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PromiseCall {
    /// Sets the value, for [`Reply::Done`], or [`Reply::Refused`] if there is one.
    Set(i64),
    /// Waits for the value, as a [`Number`](Reply::Number).
    Wait,
    /// For the [`Value`](Reply::Value), if there is one.
    TryGet,
}

/// What a client was told. A reply of a kind that its call does not have fits no specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// It was not possible.
    Refused,
    /// A number or a value.
    Number(i64),
    /// A value, if there was one.
    Value(Option<i64>),
    /// The value before, if it was the right one and has been replaced; else the value that is there.
    Exchanged(Result<i64, i64>),
    /// The fence of a lock.
    Fence(u64),
    /// Came through a barrier.
    Passed {
        /// Whether as the last of its generation.
        leader: bool,
        /// How many times the barrier had opened before.
        generation: u64,
    },
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter(call) => write!(f, "{call:?}"),
            Self::Register(call) => write!(f, "{call:?}"),
            Self::Map(call) => write!(f, "{call:?}"),
            Self::Queue(call) => write!(f, "{call:?}"),
            Self::Mutex(call) => write!(f, "{call:?}"),
            Self::Semaphore(call) => write!(f, "{call:?}"),
            Self::Promise(call) => write!(f, "{call:?}"),
            Self::BarrierWait => f.write_str("Wait"),
            Self::OwnerEnded(owner) => write!(f, "{owner} ended"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Value(value) => write!(f, "{value:?}"),
            Self::Exchanged(result) => write!(f, "{result:?}"),
            Self::Done | Self::Refused | Self::Fence(_) | Self::Passed { .. } => write!(f, "{self:?}"),
        }
    }
}

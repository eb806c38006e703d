//! The tasks of the load: each calls objects of one type, again and again, and has every call written down.

use std::sync::Arc;
use std::time::Duration;

use greenroom::sync::channel::{Receiver, Sender, TryRecvError, TrySendError};
use greenroom::sync::{Barrier, Mutex, Promise};
use greenroom::{Cell, Client, Counter, Error};
use greenroom_sim::{
    Call, CounterCall, MutexCall, ObjectIndex, ObjectType, PromiseCall, QueueCall, RegisterCall, Reply,
};
use rand::Rng as _;
use rand::rngs::SmallRng;

use super::load::Objects;
use super::scribe::{Book, Scribe, ok, think};
use crate::cluster::Door;

/// How long each of them lives, on average.
const LIFE: Duration = Duration::from_secs(2);
/// Between two calls of a task, on average.
pub(super) const THINK: Duration = Duration::from_millis(25);
/// A call that may wait and does not wait for ever.
pub(super) const WAIT: Duration = Duration::from_millis(700);

pub(super) fn pick<'o, T>(objects: &'o Objects<T>, random: &mut SmallRng) -> &'o (ObjectIndex, T) {
    &objects[random.random_range(0..objects.len())]
}

pub(super) async fn get(scribe: &Scribe, index: ObjectIndex, counter: &Counter) -> Result<i64, Error> {
    let get = Call::Counter(CounterCall::Get);
    scribe.call(index, get, counter.get_async(), |r| ok(r, |value| Reply::Number(*value))).await
}

pub(super) async fn count(scribe: Scribe, counters: Objects<Counter>, mut random: SmallRng) {
    while !scribe.book.is_stopped() {
        think(&mut random, THINK).await;
        let (index, counter) = pick(&counters, &mut random);
        // What comes of a call is written down; here nothing depends on it.
        if random.random_bool(0.25) {
            let _ = get(&scribe, *index, counter).await;
        } else {
            let delta = random.random_range(1..1_000_000);
            let add = Call::Counter(CounterCall::Add(delta));
            let _ = scribe.call(*index, add, counter.add_async(delta), |r| ok(r, |sum| Reply::Number(*sum))).await;
        }
    }
}

pub(super) async fn exchange(scribe: Scribe, cells: Objects<Cell<i64>>, mut random: SmallRng) {
    let mut seen = 0;
    while !scribe.book.is_stopped() {
        think(&mut random, THINK).await;
        let (index, cell) = pick(&cells, &mut random);
        let new = scribe.book.fresh_value();
        let number = |r: &Result<i64, Error>| ok(r, |value| Reply::Number(*value));
        match random.random_range(0..4) {
            0 => {
                if let Ok(value) =
                    scribe.call(*index, Call::Register(RegisterCall::Read), cell.get_async(), number).await
                {
                    seen = value;
                }
            }
            1 => {
                let replace = Call::Register(RegisterCall::Replace(new));
                let _ = scribe.call(*index, replace, cell.replace_async(new), number).await;
            }
            _ => {
                // The value is read first most of the time, else hardly any exchange would succeed.
                let read = Call::Register(RegisterCall::Read);
                if random.random_bool(0.8)
                    && let Ok(value) = scribe.call(*index, read, cell.get_async(), number).await
                {
                    seen = value;
                }
                let call = Call::Register(RegisterCall::CompareExchange { current: seen, new });
                let exchanged = |r: &Result<Result<i64, i64>, Error>| ok(r, |outcome| Reply::Exchanged(*outcome));
                let _ = scribe.call(*index, call, cell.compare_exchange_async(&seen, new), exchanged).await;
            }
        }
    }
}

pub(super) async fn lock(scribe: Scribe, mutexes: Objects<Mutex<u64>>, mut random: SmallRng) {
    while !scribe.book.is_stopped() {
        think(&mut random, THINK).await;
        let (index, mutex) = pick(&mutexes, &mut random);
        let fence = |r: &Result<greenroom::sync::MutexGuard<u64>, Error>| ok(r, |guard| Reply::Fence(guard.fence().0));
        let take = Call::Mutex(MutexCall::Lock);
        let guard = match random.random_range(0..4) {
            0 => {
                let given = |r: &Result<Option<greenroom::sync::MutexGuard<u64>>, Error>| {
                    ok(r, |guard| guard.as_ref().map_or(Reply::Refused, |guard| Reply::Fence(guard.fence().0)))
                };
                let call = Call::Mutex(MutexCall::TryLock);
                scribe.call(*index, call, mutex.try_lock_async(), given).await.ok().flatten()
            }
            1 => scribe.call(*index, take, mutex.lock_timeout_async(WAIT), fence).await.ok(),
            _ => scribe.call(*index, take, mutex.lock_async(), fence).await.ok(),
        };
        if let Some(mut guard) = guard {
            *guard += 1;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..4))).await;
            let _ = unlock(&scribe, *index, guard).await;
        }
    }
}

/// Sessions one after the other, each of which ends while it holds a lock: somebody else must get that.
pub(super) async fn die_with_locks(mut scribe: Scribe, door: Door, mutexes: Objects<Mutex<u64>>, mut random: SmallRng) {
    while !scribe.book.is_stopped() {
        think(&mut random, LIFE).await;
        let Ok(client) = door.client().await else { continue };
        let (index, mutex) = pick(&mutexes, &mut random);
        let mutex = client.object(mutex.clone());
        let fence = |r: &Result<greenroom::sync::MutexGuard<u64>, Error>| ok(r, |guard| Reply::Fence(guard.fence().0));
        let call = Call::Mutex(MutexCall::Lock);
        let guard = scribe.call(*index, call, mutex.lock_timeout_async(WAIT * 4), fence).await;
        scribe.end_owner(*index);
        client.close().await;
        // A guard that is dropped would give the lock back.
        std::mem::forget(guard);
        scribe = Scribe::new(&scribe.book);
    }
}

pub(super) async fn unlock(
    scribe: &Scribe,
    index: ObjectIndex,
    guard: greenroom::sync::MutexGuard<u64>,
) -> Result<(), Error> {
    let call = Call::Mutex(MutexCall::Unlock(guard.fence().0));
    scribe
        .call(index, call, guard.unlock_async(), |unlocked| match unlocked {
            Ok(()) => Some(Reply::Done),
            Err(Error::Superseded { .. } | Error::ObjectLost { .. }) => Some(Reply::Refused),
            // The guard gives the lock back later.
            Err(_) => None,
        })
        .await
}

/// How often the lock was given back.
pub(super) async fn locked(scribe: &Scribe, index: ObjectIndex, mutex: &Mutex<u64>) -> Result<u64, Error> {
    let fence = |r: &Result<greenroom::sync::MutexGuard<u64>, Error>| ok(r, |guard| Reply::Fence(guard.fence().0));
    let guard = scribe.call(index, Call::Mutex(MutexCall::Lock), mutex.lock_async(), fence).await?;
    let value = *guard;
    unlock(scribe, index, guard).await?;
    Ok(value)
}

pub(super) async fn send(scribe: Scribe, index: ObjectIndex, sender: Sender<i64>, mut random: SmallRng) -> Sender<i64> {
    while !scribe.book.is_stopped() {
        think(&mut random, THINK).await;
        let value = scribe.book.fresh_value();
        if random.random_bool(0.3) {
            let call = Call::Queue(QueueCall::TrySend(value));
            let _ = scribe.call(index, call, sender.try_send_async(value), try_sent).await;
        } else {
            let call = Call::Queue(QueueCall::Send(value));
            let _ = scribe.call(index, call, sender.send_async(value), |r| ok(r, |()| Reply::Done)).await;
        }
    }
    sender
}

pub(super) fn try_sent(sent: &Result<(), Error<TrySendError<i64>>>) -> Option<Reply> {
    match sent {
        Ok(()) => Some(Reply::Done),
        Err(Error::Method(TrySendError::Full(_))) => Some(Reply::Refused),
        Err(_) => None,
    }
}

pub(super) async fn receive(scribe: Scribe, index: ObjectIndex, receiver: Receiver<i64>, mut random: SmallRng) {
    while !scribe.book.is_stopped() {
        think(&mut random, THINK).await;
        let (call, number) = (Call::Queue(QueueCall::Recv), |value: &i64| Reply::Number(*value));
        match random.random_range(0..5) {
            0 => {
                let call = Call::Queue(QueueCall::TryRecv);
                let _ = scribe.call(index, call, receiver.try_recv_async(), try_received).await;
            }
            1 => {
                let _ = scribe.call(index, call, receiver.recv_timeout_async(WAIT), |r| ok(r, number)).await;
            }
            _ => {
                let _ = scribe.call(index, call, receiver.recv_async(), |r| ok(r, number)).await;
            }
        }
    }
}

pub(super) fn try_received(received: &Result<i64, Error<TryRecvError>>) -> Option<Reply> {
    match received {
        Ok(value) => Some(Reply::Value(Some(*value))),
        Err(Error::Method(TryRecvError::Empty)) => Some(Reply::Value(None)),
        Err(_) => None,
    }
}

pub(super) async fn wait_at(scribe: Scribe, index: ObjectIndex, barrier: Barrier, mut random: SmallRng) {
    while !scribe.book.is_stopped() {
        think(&mut random, THINK).await;
        let timeout = random.random_bool(0.2).then_some(WAIT);
        wait_once(&scribe, index, &barrier, timeout).await;
    }
}

pub(super) async fn wait_once(scribe: &Scribe, index: ObjectIndex, barrier: &Barrier, timeout: Option<Duration>) {
    let wait = async {
        match timeout {
            Some(timeout) => barrier.wait_timeout_async(timeout).await,
            None => barrier.wait_async().await,
        }
    };
    let passed = |r: &Result<_, Error<greenroom::sync::Aborted>>| {
        ok(r, |through: &greenroom::sync::BarrierWaitResult| Reply::Passed {
            leader: through.is_leader(),
            generation: through.generation(),
        })
    };
    let _ = scribe.call(index, Call::BarrierWait, wait, passed).await;
}

/// One promise after the other: one waits for it, two set it.
pub(super) async fn promises(book: Arc<Book>, group: usize, sessions: Vec<Client>, mut random: SmallRng) {
    let scribes: Vec<Scribe> = sessions.iter().map(|_| Scribe::new(&book)).collect();
    for round in 0_u64.. {
        if book.is_stopped() {
            return;
        }
        let key = format!("promise {group}-{round}");
        let index = book.object(&key, ObjectType::Promise);
        let handle = |number: usize| sessions[number].object(Promise::<i64>::named(key.as_str()));
        let (waiter, awaited) = (scribes[0].clone(), handle(0));
        let waits = tokio::spawn(async move {
            let number = |r: &Result<i64, Error<_>>| ok(r, |value| Reply::Number(*value));
            let _ = waiter.call(index, Call::Promise(PromiseCall::Wait), awaited.get_async(), number).await;
        });
        think(&mut random, THINK * 4).await;
        let (one, other) = (handle(1), handle(2));
        tokio::join!(set(&scribes[1], index, &one), set(&scribes[2], index, &other));
        // A panic shows in the history, by a call that was never answered.
        let _ = waits.await;
    }
}

/// Sets the promise, or learns that it is set.
pub(super) async fn set(scribe: &Scribe, index: ObjectIndex, promise: &Promise<i64>) {
    loop {
        let value = scribe.book.fresh_value();
        let set = scribe.call(index, Call::Promise(PromiseCall::Set(value)), promise.set_async(value), |r| match r {
            Ok(()) => Some(Reply::Done),
            Err(Error::Method(_)) => Some(Reply::Refused),
            Err(_) => None,
        });
        if matches!(set.await, Ok(()) | Err(Error::Method(_))) {
            return;
        }
        tokio::time::sleep(THINK).await;
    }
}

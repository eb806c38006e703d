//! The load: many tasks in several sessions, each of which calls objects of one type.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use greenroom::sync::channel::{Channel, Receiver, Sender, TryRecvError, TrySendError};
use greenroom::sync::{Barrier, Mutex, Promise};
use greenroom::{Cell, Client, Counter, Error};
use greenroom_sim::{
    Call, CounterCall, MutexCall, ObjectIndex, ObjectType, PromiseCall, QueueCall, RegisterCall, Reply,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinHandle;

use super::scribe::{Book, Scribe, ok, think};
use crate::cluster::Door;

const COUNTERS: usize = 24;
const CELLS: usize = 12;
const MUTEXES: usize = 8;
const CHANNELS: usize = 8;
const BARRIERS: usize = 4;
const PROMISE_GROUPS: usize = 3;
/// Sessions that end with a lock, again and again.
const MORTALS: usize = 2;
/// How long each of them lives, on average.
const LIFE: Duration = Duration::from_secs(2);
/// Values that a channel holds; every other one is without a bound.
const CAPACITY: u64 = 4;
const PARTIES: usize = 3;
/// Tasks of each session that call counters, cells and locks.
const TASKS: [usize; 3] = [6, 4, 3];
/// Between two calls of a task, on average.
const THINK: Duration = Duration::from_millis(25);
/// A call that may wait and does not wait for ever.
const WAIT: Duration = Duration::from_millis(700);
/// How long the calls that are out when everything is healed may take.
const FINISH_WITHIN: Duration = Duration::from_secs(45);

type Objects<T> = Vec<(ObjectIndex, T)>;

/// The tasks, and what they call.
pub(crate) struct Load {
    book: Arc<Book>,
    sessions: Vec<Client>,
    tasks: Vec<(String, JoinHandle<()>)>,
    senders: Vec<(usize, JoinHandle<Sender<i64>>)>,
    receivers: Vec<(usize, JoinHandle<()>)>,
    parties: Vec<(usize, JoinHandle<()>)>,
    counters: Objects<Counter>,
    cells: Objects<Cell<i64>>,
    mutexes: Objects<Mutex<u64>>,
    channels: Objects<Channel<i64>>,
    barriers: Objects<Barrier>,
}

/// The objects after all calls have ended.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// Tasks whose call was never answered.
    pub(crate) forgotten: Vec<String>,
    pub(crate) counters: Vec<(ObjectIndex, i64)>,
    pub(crate) mutexes: Vec<(ObjectIndex, u64)>,
    pub(crate) channels: Vec<ObjectIndex>,
}

impl Load {
    /// Starts all tasks.
    pub(crate) async fn start(book: &Arc<Book>, sessions: Vec<Client>, door: &Door, seed: u64) -> anyhow::Result<Self> {
        let first = sessions.first().context("no session")?.clone();
        let mut load = Self {
            book: Arc::clone(book),
            tasks: Vec::new(),
            senders: Vec::new(),
            receivers: Vec::new(),
            parties: Vec::new(),
            counters: named(book, "counter", COUNTERS, ObjectType::Counter { initial: 0 }, |_, key| {
                first.object(Counter::named(key))
            }),
            cells: named(book, "cell", CELLS, ObjectType::Register { initial: 0 }, |_, key| {
                first.object(Cell::named(key, 0))
            }),
            mutexes: named(book, "mutex", MUTEXES, ObjectType::Mutex, |_, key| first.object(Mutex::named(key, 0))),
            channels: (0..CHANNELS)
                .map(|number| {
                    let key = format!("channel {number}");
                    let index = book.object(&key, ObjectType::Queue { capacity: capacity(number) });
                    (index, first.object(channel(number, key)))
                })
                .collect(),
            barriers: named(book, "barrier", BARRIERS, ObjectType::Barrier { parties: PARTIES as u64 }, |_, key| {
                first.object(Barrier::named(key, PARTIES))
            }),
            sessions,
        };
        let mut random = SmallRng::seed_from_u64(seed);
        for session in load.sessions.clone() {
            load.start_callers(&session, &mut random);
        }
        load.start_channels(&mut random).await?;
        for (number, (index, barrier)) in load.barriers.clone().into_iter().enumerate() {
            for party in 0..PARTIES {
                let barrier = load.session(party).object(barrier.clone());
                let task = wait_at(Scribe::new(book), index, barrier, fork(&mut random));
                load.parties.push((number, tokio::spawn(task)));
            }
        }
        for number in 0..MORTALS {
            let task = die_with_locks(Scribe::new(book), door.clone(), load.mutexes.clone(), fork(&mut random));
            load.spawn(format!("mortal {number}"), task);
        }
        for group in 0..PROMISE_GROUPS {
            let sessions = (0..3).map(|member| load.session(group + member)).collect();
            load.spawn(format!("promises {group}"), promises(Arc::clone(book), group, sessions, fork(&mut random)));
        }
        Ok(load)
    }

    fn start_callers(&mut self, session: &Client, random: &mut SmallRng) {
        let [on_counters, on_cells, on_mutexes] = TASKS;
        for number in 0..on_counters {
            let objects = through(session, &self.counters);
            let task = count(Scribe::new(&self.book), objects, fork(random));
            self.spawn(format!("counters {number}"), task);
        }
        for number in 0..on_cells {
            let task = exchange(Scribe::new(&self.book), through(session, &self.cells), fork(random));
            self.spawn(format!("cells {number}"), task);
        }
        for number in 0..on_mutexes {
            let task = lock(Scribe::new(&self.book), through(session, &self.mutexes), fork(random));
            self.spawn(format!("mutexes {number}"), task);
        }
    }

    async fn start_channels(&mut self, random: &mut SmallRng) -> anyhow::Result<()> {
        for (number, (index, channel)) in self.channels.clone().into_iter().enumerate() {
            for end in 0..2 {
                let sender = self.session(number + end).object(channel.clone()).sender_async().await?;
                let task = send(Scribe::new(&self.book), index, sender, fork(random));
                self.senders.push((number, tokio::spawn(task)));
                let receiver = self.session(number + end + 2).object(channel.clone()).receiver();
                let task = receive(Scribe::new(&self.book), index, receiver, fork(random));
                self.receivers.push((number, tokio::spawn(task)));
            }
        }
        Ok(())
    }

    fn session(&self, number: usize) -> Client {
        self.sessions[number % self.sessions.len()].clone()
    }

    fn spawn(&mut self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push((name, tokio::spawn(task)));
    }

    /// Lets all tasks end, sees that they do, and reads what the objects have become.
    pub(crate) async fn finish(mut self) -> anyhow::Result<Last> {
        self.book.stop();
        let deadline = Instant::now() + FINISH_WITHIN;
        let mut last = Last::default();
        for (name, task) in std::mem::take(&mut self.tasks) {
            if ended(task, deadline).await?.is_none() {
                last.forgotten.push(name);
            }
        }
        // Each kind has its own time, lest one that is forgotten makes the rest look so.
        self.finish_channels(&mut last).await?;
        self.finish_barriers(Instant::now() + FINISH_WITHIN, &mut last).await?;
        let scribe = Scribe::new(&self.book);
        for (index, counter) in &self.counters {
            last.counters.push((*index, get(&scribe, *index, counter).await?));
        }
        for (index, cell) in &self.cells {
            let read = RegisterCall::Read;
            let value = scribe.call(*index, Call::Register(read), cell.get_async(), |r| ok(r, |v| Reply::Number(*v)));
            value.await?;
        }
        for (index, mutex) in &self.mutexes {
            match tokio::time::timeout(WAIT * 10, locked(&scribe, *index, mutex)).await {
                Ok(value) => last.mutexes.push((*index, value?)),
                Err(_) => last.forgotten.push(format!("the lock of {}", mutex.object().key())),
            }
        }
        Ok(last)
    }

    /// Those who wait for room get some, and then those who wait for a value get one.
    async fn finish_channels(&mut self, last: &mut Last) -> anyhow::Result<()> {
        let senders = self.finish_senders(Instant::now() + FINISH_WITHIN, last).await?;
        let deadline = Instant::now() + FINISH_WITHIN;
        let scribe = Scribe::new(&self.book);
        for (number, (index, channel)) in self.channels.iter().enumerate() {
            let mut receivers: Vec<_> = self.receivers.extract_if(.., |(of, _)| *of == number).collect();
            while !receivers.is_empty() && Instant::now() < deadline {
                receivers.retain(|(_, task)| !task.is_finished());
                if let Some(sender) = senders[number].first()
                    && !receivers.is_empty()
                {
                    let value = self.book.fresh_value();
                    let send = Call::Queue(QueueCall::TrySend(value));
                    // A channel that is full has enough for them.
                    let _ = scribe.call(*index, send, sender.try_send_async(value), try_sent).await;
                    tokio::time::sleep(THINK).await;
                }
            }
            if !receivers.is_empty() {
                last.forgotten.push(format!("{} receivers of channel {number}", receivers.len()));
            }
            let receiver = channel.receiver();
            let take = || scribe.call(*index, Call::Queue(QueueCall::TryRecv), receiver.try_recv_async(), try_received);
            loop {
                match take().await {
                    Ok(_) => {}
                    Err(Error::Method(_)) => break,
                    Err(error) => return Err(error).context("a channel cannot be emptied"),
                }
            }
            last.channels.push(*index);
        }
        Ok(())
    }

    /// The senders of each channel, after their last call. The receivers may have ended before them, and have left a full channel.
    async fn finish_senders(&mut self, deadline: Instant, last: &mut Last) -> anyhow::Result<Vec<Vec<Sender<i64>>>> {
        let mut senders: Vec<Vec<Sender<i64>>> = (0..CHANNELS).map(|_| Vec::new()).collect();
        let scribe = Scribe::new(&self.book);
        while !self.senders.is_empty() && Instant::now() < deadline {
            for (number, task) in self.senders.extract_if(.., |(_, task)| task.is_finished()) {
                senders[number].push(task.await.context("a sender panicked")?);
            }
            for (number, _) in &self.senders {
                let (index, channel) = &self.channels[*number];
                let receiver = channel.receiver();
                let take = Call::Queue(QueueCall::TryRecv);
                // An empty channel has room.
                let _ = scribe.call(*index, take, receiver.try_recv_async(), try_received).await;
            }
            tokio::time::sleep(THINK).await;
        }
        for (number, task) in std::mem::take(&mut self.senders) {
            task.abort();
            last.forgotten.push(format!("a sender of channel {number}"));
        }
        Ok(senders)
    }

    /// Parties whose companions have ended get others.
    async fn finish_barriers(&mut self, deadline: Instant, last: &mut Last) -> anyhow::Result<()> {
        for (number, (index, barrier)) in self.barriers.iter().enumerate() {
            let mut parties: Vec<_> = self.parties.extract_if(.., |(of, _)| *of == number).collect();
            let helpers: Vec<Scribe> = (1..PARTIES).map(|_| Scribe::new(&self.book)).collect();
            while !parties.is_empty() && Instant::now() < deadline {
                parties.retain(|(_, task)| !task.is_finished());
                let waits = helpers.iter().map(|helper| {
                    let (helper, index, barrier) = (helper.clone(), *index, barrier.clone());
                    tokio::spawn(async move { wait_once(&helper, index, &barrier, Some(WAIT)).await })
                });
                for wait in waits.collect::<Vec<_>>() {
                    wait.await?;
                }
            }
            if !parties.is_empty() {
                last.forgotten.push(format!("{} parties of barrier {number}", parties.len()));
            }
        }
        Ok(())
    }
}

fn named<T>(
    book: &Book,
    kind: &str,
    count: usize,
    object_type: ObjectType,
    make: impl Fn(usize, String) -> T,
) -> Objects<T> {
    let one = |number| {
        let key = format!("{kind} {number}");
        (book.object(&key, object_type), make(number, key))
    };
    (0..count).map(one).collect()
}

fn capacity(number: usize) -> Option<u64> {
    number.is_multiple_of(2).then_some(CAPACITY)
}

fn channel(number: usize, key: String) -> Channel<i64> {
    match capacity(number) {
        Some(capacity) => Channel::bounded(key, usize::try_from(capacity).unwrap_or(usize::MAX)),
        None => Channel::unbounded(key),
    }
}

fn through<T: greenroom::ObjectHandle + Clone>(session: &Client, objects: &Objects<T>) -> Objects<T> {
    objects.iter().map(|(index, object)| (*index, session.object(object.clone()))).collect()
}

fn fork(random: &mut SmallRng) -> SmallRng {
    SmallRng::seed_from_u64(random.random())
}

fn pick<'o, T>(objects: &'o Objects<T>, random: &mut SmallRng) -> &'o (ObjectIndex, T) {
    &objects[random.random_range(0..objects.len())]
}

/// What the task returns, if it ends in time.
async fn ended<T>(mut task: JoinHandle<T>, deadline: Instant) -> anyhow::Result<Option<T>> {
    match tokio::time::timeout_at(deadline.into(), &mut task).await {
        Ok(ended) => Ok(Some(ended.context("a task of the load panicked")?)),
        Err(_) => {
            task.abort();
            Ok(None)
        }
    }
}

async fn get(scribe: &Scribe, index: ObjectIndex, counter: &Counter) -> Result<i64, Error> {
    let get = Call::Counter(CounterCall::Get);
    scribe.call(index, get, counter.get_async(), |r| ok(r, |value| Reply::Number(*value))).await
}

async fn count(scribe: Scribe, counters: Objects<Counter>, mut random: SmallRng) {
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

async fn exchange(scribe: Scribe, cells: Objects<Cell<i64>>, mut random: SmallRng) {
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

async fn lock(scribe: Scribe, mutexes: Objects<Mutex<u64>>, mut random: SmallRng) {
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
async fn die_with_locks(mut scribe: Scribe, door: Door, mutexes: Objects<Mutex<u64>>, mut random: SmallRng) {
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

async fn unlock(scribe: &Scribe, index: ObjectIndex, guard: greenroom::sync::MutexGuard<u64>) -> Result<(), Error> {
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
async fn locked(scribe: &Scribe, index: ObjectIndex, mutex: &Mutex<u64>) -> Result<u64, Error> {
    let fence = |r: &Result<greenroom::sync::MutexGuard<u64>, Error>| ok(r, |guard| Reply::Fence(guard.fence().0));
    let guard = scribe.call(index, Call::Mutex(MutexCall::Lock), mutex.lock_async(), fence).await?;
    let value = *guard;
    unlock(scribe, index, guard).await?;
    Ok(value)
}

async fn send(scribe: Scribe, index: ObjectIndex, sender: Sender<i64>, mut random: SmallRng) -> Sender<i64> {
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

fn try_sent(sent: &Result<(), Error<TrySendError<i64>>>) -> Option<Reply> {
    match sent {
        Ok(()) => Some(Reply::Done),
        Err(Error::Method(TrySendError::Full(_))) => Some(Reply::Refused),
        Err(_) => None,
    }
}

async fn receive(scribe: Scribe, index: ObjectIndex, receiver: Receiver<i64>, mut random: SmallRng) {
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

fn try_received(received: &Result<i64, Error<TryRecvError>>) -> Option<Reply> {
    match received {
        Ok(value) => Some(Reply::Value(Some(*value))),
        Err(Error::Method(TryRecvError::Empty)) => Some(Reply::Value(None)),
        Err(_) => None,
    }
}

async fn wait_at(scribe: Scribe, index: ObjectIndex, barrier: Barrier, mut random: SmallRng) {
    while !scribe.book.is_stopped() {
        think(&mut random, THINK).await;
        let timeout = random.random_bool(0.2).then_some(WAIT);
        wait_once(&scribe, index, &barrier, timeout).await;
    }
}

async fn wait_once(scribe: &Scribe, index: ObjectIndex, barrier: &Barrier, timeout: Option<Duration>) {
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
async fn promises(book: Arc<Book>, group: usize, sessions: Vec<Client>, mut random: SmallRng) {
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
async fn set(scribe: &Scribe, index: ObjectIndex, promise: &Promise<i64>) {
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

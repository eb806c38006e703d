//! The load: many tasks in several sessions, each of which calls objects of one type.

use std::future::Future;
use std::sync::Arc;

use anyhow::Context as _;
use greenroom::sync::channel::{Channel, Sender};
use greenroom::sync::{Barrier, Mutex};
use greenroom::{Cell, Client, Counter};
use greenroom_sim::{ObjectIndex, ObjectType};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinHandle;

use super::scribe::{Book, Scribe};
use super::tasks::{count, die_with_locks, exchange, lock, promises, receive, send, wait_at};
use crate::cluster::Door;

const COUNTERS: usize = 24;
const CELLS: usize = 12;
const MUTEXES: usize = 8;
pub(super) const CHANNELS: usize = 8;
const BARRIERS: usize = 4;
const PROMISE_GROUPS: usize = 3;
/// Sessions that end with a lock, again and again.
const MORTALS: usize = 2;
/// Values that a channel holds; every other one is without a bound.
const CAPACITY: u64 = 4;
pub(super) const PARTIES: usize = 3;
/// Tasks of each session that call counters, cells and locks.
const TASKS: [usize; 3] = [6, 4, 3];

pub(super) type Objects<T> = Vec<(ObjectIndex, T)>;

/// The tasks, and what they call.
pub(crate) struct Load {
    pub(super) book: Arc<Book>,
    pub(super) sessions: Vec<Client>,
    pub(super) tasks: Vec<(String, JoinHandle<()>)>,
    pub(super) senders: Vec<(usize, JoinHandle<Sender<i64>>)>,
    pub(super) receivers: Vec<(usize, JoinHandle<()>)>,
    pub(super) parties: Vec<(usize, JoinHandle<()>)>,
    pub(super) counters: Objects<Counter>,
    pub(super) cells: Objects<Cell<i64>>,
    pub(super) mutexes: Objects<Mutex<u64>>,
    pub(super) channels: Objects<Channel<i64>>,
    pub(super) barriers: Objects<Barrier>,
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

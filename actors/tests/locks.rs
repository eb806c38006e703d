//! What is locked and waited for, on the pure state machine, beside naive models that do all at once and know no waiters.
//!
//! The number of cases is `PROPTEST_CASES`, or 128 for each property.

extern crate greenroom_actors as greenroom;

mod common;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use common::{Bench, Request};
use greenroom::objects::{AcquireError, Locked, MutexObject, Permits, RwLockObject, SemaphoreObject};
use greenroom::{CallId, NotHeld, Object, WaiterId};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

const SESSIONS: u64 = 3;
const STEPS: usize = 60;

fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(128), ..ProptestConfig::default() }
}

fn request(object_type: &str, session: u64) -> Request<'static> {
    let request = match object_type {
        "Semaphore" => Request::made_with("o", &(3_u64,)),
        _ => Request::made_with("o", &(9_u64, Bytes::from_static(b"value"))),
    };
    request.by(session)
}

fn send<T: Object>(bench: &mut Bench, session: u64, method: &str, arguments: &impl Serialize) -> CallId {
    bench.send::<T, _>(&request(T::NAME, session), method, arguments)
}

/// A call that waits, or holds what it waited for, by its session.
type Calls = BTreeMap<CallId, u64>;

/// The `number`th of some calls, counted around.
fn pick(calls: impl IntoIterator<Item = CallId>, number: usize) -> Option<CallId> {
    let calls: Vec<_> = calls.into_iter().collect();
    (!calls.is_empty()).then(|| calls[number % calls.len()])
}

/// What happens to a lock that many, or one with a certain weight, can have.
#[derive(Clone, Debug)]
enum Step {
    /// That session waits for that weight.
    Ask(u64, usize),
    /// It asks, and does not wait.
    Try(u64, usize),
    /// The holder of that number gives back.
    GiveBack(usize),
    /// The caller of that number gives up, whether it waits or holds.
    GiveUp(usize),
    /// The session ends.
    End(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=SESSIONS, 0..3_usize).prop_map(|(session, weight)| Step::Ask(session, weight)),
        2 => (1..=SESSIONS, 0..3_usize).prop_map(|(session, weight)| Step::Try(session, weight)),
        4 => any::<usize>().prop_map(Step::GiveBack),
        3 => any::<usize>().prop_map(Step::GiveUp),
        1 => (1..=SESSIONS).prop_map(Step::End),
    ]
}

/// A lock that many, or one with a certain weight, can have; a semaphore is one, and so is a lock for readers and writers.
struct Weighed {
    capacity: u32,
    weights: [u32; 3],
    ask: fn(&mut Bench, u64, u32) -> CallId,
    try_ask: fn(&mut Bench, u64, u32) -> Option<(CallId, WaiterId)>,
    granted: fn(&mut Bench, CallId) -> WaiterId,
    give_back: fn(&mut Bench, WaiterId) -> Result<(), NotHeld>,
    give_up: fn(&mut Bench, CallId),
}

fn tried<R: DeserializeOwned, G>(bench: &mut Bench, call: CallId, grant: fn(R) -> Option<G>) -> Option<(CallId, G)> {
    grant(bench.value(call)).map(|grant| (call, grant))
}

const SEMAPHORE: Weighed = Weighed {
    capacity: 3,
    weights: [1, 2, 3],
    ask: |bench, session, weight| send::<SemaphoreObject>(bench, session, "acquire", &(weight,)),
    try_ask: |bench, session, weight| {
        let call = send::<SemaphoreObject>(bench, session, "try_acquire", &(weight,));
        tried(bench, call, |given: Result<Option<Permits>, AcquireError>| Some(given.expect("is open")?.grant))
    },
    granted: |bench, call| bench.value::<Result<Permits, AcquireError>>(call).expect("is open").grant,
    give_back: |bench, grant| {
        let call = send::<SemaphoreObject>(bench, 1, "release", &(grant,));
        bench.value(call)
    },
    give_up: |bench, call| bench.cancel::<SemaphoreObject>(call, "o"),
};

/// The weight of a writer, greater than that of all readers of a test together.
const WRITER: u32 = 1_000;

const RWLOCK: Weighed = Weighed {
    capacity: WRITER,
    weights: [1, 1, WRITER],
    ask: |bench, session, weight| {
        send::<RwLockObject>(bench, session, if weight == WRITER { "write" } else { "read" }, &())
    },
    try_ask: |bench, session, weight| {
        let method = if weight == WRITER { "try_write" } else { "try_read" };
        let call = send::<RwLockObject>(bench, session, method, &());
        tried(bench, call, |given: Option<Locked>| Some(given?.grant))
    },
    granted: |bench, call| bench.value::<Locked>(call).grant,
    give_back: |bench, grant| {
        let call = send::<RwLockObject>(bench, 1, "unlock", &(grant, None::<Bytes>));
        bench.value(call)
    },
    give_up: |bench, call| bench.cancel::<RwLockObject>(call, "o"),
};

/// Who waits and who holds, with their weights.
#[derive(Default)]
struct WeighedModel {
    sessions: Calls,
    queue: VecDeque<(CallId, u32)>,
    held: BTreeMap<CallId, (u32, WaiterId)>,
}

impl WeighedModel {
    fn free(&self, kind: &Weighed) -> u32 {
        kind.capacity - self.held.values().map(|(weight, _)| weight).sum::<u32>()
    }

    fn forget(&mut self, gone: impl Fn(&CallId, u64) -> bool) {
        let sessions = &self.sessions;
        let stays = |call: &CallId| !gone(call, sessions[call]);
        self.queue.retain(|(call, _)| stays(call));
        self.held.retain(|call, _| stays(call));
    }

    /// Those at the head of the queue who can, go on; and nobody else does.
    fn settle(&mut self, kind: &Weighed, bench: &mut Bench) {
        while let Some(&(call, weight)) = self.queue.front()
            && weight <= self.free(kind)
        {
            self.queue.pop_front();
            let grant = (kind.granted)(bench, call);
            self.held.insert(call, (weight, grant));
        }
        assert!(self.queue.iter().all(|(call, _)| bench.answer(*call).is_none()), "somebody was let in out of turn");
    }
}

fn play_weighed(kind: &Weighed, steps: Vec<Step>) {
    let mut bench = Bench::new();
    let mut model = WeighedModel::default();
    for step in steps {
        match step {
            Step::Ask(session, weight) => {
                let weight = kind.weights[weight];
                let call = (kind.ask)(&mut bench, session, weight);
                model.sessions.insert(call, session);
                model.queue.push_back((call, weight));
            }
            Step::Try(session, weight) => {
                let weight = kind.weights[weight];
                let tried = (kind.try_ask)(&mut bench, session, weight);
                assert_eq!(tried.is_some(), model.queue.is_empty() && weight <= model.free(kind));
                if let Some((call, grant)) = tried {
                    model.sessions.insert(call, session);
                    model.held.insert(call, (weight, grant));
                }
            }
            Step::GiveBack(number) => {
                let Some(call) = pick(model.held.keys().copied(), number) else { continue };
                let (_, grant) = model.held.remove(&call).expect("is held");
                assert_eq!((kind.give_back)(&mut bench, grant), Ok(()));
                assert_eq!((kind.give_back)(&mut bench, grant), Err(NotHeld { grant }));
            }
            Step::GiveUp(number) => {
                let waiting = model.queue.iter().map(|(call, _)| *call);
                let Some(call) = pick(waiting.chain(model.held.keys().copied()), number) else { continue };
                (kind.give_up)(&mut bench, call);
                bench.answer(call);
                model.forget(|other, _| *other == call);
            }
            Step::End(session) => {
                bench.end_session(session);
                model.forget(|_, owner| owner == session);
            }
        }
        model.settle(kind, &mut bench);
    }
}

/// What happens to a mutex with two conditions.
#[derive(Clone, Debug)]
enum MutexStep {
    Lock(u64),
    /// The holder unlocks.
    Unlock,
    /// The holder waits for the condition of that number.
    Wait(usize),
    NotifyOne(usize),
    NotifyAll(usize),
    GiveUp(usize),
    End(u64),
}

fn mutex_step() -> impl Strategy<Value = MutexStep> {
    prop_oneof![
        6 => (1..=SESSIONS).prop_map(MutexStep::Lock),
        3 => Just(MutexStep::Unlock),
        5 => (0..2_usize).prop_map(MutexStep::Wait),
        3 => (0..2_usize).prop_map(MutexStep::NotifyOne),
        1 => (0..2_usize).prop_map(MutexStep::NotifyAll),
        3 => any::<usize>().prop_map(MutexStep::GiveUp),
        1 => (1..=SESSIONS).prop_map(MutexStep::End),
    ]
}

/// Who holds, who waits for the lock, and who for a notification.
#[derive(Default)]
struct MutexModel {
    sessions: Calls,
    holder: Option<(CallId, WaiterId)>,
    queue: VecDeque<CallId>,
    conditions: [VecDeque<CallId>; 2],
    /// Who was chosen by `notify_one`, and by that of which condition.
    chosen: BTreeMap<CallId, usize>,
}

impl MutexModel {
    fn notify_one(&mut self, condition: usize) {
        if let Some(call) = self.conditions[condition].pop_front() {
            self.chosen.insert(call, condition);
            self.queue.push_back(call);
        }
    }

    /// Some calls end at once: each passes its notification on to one that is left.
    fn forget(&mut self, gone: &[CallId]) {
        let stays = |call: &CallId| !gone.contains(call);
        self.queue.retain(stays);
        self.conditions.iter_mut().for_each(|waiting| waiting.retain(stays));
        // The holder comes last: it is an owner's end that takes more than one.
        let holder = self.holder.map(|(call, _)| call).filter(|call| gone.contains(call));
        self.holder = self.holder.filter(|(call, _)| stays(call));
        for call in gone.iter().filter(|call| Some(**call) != holder).chain(&holder) {
            if let Some(condition) = self.chosen.remove(call) {
                self.notify_one(condition);
            }
        }
    }

    fn settle(&mut self, bench: &mut Bench) {
        if self.holder.is_none()
            && let Some(call) = self.queue.pop_front()
        {
            let locked = bench.value::<Result<Locked, NotHeld>>(call).expect("is never refused");
            self.holder = Some((call, locked.grant));
        }
        let waiting = self.queue.iter().chain(self.conditions.iter().flatten());
        for call in waiting {
            assert!(bench.answer(*call).is_none(), "somebody was let in out of turn");
        }
    }
}

fn play_mutex(steps: Vec<MutexStep>) {
    const NAMES: [&str; 2] = ["not_empty", "not_full"];
    let mut bench = Bench::new();
    let mut model = MutexModel::default();
    for step in steps {
        match step {
            MutexStep::Lock(session) => {
                let call = send::<MutexObject>(&mut bench, session, "lock", &());
                model.sessions.insert(call, session);
                model.queue.push_back(call);
            }
            MutexStep::Unlock => {
                let Some((holder, grant)) = model.holder.take() else { continue };
                let unlock = send::<MutexObject>(&mut bench, 1, "unlock", &(grant, None::<Bytes>));
                assert_eq!(bench.value::<Result<(), NotHeld>>(unlock), Ok(()));
                model.chosen.remove(&holder);
            }
            MutexStep::Wait(condition) => {
                let Some((holder, grant)) = model.holder.take() else { continue };
                let session = model.sessions[&holder];
                let arguments = (grant, None::<Bytes>, NAMES[condition]);
                let call = send::<MutexObject>(&mut bench, session, "wait", &arguments);
                model.chosen.remove(&holder);
                model.sessions.insert(call, session);
                model.conditions[condition].push_back(call);
                let again = send::<MutexObject>(&mut bench, session, "wait", &arguments);
                assert_eq!(bench.value::<Result<Locked, NotHeld>>(again), Err(NotHeld { grant }));
            }
            MutexStep::NotifyOne(condition) => {
                send::<MutexObject>(&mut bench, 1, "notify_one", &(NAMES[condition],));
                model.notify_one(condition);
            }
            MutexStep::NotifyAll(condition) => {
                send::<MutexObject>(&mut bench, 1, "notify_all", &(NAMES[condition],));
                let all = std::mem::take(&mut model.conditions[condition]);
                model.queue.extend(all);
            }
            MutexStep::GiveUp(number) => {
                let waiting = model.queue.iter().chain(model.conditions.iter().flatten()).copied();
                let holder = model.holder.map(|(call, _)| call);
                let Some(call) = pick(waiting.chain(holder), number) else { continue };
                bench.cancel::<MutexObject>(call, "o");
                bench.answer(call);
                model.forget(&[call]);
            }
            MutexStep::End(session) => {
                bench.end_session(session);
                let of_session = model.sessions.iter().filter(|(_, owner)| **owner == session);
                let mut gone: Vec<CallId> = of_session.map(|(call, _)| *call).collect();
                // In the order in which they were made.
                gone.sort_by_key(|call| call.lane);
                model.forget(&gone);
            }
        }
        model.settle(&mut bench);
    }
}

#[test]
fn waits_and_notifications_leave_nothing_behind() {
    let mut bench = Bench::new();
    let granted =
        |bench: &mut Bench, call| bench.value::<Result<Locked, NotHeld>>(call).expect("is never refused").grant;
    for round in 0..1_000 {
        let name = format!("condition {round}");
        let lock = send::<MutexObject>(&mut bench, 1, "lock", &());
        let grant = granted(&mut bench, lock);
        let wait = send::<MutexObject>(&mut bench, 1, "wait", &(grant, None::<Bytes>, &name));
        if round % 2 == 0 {
            bench.cancel::<MutexObject>(wait, "o");
            continue;
        }
        send::<MutexObject>(&mut bench, 1, "notify_one", &(&name,));
        let grant = granted(&mut bench, wait);
        send::<MutexObject>(&mut bench, 1, "unlock", &(grant, None::<Bytes>));
    }
    let objects = bench.slot.objects();
    let sizes = objects.iter().map(|(_, entry)| entry.instance().borrow().encoded_state().expect("encodes").len());
    assert!(sizes.max().is_some_and(|bytes| bytes < 100));
}

#[test]
fn who_does_not_know_of_its_downgrade_gives_the_lock_back_all_the_same() {
    let mut bench = Bench::new();
    let write = send::<RwLockObject>(&mut bench, 1, "write", &());
    let grant = bench.value::<Locked>(write).grant;
    let give = |bench: &mut Bench, method, value: &'static [u8]| -> Result<(), NotHeld> {
        let call = send::<RwLockObject>(bench, 1, method, &(grant, Some(Bytes::from_static(value))));
        bench.value(call)
    };
    assert_eq!(give(&mut bench, "downgrade", b"written"), Ok(()));
    assert_eq!(give(&mut bench, "downgrade", b"by a reader"), Err(NotHeld { grant }));
    assert_eq!(give(&mut bench, "unlock", b"by a reader"), Ok(()));
    assert_eq!(give(&mut bench, "unlock", b"by nobody"), Err(NotHeld { grant }));
    let next = send::<RwLockObject>(&mut bench, 2, "try_write", &());
    assert_eq!(bench.value::<Option<Locked>>(next).expect("is free").value, "written");
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_semaphore_gives_what_its_model_gives(steps in vec(step(), 0..STEPS)) {
        play_weighed(&SEMAPHORE, steps);
    }

    #[test]
    fn a_lock_for_readers_and_writers_lets_in_whom_its_model_lets_in(steps in vec(step(), 0..STEPS)) {
        play_weighed(&RWLOCK, steps);
    }

    #[test]
    fn a_mutex_and_its_conditions_let_go_on_whom_their_model_lets_go_on(steps in vec(mutex_step(), 0..STEPS)) {
        play_mutex(steps);
    }
}

//! Panics in methods, guards and hooks: an object that is saved before each write and one that is rebuilt from a checkpoint tell
//! the same story, whatever panics and however the entries are batched.

extern crate greenroom_actors as greenroom;

mod common;

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};

use common::{Bench, Request};
use greenroom::{CallId, Fault, Lane, Object, Owner, Sequence, SessionId, Turn, Waiter, WaiterId};
use greenroom_macros::object;
use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer};

/// An object in whose methods, guards and hooks lie mines.
#[object]
#[derive(Debug, Serialize, Deserialize)]
struct Minefield {
    /// Makes the object large.
    padding: Vec<u8>,
    tokens: u64,
    log: Vec<u64>,
    waiting: VecDeque<Waiter<u64>>,
    mines: BTreeSet<u64>,
    steps: u64,
}

impl Minefield {
    fn tread(&mut self) {
        self.steps += 1;
        if self.mines.remove(&(self.steps % 7)) {
            self.log.push(999);
            panic!("a mine at step {}", self.steps);
        }
    }
}

#[object]
impl Minefield {
    pub fn new(padding: u64) -> Self {
        let (log, waiting, mines) = (Vec::new(), VecDeque::new(), BTreeSet::new());
        Self { padding: vec![1; usize::try_from(padding).unwrap_or(0)], tokens: 0, log, waiting, mines, steps: 0 }
    }

    pub fn lay(&mut self, number: u64) {
        self.mines.insert(number % 7);
        if self.log.len() > 20 {
            self.log.clear();
        }
    }

    pub fn wake_and_panic(&mut self, number: u64) {
        for waiter in self.waiting.drain(..) {
            waiter.reply(number);
        }
        self.tokens += 5;
        panic!("as it was told");
    }

    pub fn put(&mut self, number: u64) -> u64 {
        self.tokens += number;
        self.log.push(number);
        self.tread();
        self.tokens
    }

    #[when(self.tokens >= number)]
    pub fn take(&mut self, number: u64) -> u64 {
        self.tokens -= number;
        self.tread();
        self.log.push(100 + number);
        self.tokens
    }

    pub fn wait(&mut self, number: u64, waiter: Waiter<u64>) {
        self.waiting.push_back(waiter);
        self.log.push(number);
        self.tread();
    }

    pub fn wake(&mut self, number: u64) {
        for round in 0..number {
            if let Some(waiter) = self.waiting.pop_front() {
                waiter.reply(self.tokens + round);
            }
            if round == 1 {
                self.tread();
            }
        }
    }

    fn grant_cancelled(&mut self, _grant: WaiterId, turn: &mut Turn) {
        self.log.push(turn.granted::<u64>("put").unwrap_or(77));
        self.tread();
    }

    fn owner_gone(&mut self, _owner: Owner) {
        self.tokens += 1;
        self.tread();
    }

    fn waiter_gone(&mut self, _waiter: WaiterId) {
        self.tokens += 1;
        if let Some(waiter) = self.waiting.pop_front() {
            waiter.reply(500);
        }
        self.tread();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Call { session: u64, method: u16, number: u64, timeout_ms: Option<u64> },
    GiveUp(usize),
    End(u64),
    Pass(u64),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let methods = 0..u16::try_from(Minefield::TYPE.methods.len()).expect("is small");
    let call = (1..4_u64, methods, 0..8_u64, proptest::option::weighted(0.25, 1..30_u64));
    prop_oneof![
        12 => call.prop_map(|(session, method, number, timeout_ms)| Step::Call { session, method, number, timeout_ms }),
        2 => (0..100_usize).prop_map(Step::GiveUp),
        1 => (1..4_u64).prop_map(Step::End),
        1 => (0..20_u64).prop_map(Step::Pass),
        5 => Just(Step::Settle),
    ]
}

/// Plays the steps; returns all answers in their order, the state in the end, and how many calls panicked.
fn play(steps: &[Step], padding: u64, in_runs: bool) -> (Vec<String>, String, usize) {
    let mut bench = Bench::new();
    bench.in_runs = in_runs;
    let mut calls: Vec<CallId> = Vec::new();
    for (lane, step) in (0..).zip(steps) {
        match *step {
            Step::Call { session, method, number, timeout_ms } => {
                let call = CallId { session: SessionId(session), lane: Lane(lane), sequence: Sequence(1) };
                let mut request = Request::made_with("m", &(padding,)).by(session);
                request.deadline_ms = timeout_ms.map(|timeout_ms| bench.now_ms + timeout_ms);
                let arguments = postcard::to_allocvec(&(number,)).expect("encodes");
                bench.send_number::<Minefield>(call, &request, method, arguments.into());
                calls.push(call);
            }
            Step::GiveUp(which) => {
                if let Some(&call) = calls.get(which % calls.len().max(1)) {
                    bench.order_cancel::<Minefield>(call, "m");
                }
            }
            Step::End(session) => bench.end_session(session),
            Step::Pass(time_ms) => bench.advance(bench.now_ms + time_ms),
            Step::Settle => bench.settle(),
        }
    }
    bench.settle();
    let mut answers = Vec::new();
    let mut n_panics = 0;
    for &call in &calls {
        while let Some(answer) = bench.answer(call) {
            n_panics += usize::from(matches!(answer.result, Err(Fault::Panicked { .. })));
            answers.push(format!("{call} {answer:?}"));
        }
    }
    let state = bench.slot.objects().iter().next().map_or_else(String::new, |(_, entry)| {
        let instance = entry.instance().borrow();
        let encoded = instance.encoded_state().unwrap_or_default();
        let state = postcard::from_bytes::<Minefield>(&encoded).map(|state| Minefield { padding: Vec::new(), ..state });
        format!("{state:?} {:?}", instance.parked())
    });
    (answers, state, n_panics)
}

/// The tests' own panics are not shown.
fn quietly() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        if !text.contains("a mine at step") && !text.contains("as it was told") {
            eprintln!("{text}");
        }
    }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_large_object_bears_panics_as_a_small_one_does(steps in proptest::collection::vec(step(), 1..120)) {
        quietly();
        let small = play(&steps, 0, false);
        for (padding, in_runs) in [(0, true), (2_000, false), (2_000, true)] {
            prop_assert_eq!(&play(&steps, padding, in_runs), &small, "padding {}, in runs: {}", padding, in_runs);
        }
    }
}

#[test]
fn the_stories_have_panics() {
    quietly();
    let put = |number| Step::Call { session: 1, method: 2, number, timeout_ms: None };
    let lay = Step::Call { session: 1, method: 0, number: 2, timeout_ms: None };
    // The mine is not gone: what its panic did is undone.
    assert_eq!(play(&[lay, put(1), put(2), put(3)], 2_000, true).2, 2);
}

thread_local! {
    static PASSES: Cell<u32> = const { Cell::new(0) };
}

/// Counts how often somebody goes through its state.
#[object]
#[derive(Debug, Serialize, Deserialize)]
struct Walked {
    #[serde(serialize_with = "walk")]
    bytes: Vec<u8>,
    n_calls: u64,
}

fn walk<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    PASSES.set(PASSES.get() + 1);
    bytes.serialize(serializer)
}

#[object]
impl Walked {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, n_calls: 0 }
    }

    pub fn count(&mut self) -> u64 {
        self.n_calls += 1;
        self.n_calls
    }

    pub fn fail(&mut self) {
        self.n_calls += 100;
        panic!("as it was told");
    }
}

#[test]
fn a_large_object_is_encoded_once_when_it_is_made_and_after_it_has_rested() {
    let mut bench = Bench::new();
    let made = Request::made_with("w", &(vec![7_u8; 10_000],));
    let passes = |bench: &mut Bench, method: &str| {
        let before = PASSES.get();
        let call = bench.send::<Walked, _>(&made, method, &());
        bench.settle();
        (bench.answer(call).expect("answered").result, PASSES.get() - before)
    };
    assert_eq!(passes(&mut bench, "count").1, 2, "it is measured and encoded");
    assert_eq!(passes(&mut bench, "count").1, 0);
    bench.slot.objects().iter().for_each(|(_, entry)| entry.instance().borrow_mut().rest());
    assert_eq!(passes(&mut bench, "count").1, 1);
    assert!(matches!(passes(&mut bench, "fail"), (Err(Fault::Panicked { .. }), 0)));
    let counted = postcard::to_allocvec(&4_u64).expect("encodes");
    assert_eq!(passes(&mut bench, "count"), (Ok(counted.into()), 0), "the one that panicked is undone");
    let measured = bench.slot.objects().iter().map(|(_, entry)| entry.instance().borrow_mut().state_bytes());
    assert_eq!(measured.collect::<Vec<_>>(), [Some(2 + 10_000 + 1)]);
}

//! What the core promises of every object: order, exactly once, parking, guards, panics, nested calls.

extern crate greenroom_actors as greenroom;

mod common;

use std::fmt;

use bytes::Bytes;
use common::{Bench, Request};
use greenroom::objects::{BarrierObject, CounterObject, CounterObjectHandle};
use greenroom::{CallId, Error, Fault, Lane, Limits, Refusal, Sequence, SessionId, Turn, Waiter, system};
use greenroom_macros::object;
use serde::{Deserialize, Serialize};

/// A type with every kind of method.
#[object]
#[derive(Debug, Default, Serialize, Deserialize)]
struct Probe {
    items: Vec<u64>,
    blob: Vec<u8>,
    waiting: Vec<Waiter<u64>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Refused(u64);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is refused", self.0)
    }
}

#[object]
impl Probe {
    pub fn push(&mut self, item: u64) -> u64 {
        self.items.push(item);
        self.items.len() as u64
    }

    /// Changes the state, and then fails: what it changed stays.
    pub fn push_and_fail(&mut self, item: u64) -> Result<(), Refused> {
        self.items.push(item);
        Err(Refused(item))
    }

    /// Changes the state, and then panics: nothing stays.
    pub fn push_and_panic(&mut self, item: u64) {
        self.items.push(item);
        for waiter in self.waiting.drain(..) {
            waiter.reply(item);
        }
        panic!("item {item} is bad");
    }

    #[when(!self.items.is_empty())]
    pub fn pop(&mut self) -> u64 {
        self.items.remove(0)
    }

    #[when(self.items.len() as u64 >= count)]
    pub fn pop_many(&mut self, count: u64) -> Vec<u64> {
        let count = usize::try_from(count).expect("fits");
        self.items.drain(..count).collect()
    }

    #[when(self.items.contains(&666))]
    pub fn pop_and_panic(&mut self) -> u64 {
        self.items.clear();
        panic!("it was in the queue")
    }

    pub fn items(&self) -> Vec<u64> {
        self.items.clone()
    }

    pub fn grow(&mut self, bytes: u64) {
        self.blob = vec![1; usize::try_from(bytes).expect("fits")];
    }

    pub fn park(&mut self, waiter: Waiter<u64>) {
        self.waiting.push(waiter);
    }

    pub fn wake(&mut self, value: u64) {
        for waiter in self.waiting.drain(..) {
            waiter.reply(value);
        }
    }

    pub fn drop_waiters(&mut self) {
        self.waiting.clear();
    }

    pub fn stamp(&mut self, turn: &mut Turn) -> (u64, u64, u64) {
        (turn.now_ms(), turn.random(), turn.random())
    }

    /// Adds to a counter, and answers with its new value.
    pub fn relay(&mut self, to: CounterObjectHandle, waiter: Waiter<u64>, turn: &mut Turn) {
        turn.call(to.message().add(5), Self::then_relayed.with((waiter,)));
    }

    pub fn relay_to_probe(&mut self, to: ProbeHandle, waiter: Waiter<String>, turn: &mut Turn) {
        let back = Self::named("a");
        turn.call(to.message().push_via(back), Self::then_pushed.with((waiter,)));
    }

    pub fn push_via(&mut self, to: ProbeHandle, waiter: Waiter<u64>, turn: &mut Turn) {
        turn.call(to.message().push(1), Self::then_pushed_via.with((waiter,)));
    }

    /// What one must not do.
    pub fn call_directly(&mut self, to: CounterObjectHandle) -> String {
        to.add(1).map_or_else(|error| error.to_string(), |value| value.to_string())
    }

    /// Calls a counter, and panics over the reply.
    pub fn relay_and_panic(&mut self, to: CounterObjectHandle, waiter: Waiter<u64>, turn: &mut Turn) {
        turn.call(to.message().add(1), Self::then_panicked.with((waiter,)));
    }

    fn then_panicked(&mut self, _reply: Result<i64, Error>, _waiter: Waiter<u64>) {
        panic!("the reply was bad");
    }

    fn then_relayed(&mut self, reply: Result<i64, Error>, waiter: Waiter<u64>) {
        waiter.reply(u64::try_from(reply.unwrap_or(-1)).unwrap_or(u64::MAX));
    }

    fn then_pushed(&mut self, reply: Result<u64, Error>, waiter: Waiter<String>) {
        waiter.reply(reply.map_or_else(|error| error.to_string(), |length| length.to_string()));
    }

    fn then_pushed_via(&mut self, reply: Result<u64, Error>, waiter: Waiter<u64>) {
        self.items.push(if reply.is_err() { 404 } else { 200 });
        waiter.reply(reply.unwrap_or(0));
    }
}

fn items(bench: &mut Bench, key: &str) -> Vec<u64> {
    bench.call::<Probe, _, Vec<u64>>(key, "items", &())
}

#[test]
fn a_retry_is_answered_and_not_run_again() {
    let mut bench = Bench::new();
    let call = bench.send::<Probe, _>(&Request::of("a"), "push", &(7_u64,));
    assert_eq!(bench.value::<u64>(call), 1);
    bench.send_as::<Probe, _>(call, &Request::of("a"), "push", &(7_u64,));
    assert_eq!(bench.value::<u64>(call), 1);
    assert_eq!(items(&mut bench, "a"), [7]);
    let later = CallId { sequence: Sequence(2), ..call };
    bench.send_as::<Probe, _>(later, &Request::of("a"), "push", &(8_u64,));
    bench.send_as::<Probe, _>(call, &Request::of("a"), "push", &(7_u64,));
    assert_eq!(bench.fault(call), Fault::Refused(Refusal::Stale));
    assert_eq!(items(&mut bench, "a"), [7, 8]);
}

#[test]
fn a_retry_of_a_parked_call_finds_its_place() {
    let mut bench = Bench::new();
    let parked = bench.send::<Probe, _>(&Request::of("a"), "park", &());
    bench.send_as::<Probe, _>(parked, &Request::of("a"), "park", &());
    assert!(bench.answer(parked).is_none());
    bench.call::<Probe, _, ()>("a", "wake", &(3_u64,));
    assert_eq!(bench.value::<u64>(parked), 3);
    assert!(bench.answer(parked).is_none(), "it was parked once");
}

#[test]
fn deleting_an_object_forgets_no_reply() {
    let mut bench = Bench::new();
    let call = bench.send::<Probe, _>(&Request::of("a"), "push", &(7_u64,));
    bench.value::<u64>(call);
    delete(&mut bench);
    bench.send_as::<Probe, _>(call, &Request::of("a"), "push", &(7_u64,));
    assert_eq!(bench.value::<u64>(call), 1, "the first answer again");
    assert_eq!(items(&mut bench, "a"), Vec::<u64>::new());
}

fn delete(bench: &mut Bench) {
    let call = CallId { session: SessionId(77), lane: Lane(1_000), sequence: Sequence(1) };
    bench.send_number::<Probe>(call, &Request::of("a"), system::DELETE, Bytes::new());
    bench.settle();
}

#[test]
fn waiters_of_a_deleted_object_learn_that_it_is_gone() {
    let mut bench = Bench::new();
    let parked = bench.send::<Probe, _>(&Request::of("a"), "park", &());
    let guarded = bench.send::<Probe, _>(&Request::of("a"), "pop", &());
    delete(&mut bench);
    assert_eq!(bench.fault(parked), Fault::ObjectLost);
    assert_eq!(bench.fault(guarded), Fault::ObjectLost);
}

#[test]
fn a_query_kills_a_call_that_was_never_applied() {
    let mut bench = Bench::new();
    let call = CallId { session: SessionId(1), lane: Lane(50), sequence: Sequence(1) };
    bench.query(call);
    assert!(!bench.answer(call).expect("answered").applied);
    bench.send_as::<Probe, _>(call, &Request::of("a"), "push", &(7_u64,));
    assert!(bench.answer(call).expect("answered").result.is_err());
    assert_eq!(items(&mut bench, "a"), Vec::<u64>::new());
}

#[test]
fn what_became_of_a_call_is_known_for_a_while_after_its_session() {
    const ENDED_FOR_MS: u64 = 60_000;
    let mut bench = Bench::new();
    let by = |lane: u32| CallId { session: SessionId(1), lane: Lane(lane), sequence: Sequence(1) };
    bench.send_as::<Probe, _>(by(50), &Request::of("a"), "push", &(7_u64,));
    bench.end_session(1);
    bench.answer(by(50)).expect("answered, and the answer is lost");
    assert_eq!(bench.query_late(by(50)), Ok(()));
    assert!(bench.answer(by(50)).expect("answered").applied);
    assert_eq!(bench.query_late(by(51)), Ok(()), "it never came");
    assert_eq!(bench.fault(by(51)), Fault::Refused(Refusal::Expired));
    bench.send_as::<Probe, _>(by(51), &Request::of("a"), "push", &(8_u64,));
    bench.fault(by(51));
    assert_eq!(items(&mut bench, "a"), [7]);
    let unknown = CallId { session: SessionId(3), lane: Lane(50), sequence: Sequence(1) };
    assert_eq!(bench.query_late(unknown), Err(Refusal::SessionEnded), "nobody knows");
    bench.advance(bench.now().ms + 2 * ENDED_FOR_MS + 1);
    bench.trim();
    assert_eq!(bench.query_late(by(50)), Err(Refusal::SessionEnded), "it is forgotten");
}

#[test]
fn a_cancel_that_overtakes_its_call_kills_it() {
    let mut bench = Bench::new();
    let call = CallId { session: SessionId(1), lane: Lane(50), sequence: Sequence(1) };
    bench.cancel::<Probe>(call, "a");
    assert_eq!(bench.fault(call), Fault::Cancelled);
    bench.send_as::<Probe, _>(call, &Request::of("a"), "park", &());
    assert_eq!(bench.fault(call), Fault::Cancelled, "it is not parked when it comes");
}

#[test]
fn an_object_is_made_anew_only_if_that_succeeds() {
    let mut bench = Bench::new();
    let mut force = |key: &'static str, parties: u32, lane: u32| {
        let call = CallId { session: SessionId(9), lane: Lane(lane), sequence: Sequence(1) };
        bench.send_number::<BarrierObject>(
            call,
            &Request::made_with(key, &(parties,)),
            system::FORCE_NEW,
            Bytes::new(),
        );
        bench.settle();
        let made = bench.answer(call).expect("answered").result;
        let parties: CallId = bench.send::<BarrierObject, _>(&Request::of(key), "parties", &());
        (made, bench.value::<u32>(parties))
    };
    assert_eq!(force("gate", 3, 1).1, 3);
    assert_eq!(force("gate", 4, 2), (Ok(Bytes::new()), 4));
    let (made, parties) = force("gate", 0, 3);
    assert!(matches!(made, Err(Fault::Refused(Refusal::Constructor(_)))));
    assert_eq!(parties, 4, "the old one is still there");
}

#[test]
fn an_error_keeps_what_the_method_changed() {
    let mut bench = Bench::new();
    let call = bench.send::<Probe, _>(&Request::of("a"), "push_and_fail", &(4_u64,));
    assert_eq!(bench.value::<Result<(), Refused>>(call), Err(Refused(4)));
    assert_eq!(items(&mut bench, "a"), [4]);
}

/// The same story for an object that is saved before each write, and for one that is rebuilt from a checkpoint.
fn panic_story(blob_bytes: u64) {
    let mut bench = Bench::new();
    bench.call::<Probe, _, ()>("a", "grow", &(blob_bytes,));
    bench.call::<Probe, _, u64>("a", "push", &(1_u64,));
    let parked = bench.send::<Probe, _>(&Request::of("a"), "park", &());
    let guarded = bench.send::<Probe, _>(&Request::of("a").by(2), "pop_and_panic", &());

    let bad = bench.send::<Probe, _>(&Request::of("a"), "push_and_panic", &(2_u64,));
    assert_eq!(bench.fault(bad), Fault::Panicked { method: "push_and_panic".into(), message: "item 2 is bad".into() });
    bench.send_as::<Probe, _>(bad, &Request::of("a"), "push_and_panic", &(2_u64,));
    assert!(matches!(bench.fault(bad), Fault::Panicked { .. }), "a retry is told the same");
    assert_eq!(items(&mut bench, "a"), [1]);
    assert!(bench.answer(parked).is_none(), "what the panicked call answered was taken back");

    // This sets a guarded call free, which panics in its turn: the call that set it free stands.
    let push = bench.send::<Probe, _>(&Request::of("a"), "push", &(666_u64,));
    assert_eq!(bench.value::<u64>(push), 2);
    assert!(matches!(bench.fault(guarded), Fault::Panicked { .. }));
    assert_eq!(items(&mut bench, "a"), [1, 666]);
    for item in 0..600 {
        bench.call::<Probe, _, u64>("a", "push", &(item,));
    }
    let bad = bench.send::<Probe, _>(&Request::of("a"), "push_and_panic", &(3_u64,));
    assert!(matches!(bench.fault(bad), Fault::Panicked { .. }));
    assert_eq!(items(&mut bench, "a").len(), 602);

    bench.call::<Probe, _, ()>("a", "wake", &(9_u64,));
    assert_eq!(bench.value::<u64>(parked), 9);
}

#[test]
fn a_panic_leaves_a_small_object_as_it_was() {
    panic_story(0);
}

#[test]
fn a_panic_leaves_a_large_object_as_it_was() {
    panic_story(100_000);
}

#[test]
fn guarded_calls_go_in_order_and_newcomers_never_overtake() {
    let mut bench = Bench::new();
    let large = bench.send::<Probe, _>(&Request::of("a"), "pop_many", &(3_u64,));
    let small = bench.send::<Probe, _>(&Request::of("a"), "pop_many", &(1_u64,));
    bench.call::<Probe, _, u64>("a", "push", &(1_u64,));
    assert!(bench.answer(small).is_none(), "the head of the queue wants three");
    bench.call::<Probe, _, u64>("a", "push", &(2_u64,));
    bench.call::<Probe, _, u64>("a", "push", &(3_u64,));
    assert_eq!(bench.value::<Vec<u64>>(large), [1, 2, 3]);
    bench.call::<Probe, _, u64>("a", "push", &(4_u64,));
    assert_eq!(bench.value::<Vec<u64>>(small), [4]);
}

#[test]
fn a_guarded_head_that_gives_up_lets_the_next_go() {
    let mut bench = Bench::new();
    let large = bench.send::<Probe, _>(&Request::of("a").until(2_000), "pop_many", &(3_u64,));
    let small = bench.send::<Probe, _>(&Request::of("a"), "pop_many", &(1_u64,));
    bench.call::<Probe, _, u64>("a", "push", &(1_u64,));
    bench.advance(2_000);
    assert_eq!(bench.fault(large), Fault::TimedOut);
    assert_eq!(bench.value::<Vec<u64>>(small), [1]);
}

#[test]
fn a_dropped_waiter_answers_abandoned() {
    let mut bench = Bench::new();
    let parked = bench.send::<Probe, _>(&Request::of("a"), "park", &());
    bench.call::<Probe, _, ()>("a", "drop_waiters", &());
    assert_eq!(bench.fault(parked), Fault::Abandoned);
}

#[test]
fn time_never_goes_back_and_randomness_is_the_seeds() {
    let mut bench = Bench::new();
    let first: (u64, u64, u64) = bench.call::<Probe, _, _>("a", "stamp", &());
    bench.now_ms = 10;
    let second: (u64, u64, u64) = bench.call::<Probe, _, _>("a", "stamp", &());
    assert_eq!((first.0, second.0), (1_000, 1_000));
    assert!(first.1 != first.2 && first.1 != second.1);
    let again: (u64, u64, u64) = Bench::new().call::<Probe, _, _>("a", "stamp", &());
    assert_eq!(first, again);
}

#[test]
fn arguments_of_another_shape_are_refused_and_change_nothing() {
    let mut bench = Bench::new();
    let number = Probe::named("a").object().object_type().method_number("push").expect("there is one");
    for (lane, bytes) in [(1, &b""[..]), (2, b"\x01\x02"), (3, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")] {
        let call = CallId { session: SessionId(5), lane: Lane(lane), sequence: Sequence(1) };
        bench.send_number::<Probe>(call, &Request::of("a"), number, Bytes::copy_from_slice(bytes));
        bench.settle();
        assert!(matches!(bench.fault(call), Fault::Refused(Refusal::Arguments { .. })));
    }
    let unknown = CallId { session: SessionId(5), lane: Lane(9), sequence: Sequence(1) };
    bench.send_number::<Probe>(unknown, &Request::of("b"), 999, Bytes::new());
    bench.settle();
    assert!(matches!(bench.fault(unknown), Fault::Refused(Refusal::UnknownMethod { method: 999, .. })));
    assert_eq!(items(&mut bench, "a"), Vec::<u64>::new());
}

#[test]
fn a_full_mailbox_refuses_and_applies_nothing() {
    let mut bench = Bench::with_limits(Limits { mailbox_max: 4, ..Limits::default() });
    let number = Probe::named("a").object().object_type().method_number("push").expect("there is one");
    let arguments = Bytes::from(postcard::to_allocvec(&(1_u64,)).expect("encodes"));
    let call = |lane| CallId { session: SessionId(3), lane: Lane(lane), sequence: Sequence(1) };
    for lane in 0..10 {
        bench.send_number::<Probe>(call(lane), &Request::of("a"), number, arguments.clone());
    }
    bench.settle();
    for lane in 4..10 {
        assert!(matches!(bench.fault(call(lane)), Fault::Refused(Refusal::Overloaded { count: 4, .. })));
    }
    assert_eq!(items(&mut bench, "a").len(), 4);
    bench.send_number::<Probe>(call(9), &Request::of("a"), number, arguments);
    bench.settle();
    assert_eq!(bench.value::<u64>(call(9)), 5, "the same call, again, when there is room");
}

#[test]
fn a_call_after_its_deadline_is_refused() {
    let mut bench = Bench::new();
    let late = bench.send::<Probe, _>(&Request::of("a").until(999), "push", &(1_u64,));
    assert_eq!(bench.fault(late), Fault::Refused(Refusal::Expired));
    assert_eq!(items(&mut bench, "a"), Vec::<u64>::new());
}

#[test]
fn a_nested_call_brings_its_reply_as_a_later_turn() {
    let mut bench = Bench::new();
    bench.hold_nested = true;
    let relay = bench.send::<Probe, _>(&Request::of("a"), "relay", &(CounterObject::named("hits"),));
    assert_eq!(bench.held.len(), 1);
    assert!(bench.answer(relay).is_none());
    assert_eq!(bench.call::<Probe, _, u64>("a", "push", &(1_u64,)), 1, "other calls come between");
    bench.hold_nested = false;
    let relay = bench.send::<Probe, _>(&Request::of("a"), "relay", &(CounterObject::named("hits"),));
    assert_eq!(bench.value::<u64>(relay), 5);
    assert_eq!(bench.call::<CounterObject, _, i64>("hits", "get", &()), 5);
}

#[test]
fn a_continuation_that_panics_answers_whoever_waited_for_it() {
    let mut bench = Bench::new();
    let call = bench.send::<Probe, _>(&Request::of("a"), "relay_and_panic", &(CounterObject::named("hits"),));
    let expected = Fault::Panicked { method: "then_panicked".into(), message: "the reply was bad".into() };
    assert_eq!(bench.fault(call), expected);
    let later = bench.send::<Probe, _>(&Request::of("a"), "relay", &(CounterObject::named("hits"),));
    assert_eq!(bench.value::<u64>(later), 6, "the object lives on");
}

#[test]
fn a_full_waiting_room_lets_through_who_empties_it() {
    let mut bench = Bench::with_limits(Limits { parked_max: 3, ..Limits::default() });
    let parked: Vec<CallId> = (0..3).map(|_| bench.send::<Probe, _>(&Request::of("a"), "park", &())).collect();
    let refused = bench.send::<Probe, _>(&Request::of("a"), "park", &());
    assert!(matches!(bench.fault(refused), Fault::Refused(Refusal::Overloaded { count: 3, .. })));
    bench.call::<Probe, _, ()>("a", "wake", &(5_u64,));
    for call in parked {
        assert_eq!(bench.value::<u64>(call), 5);
    }
}

#[test]
fn an_owner_that_ends_before_its_call_is_applied_leaves_nothing_parked() {
    let mut bench = Bench::new();
    let call = CallId { session: SessionId(4), lane: Lane(1), sequence: Sequence(1) };
    let number = Probe::named("a").object().object_type().method_number("park").expect("there is one");
    bench.send_number::<Probe>(call, &Request::of("a"), number, Bytes::new());
    bench.end_session(4);
    assert_eq!(bench.fault(call), Fault::Cancelled);
}

#[test]
fn a_circle_of_calls_is_refused() {
    let mut bench = Bench::new();
    let call = bench.send::<Probe, _>(&Request::of("a"), "relay_to_probe", &(Probe::named("b"),));
    assert_eq!(bench.value::<String>(call), "0", "b answers that its own call failed");
    assert_eq!(items(&mut bench, "a"), Vec::<u64>::new());
    assert_eq!(items(&mut bench, "b"), [404]);
}

#[test]
fn a_handle_refuses_to_block_inside_a_method() {
    let mut bench = Bench::new();
    let told: String = bench.call::<Probe, _, _>("a", "call_directly", &(CounterObject::named("hits"),));
    assert!(told.contains("turn.call"), "{told}");
}

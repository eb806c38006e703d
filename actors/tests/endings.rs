//! What ends: answers that nobody took, objects that were deleted, sessions, timers, and panics of large objects.

extern crate greenroom_actors as greenroom;

mod common;

use bytes::Bytes;
use common::{Bench, Request};
use greenroom::objects::{
    AcquireError, ChannelItem, ChannelKind, ChannelObject, Locked, MutexObject, Permits, RecvError, SemaphoreObject,
};
use greenroom::{CallId, Lane, Limits, NotHeld, Object, Sequence, SessionId, system};

type Received = Result<Vec<ChannelItem>, RecvError>;

fn channel(kind: ChannelKind) -> Request<'static> {
    Request::made_with("c", &(1_u64, kind))
}

fn unbounded() -> Request<'static> {
    channel(ChannelKind::Unbounded)
}

fn mutex() -> Request<'static> {
    Request::made_with("m", &(9_u64, Bytes::from_static(b"zero")))
}

fn send(bench: &mut Bench, request: &Request<'_>, value: u8) -> CallId {
    bench.send::<ChannelObject, _>(request, "send", &(None::<u64>, vec![Bytes::from(vec![value])]))
}

fn recv(bench: &mut Bench, request: &Request<'_>, max: u32) -> CallId {
    bench.send::<ChannelObject, _>(request, "recv", &(max,))
}

fn values(received: Received) -> Vec<u8> {
    received.expect("is open").into_iter().map(|item| item.value[0]).collect()
}

/// A call with an id of its own, so that it can be ordered without being applied.
fn id(session: u64, lane: u32) -> CallId {
    CallId { session: SessionId(session), lane: Lane(lane), sequence: Sequence(1) }
}

#[test]
fn a_value_of_a_deleted_channel_does_not_come_out_of_the_next() {
    for method in [system::DELETE, system::FORCE_NEW] {
        let mut bench = Bench::new();
        send(&mut bench, &unbounded(), 99);
        let untaken = recv(&mut bench, &unbounded(), 1);
        bench.send_number::<ChannelObject>(id(5, 1), &unbounded(), method, Bytes::new());
        bench.settle();
        for value in [1, 2, 3] {
            send(&mut bench, &unbounded(), value);
        }
        let first = recv(&mut bench, &unbounded(), 1);
        assert_eq!(values(bench.value(first)), [1]);
        bench.cancel::<ChannelObject>(untaken, "c");
        let rest = recv(&mut bench, &unbounded(), 10);
        assert_eq!(values(bench.value(rest)), [2, 3]);
    }
}

#[test]
fn fences_grow_with_each_grant_of_one_entry() {
    let mut bench = Bench::new();
    let acquire = |bench: &mut Bench, session: u64, permits: u32| {
        let request = Request::made_with("s", &(3_u64,)).by(session);
        bench.send::<SemaphoreObject, _>(&request, "acquire", &(permits,))
    };
    let fence =
        |bench: &mut Bench, call: CallId| bench.value::<Result<Permits, AcquireError>>(call).expect("is open").fence;
    acquire(&mut bench, 1, 1);
    // Its end lets the first go, and what the session held lets the second go.
    acquire(&mut bench, 1, 3);
    let (first, second) = (acquire(&mut bench, 2, 1), acquire(&mut bench, 3, 2));
    bench.end_session(1);
    let (first, second) = (fence(&mut bench, first), fence(&mut bench, second));
    assert!(second > first, "{second} was granted after {first}");
}

#[test]
fn who_sets_the_waiting_free_comes_through_a_full_waiting_room() {
    let mut bench = Bench::with_limits(Limits { parked_max: 4, ..Limits::default() });
    let narrow = channel(ChannelKind::Bounded(1));
    for value in 0..5 {
        send(&mut bench, &narrow, value);
    }
    let received = recv(&mut bench, &narrow, 1);
    assert_eq!(values(bench.value(received)), [0]);

    let lock = bench.send::<MutexObject, _>(&mutex(), "lock", &());
    let held = bench.value::<Result<Locked, NotHeld>>(lock).expect("is granted");
    let waiting: Vec<CallId> = (0..4).map(|_| bench.send::<MutexObject, _>(&mutex(), "lock", &())).collect();
    let wait = bench.send::<MutexObject, _>(&mutex(), "wait", &(held.grant, None::<Bytes>, "condition"));
    assert!(bench.answer(wait).is_none(), "it waits");
    assert!(bench.answer(waiting[0]).is_some(), "the lock goes to the next");
}

#[test]
fn a_call_that_is_answered_leaves_no_timer() {
    let mut bench = Bench::new();
    for value in 0..100 {
        let waiting = recv(&mut bench, &unbounded().until(1_000_000), 1);
        assert_eq!(bench.slot.next_deadline_ms(), Some(1_000_000));
        send(&mut bench, &unbounded(), value);
        assert_eq!(values(bench.value(waiting)), [value]);
        assert_eq!(bench.slot.next_deadline_ms(), None);
    }
    let given_up = recv(&mut bench, &unbounded().until(1_000_000), 1);
    bench.cancel::<ChannelObject>(given_up, "c");
    recv(&mut bench, &unbounded().by(7).until(1_000_000), 1);
    bench.end_session(7);
    assert_eq!(bench.slot.next_deadline_ms(), None);
}

#[test]
fn what_a_cancel_takes_back_does_not_depend_on_when_the_slot_hears_of_answers() {
    for in_runs in [true, false] {
        let mut bench = Bench::new();
        bench.in_runs = in_runs;
        let given_up = recv(&mut bench, &unbounded().by(3), 1);
        let method = ChannelObject::TYPE.method_number("send").expect("there is such a method");
        let arguments = postcard::to_allocvec(&(None::<u64>, vec![Bytes::from_static(b"v")])).expect("encodes");
        // All of this is ordered before the first is applied.
        bench.send_number::<ChannelObject>(id(1, 900), &unbounded(), method, arguments.into());
        bench.order_cancel::<ChannelObject>(given_up, "c");
        bench.end_session(3);
        assert_eq!(bench.call::<ChannelObject, _, u64>("c", "len", &()), 1, "in runs: {in_runs}");
    }
}

#[test]
fn an_answer_whose_object_is_made_anew_before_its_cancel_is_not_kept() {
    let mut bench = Bench::new();
    bench.in_runs = true;
    send(&mut bench, &unbounded(), 1);
    let (call, method) = (id(3, 900), ChannelObject::TYPE.method_number("recv").expect("there is such a method"));
    bench.send_number::<ChannelObject>(call, &unbounded(), method, vec![1].into());
    bench.send_number::<ChannelObject>(id(3, 901), &unbounded(), system::FORCE_NEW, Bytes::new());
    bench.order_cancel::<ChannelObject>(call, "c");
    bench.settle();
    assert_eq!(bench.taken_back, [call]);
    assert_eq!(bench.call::<ChannelObject, _, u64>("c", "len", &()), 0);
}

#[test]
fn a_cancel_that_names_another_object_than_its_call_does_nothing() {
    let mut bench = Bench::new();
    let other = Request { key: "other", ..unbounded() };
    send(&mut bench, &unbounded(), 1);
    send(&mut bench, &other, 2);
    let received = recv(&mut bench, &unbounded(), 1);
    bench.cancel::<ChannelObject>(received, "other");
    assert_eq!(bench.call::<ChannelObject, _, u64>("other", "len", &()), 1, "nothing is put there");
    bench.cancel::<ChannelObject>(received, "c");
    assert_eq!(bench.call::<ChannelObject, _, u64>("c", "len", &()), 1, "it is put back");
    let waiting = recv(&mut bench, &Request { key: "empty", ..unbounded() }, 1);
    bench.cancel::<ChannelObject>(waiting, "other");
    bench.cancel::<ChannelObject>(waiting, "empty");
    assert!(bench.answer(waiting).is_some(), "its own cancel still counts");
}

//! What a channel promises that its callers cannot see: the order of answers that nobody took, and many who wait.

extern crate greenroom_actors as greenroom;

mod common;

use bytes::Bytes;
use common::{Bench, Request};
use greenroom::objects::{
    ChannelItem, ChannelKind, ChannelObject, Locked, MutexObject, NotTaken, RecvError, TryRecvError,
};
use greenroom::{CallId, Lane, Object, Sequence, SessionId};
use serde::Serialize;

type Received = Result<Vec<ChannelItem>, RecvError>;

fn channel(kind: ChannelKind) -> Request<'static> {
    Request::made_with("c", &(1_u64, kind))
}

fn unbounded() -> Request<'static> {
    channel(ChannelKind::Unbounded)
}

fn send(bench: &mut Bench, request: &Request<'_>, value: u32) -> CallId {
    let values = vec![Bytes::copy_from_slice(&value.to_le_bytes())];
    bench.send::<ChannelObject, _>(request, "send", &(None::<u64>, values))
}

/// Orders a call without having it applied.
fn order<T: Object>(
    bench: &mut Bench,
    lane: u32,
    request: &Request<'_>,
    method: &str,
    arguments: &impl Serialize,
) -> CallId {
    let call = CallId { session: SessionId(7), lane: Lane(lane), sequence: Sequence(1) };
    let method = T::TYPE.method_number(method).expect("there is such a method");
    bench.send_number::<T>(call, request, method, postcard::to_allocvec(arguments).expect("encodes").into());
    call
}

fn values(items: Vec<ChannelItem>) -> Vec<u32> {
    let number = |item: ChannelItem| u32::from_le_bytes(item.value.as_ref().try_into().expect("is a number"));
    items.into_iter().map(number).collect()
}

fn received(bench: &mut Bench, call: CallId) -> Vec<u32> {
    values(bench.value::<Received>(call).expect("is open"))
}

#[test]
fn who_gives_up_and_asks_again_at_once_gets_the_same_value() {
    for in_runs in [false, true] {
        let mut bench = Bench::new();
        bench.in_runs = in_runs;
        for value in 0..3 {
            send(&mut bench, &unbounded(), value);
        }
        // All of this is ordered before the first is applied.
        let given_up = order::<ChannelObject>(&mut bench, 1, &unbounded(), "recv", &(2_u32,));
        bench.order_cancel::<ChannelObject>(given_up, "c");
        let tried = order::<ChannelObject>(&mut bench, 2, &unbounded(), "try_recv", &(1_u32,));
        bench.order_cancel::<ChannelObject>(tried, "c");
        let again = order::<ChannelObject>(&mut bench, 3, &unbounded(), "recv", &(1_u32,));
        bench.settle();
        assert_eq!(received(&mut bench, again), [0], "in one run: {in_runs}");
        bench.order_cancel::<ChannelObject>(given_up, "c");
        bench.settle();
        let rest = bench.send::<ChannelObject, _>(&unbounded(), "recv", &(10_u32,));
        assert_eq!(received(&mut bench, rest), [1, 2], "it was taken back once");
    }
}

#[test]
fn a_value_that_was_given_up_is_there_before_the_end_is_told() {
    for in_runs in [false, true] {
        let mut bench = Bench::new();
        bench.in_runs = in_runs;
        send(&mut bench, &unbounded(), 0);
        let given_up = order::<ChannelObject>(&mut bench, 1, &unbounded(), "recv", &(1_u32,));
        bench.order_cancel::<ChannelObject>(given_up, "c");
        order::<ChannelObject>(&mut bench, 2, &unbounded(), "close", &());
        let again = order::<ChannelObject>(&mut bench, 3, &unbounded(), "recv", &(1_u32,));
        bench.settle();
        assert_eq!(received(&mut bench, again), [0]);
        let end = bench.send::<ChannelObject, _>(&unbounded(), "try_recv", &(1_u32,));
        assert_eq!(bench.value::<Result<Vec<ChannelItem>, TryRecvError>>(end), Err(TryRecvError::Disconnected));
    }
}

#[test]
fn a_lock_that_was_given_up_is_free_for_the_next_call() {
    for in_runs in [false, true] {
        let mut bench = Bench::new();
        bench.in_runs = in_runs;
        let mutex = Request::made_with("m", &(9_u64, Bytes::from_static(b"zero")));
        let given_up = order::<MutexObject>(&mut bench, 1, &mutex, "lock", &());
        bench.order_cancel::<MutexObject>(given_up, "m");
        let next = order::<MutexObject>(&mut bench, 2, &mutex, "try_lock", &());
        bench.settle();
        assert!(bench.value::<Option<Locked>>(next).is_some());
    }
}

#[test]
fn ten_thousand_wait_to_receive_and_to_send_and_each_is_served_in_order() {
    const COUNT: u32 = 10_000;
    let mut bench = Bench::new();
    let receiving: Vec<CallId> =
        (0..COUNT).map(|_| bench.send::<ChannelObject, _>(&unbounded(), "recv", &(1_u32,))).collect();
    for value in 0..COUNT {
        send(&mut bench, &unbounded(), value);
        assert_eq!(received(&mut bench, receiving[value as usize]), [value]);
    }
    let mut bench = Bench::new();
    let rendezvous = channel(ChannelKind::Bounded(0));
    let sending: Vec<CallId> = (0..COUNT).map(|value| send(&mut bench, &rendezvous, value)).collect();
    for value in 0..COUNT {
        let recv = bench.send::<ChannelObject, _>(&rendezvous, "recv", &(1_u32,));
        assert_eq!(bench.value::<Result<(), NotTaken>>(sending[value as usize]), Ok(()));
        assert_eq!(received(&mut bench, recv), [value]);
    }
}

#[test]
fn a_send_of_nothing_waits_behind_nobody() {
    let mut bench = Bench::new();
    let rendezvous = channel(ChannelKind::Bounded(0));
    let waiting = send(&mut bench, &rendezvous, 1);
    let of_nothing = bench.send::<ChannelObject, _>(&rendezvous, "send", &(None::<u64>, Vec::<Bytes>::new()));
    assert_eq!(bench.value::<Result<(), NotTaken>>(of_nothing), Ok(()));
    assert!(bench.answer(waiting).is_none(), "it waits");
    bench.send::<ChannelObject, _>(&rendezvous, "close", &());
    let of_nothing = bench.send::<ChannelObject, _>(&rendezvous, "send", &(None::<u64>, Vec::<Bytes>::new()));
    assert_eq!(bench.value::<Result<(), NotTaken>>(of_nothing), Err(NotTaken::Closed { taken: 0 }));
}

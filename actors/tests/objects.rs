//! What the library's objects promise, on the pure state machine.

extern crate greenroom_actors as greenroom;

mod common;

use bytes::Bytes;
use common::{Bench, Request};
use greenroom::objects::{
    AverageObject, Begun, CellObject, CounterObject, ExchangerObject, Locked, MutexObject, Notified, NotifyObject,
    OnceObject, PhaserError, PhaserObject, PromiseObject,
};
use greenroom::{CallId, Fault, NotHeld, WaiterId};

fn lock(bench: &mut Bench, session: u64) -> CallId {
    bench.send::<MutexObject, ()>(&mutex().by(session), "lock", &())
}

fn mutex() -> Request<'static> {
    Request::made_with("m", &(9_u64, Bytes::from_static(b"zero")))
}

/// What a call of `lock` was granted.
fn locked(bench: &mut Bench, call: CallId) -> Locked {
    bench.value::<Result<Locked, NotHeld>>(call).expect("is never refused")
}

fn unlock(bench: &mut Bench, grant: WaiterId, changed: Option<&'static [u8]>) -> Result<(), NotHeld> {
    let changed = changed.map(Bytes::from_static);
    let call = bench.send::<MutexObject, _>(&mutex(), "unlock", &(grant, changed));
    bench.value(call)
}

#[test]
fn a_counter_counts() {
    let mut bench = Bench::new();
    assert_eq!(bench.call::<CounterObject, _, i64>("hits", "add", &(5_i64,)), 5);
    assert_eq!(bench.call::<CounterObject, _, i64>("hits", "increment", &()), 6);
    assert_eq!(bench.call::<CounterObject, _, i64>("hits", "set", &(i64::MAX,)), 6);
    assert_eq!(bench.call::<CounterObject, _, i64>("hits", "increment", &()), i64::MIN);
    assert_eq!(bench.call::<CounterObject, _, i64>("other", "get", &()), 0);
}

#[test]
fn a_cell_exchanges_only_what_it_holds() {
    let mut bench = Bench::new();
    let request = Request::made_with("c", &(1_u64, Bytes::from_static(b"a")));
    let exchange = |bench: &mut Bench, current: &'static [u8], new: &'static [u8]| -> Bytes {
        let arguments = (Bytes::from_static(current), Bytes::from_static(new));
        let call = bench.send::<CellObject, _>(&request, "compare_exchange", &arguments);
        bench.value(call)
    };
    assert_eq!(exchange(&mut bench, b"x", b"b"), "a");
    assert_eq!(exchange(&mut bench, b"a", b"b"), "a");
    assert_eq!(exchange(&mut bench, b"a", b"c"), "b");
    let get = bench.send::<CellObject, _>(&request, "get", &());
    assert_eq!(bench.value::<Bytes>(get), "b");
}

#[test]
fn a_mutex_goes_from_caller_to_caller_in_order() {
    let mut bench = Bench::new();
    let calls: Vec<CallId> = (1..=3).map(|session| lock(&mut bench, session)).collect();
    let first = locked(&mut bench, calls[0]);
    assert_eq!(first.value, "zero");
    assert!(bench.answer(calls[1]).is_none());
    assert_eq!(unlock(&mut bench, first.grant, Some(b"one")), Ok(()));
    let second = locked(&mut bench, calls[1]);
    assert_eq!(second.value, "one");
    assert!(second.fence > first.fence);
    assert!(bench.answer(calls[2]).is_none());
    assert_eq!(unlock(&mut bench, second.grant, None), Ok(()));
    assert_eq!(locked(&mut bench, calls[2]).value, "one");
}

#[test]
fn a_dead_owner_loses_the_lock_and_its_copy() {
    let mut bench = Bench::new();
    let dead = lock(&mut bench, 1);
    let held = locked(&mut bench, dead);
    let next = lock(&mut bench, 2);
    bench.end_session(1);
    let second = locked(&mut bench, next);
    assert_eq!(second.value, "zero", "the dead owner's copy is discarded");
    assert_eq!(unlock(&mut bench, held.grant, Some(b"late")), Err(NotHeld { grant: held.grant }));
    assert_eq!(unlock(&mut bench, second.grant, Some(b"two")), Ok(()));
}

#[test]
fn a_caller_that_gave_up_never_holds_the_lock() {
    let mut bench = Bench::new();
    let first = lock(&mut bench, 1);
    let grant = locked(&mut bench, first).grant;
    let hasty = bench.send::<MutexObject, ()>(&mutex().by(2).until(1_500), "lock", &());
    let cancelled = lock(&mut bench, 3);
    bench.advance(1_500);
    bench.cancel::<MutexObject>(cancelled, "m");
    assert_eq!(bench.fault(hasty), Fault::TimedOut);
    assert_eq!(bench.fault(cancelled), Fault::Cancelled);
    assert_eq!(unlock(&mut bench, grant, None), Ok(()));
    let try_lock = bench.send::<MutexObject, ()>(&mutex().by(4), "try_lock", &());
    assert!(bench.value::<Option<Locked>>(try_lock).is_some(), "nobody has the lock");
}

#[test]
fn a_cancel_that_comes_after_the_grant_gives_the_lock_back() {
    let mut bench = Bench::new();
    let granted = lock(&mut bench, 1);
    let next = lock(&mut bench, 2);
    locked(&mut bench, granted);
    bench.cancel::<MutexObject>(granted, "m");
    assert!(bench.answer(next).is_some_and(|answer| answer.result.is_ok()));
}

#[test]
fn a_cancel_that_comes_after_a_grant_that_had_to_wait_gives_the_lock_back() {
    let mut bench = Bench::new();
    let (first, second, third) = (lock(&mut bench, 1), lock(&mut bench, 2), lock(&mut bench, 3));
    let grant = locked(&mut bench, first).grant;
    assert_eq!(unlock(&mut bench, grant, None), Ok(()));
    locked(&mut bench, second);
    bench.cancel::<MutexObject>(second, "m");
    assert!(bench.answer(third).is_some_and(|answer| answer.result.is_ok()));
}

#[test]
fn callers_that_gave_up_leave_nothing_behind() {
    let mut bench = Bench::new();
    let promise = Request::made_with("p", &(1_u64,));
    let holder = lock(&mut bench, 1);
    locked(&mut bench, holder);
    for call in 0..1_000 {
        let wait = bench.send::<PromiseObject, ()>(&promise, "get", &());
        bench.cancel::<PromiseObject>(wait, "p");
        let wait = lock(&mut bench, 2 + call);
        bench.cancel::<MutexObject>(wait, "m");
    }
    let sizes: Vec<usize> = bench
        .slot
        .objects()
        .iter()
        .map(|(_, entry)| entry.instance().borrow().encoded_state().expect("encodes").len())
        .collect();
    assert!(sizes.iter().all(|&size| size < 100), "{sizes:?}");
}

#[test]
fn a_notification_that_its_caller_did_not_take_goes_to_the_next_or_is_kept() {
    let mut bench = Bench::new();
    let request = Request::of("n");
    let [first, second] =
        [1, 2].map(|session| bench.send::<NotifyObject, _>(&Request::of("n").by(session), "notified", &()));
    bench.call::<NotifyObject, _, ()>("n", "notify_one", &());
    bench.value::<Notified>(first);
    bench.cancel::<NotifyObject>(first, "n");
    assert_eq!(bench.value::<Notified>(second), Notified::One);
    bench.cancel::<NotifyObject>(second, "n");
    let third = bench.send::<NotifyObject, _>(&request, "notified", &());
    assert_eq!(bench.value::<Notified>(third), Notified::One, "nobody waited, so it was kept");
    let fourth = bench.send::<NotifyObject, _>(&request, "notified", &());
    bench.call::<NotifyObject, _, ()>("n", "notify_waiters", &());
    assert_eq!(bench.value::<Notified>(fourth), Notified::All);
    bench.cancel::<NotifyObject>(fourth, "n");
    let notify = bench.send::<NotifyObject, _>(&request, "notify_waiters", &());
    bench.cancel::<NotifyObject>(notify, "n");
    let fifth = bench.send::<NotifyObject, _>(&request, "notified", &());
    assert!(bench.answer(fifth).is_none(), "one that was for all is for nobody else");
}

#[test]
fn a_party_whose_caller_gave_up_is_not_waited_for() {
    let mut bench = Bench::new();
    let party: WaiterId = bench.call::<PhaserObject, _, Result<_, PhaserError>>("p", "register", &()).expect("is open");
    let unwanted = bench.send::<PhaserObject, _>(&Request::of("p"), "register", &());
    let wait = bench.send::<PhaserObject, _>(&Request::of("p"), "arrive_and_wait", &(party,));
    assert!(bench.answer(wait).is_none());
    bench.cancel::<PhaserObject>(unwanted, "p");
    assert_eq!(bench.value::<Result<u64, PhaserError>>(wait), Ok(1));
    let late = bench.send::<PhaserObject, _>(&Request::of("p"), "arrive_and_deregister", &(WaiterId(5),));
    assert_eq!(bench.value::<Result<u64, PhaserError>>(late), Err(PhaserError::NotRegistered));
}

#[test]
fn who_gives_up_after_it_was_told_to_make_the_value_leaves_it_to_the_next() {
    let mut bench = Bench::new();
    let request = Request::made_with("o", &(1_u64,));
    let [first, second] = [1, 2].map(|session| {
        let request = Request::made_with("o", &(1_u64,)).by(session);
        bench.send::<OnceObject, _>(&request, "begin", &())
    });
    let Begun::Initialize(void) = bench.value(first) else { panic!("there is no value") };
    assert!(bench.answer(second).is_none());
    bench.cancel::<OnceObject>(first, "o");
    let Begun::Initialize(given) = bench.value(second) else { panic!("there is no value") };
    assert!(given.fence > void.fence);
    let finish = |bench: &mut Bench, grant: WaiterId| -> Result<(), NotHeld> {
        let call = bench.send::<OnceObject, _>(&request, "finish", &(grant, Bytes::from_static(b"v")));
        bench.value(call)
    };
    assert_eq!(finish(&mut bench, void.grant), Err(NotHeld { grant: void.grant }));
    assert_eq!(finish(&mut bench, given.grant), Ok(()));
    assert_eq!(finish(&mut bench, given.grant), Err(NotHeld { grant: given.grant }), "a turn ends once");
}

#[test]
fn an_average_moves_in_rounds() {
    let mut bench = Bench::new();
    let request = Request::made_with("a", &(vec![0.0, 0.0],));
    let mut call = |method: &str, arguments: &dyn Fn(&mut Bench, &str) -> CallId| arguments(&mut bench, method);
    let add = call("add", &|bench, method| bench.send::<AverageObject, _>(&request, method, &(vec![6.0, 8.0], 2_u64)));
    let short = call("add", &|bench, method| bench.send::<AverageObject, _>(&request, method, &(vec![2.0], 1_u64)));
    let advance = call("advance", &|bench, method| bench.send::<AverageObject, _>(&request, method, &()));
    let mean = call("mean", &|bench, method| bench.send::<AverageObject, _>(&request, method, &()));
    let idle = call("advance", &|bench, method| bench.send::<AverageObject, _>(&request, method, &()));
    assert!(bench.value::<Result<(), greenroom::objects::WrongLength>>(add).is_ok());
    assert!(bench.value::<Result<(), greenroom::objects::WrongLength>>(short).is_err());
    assert_eq!(bench.value::<f64>(advance), 5.0);
    assert_eq!(bench.value::<Vec<f64>>(mean), [3.0, 4.0]);
    assert_eq!(bench.value::<f64>(idle), 0.0);
}

#[test]
fn what_was_offered_goes_with_an_exchange_that_ends_early() {
    let mut bench = Bench::new();
    let request = || Request::made_with("x", &(9_u64,));
    let offered = (Bytes::from(vec![7; 100_000]),);
    let bytes = |bench: &Bench| {
        let object = bench.slot.objects().find(common::name::<ExchangerObject>("x")).expect("is there");
        let instance = bench.slot.objects().get(object).expect("is there").instance().borrow();
        instance.encoded_state().expect("encodes").len()
    };
    let until = bench.now_ms + 100;
    bench.send::<ExchangerObject, _>(&request().until(until), "exchange", &offered);
    assert!(bytes(&bench) > 100_000);
    bench.advance(until);
    assert!(bytes(&bench) < 100, "it timed out");
    let given_up = bench.send::<ExchangerObject, _>(&request(), "exchange", &offered);
    bench.cancel::<ExchangerObject>(given_up, "x");
    assert!(bytes(&bench) < 100, "it was given up");
    bench.send::<ExchangerObject, _>(&request().by(2), "exchange", &offered);
    bench.end_session(2);
    assert!(bytes(&bench) < 100, "its session has ended");
}

#[test]
fn a_call_that_may_wait_is_asked_once_whether_it_has_to_though_its_time_is_over() {
    let mut bench = Bench::new();
    let now_ms = bench.now_ms;
    let late = |session| mutex().by(session).until(now_ms - 1);
    let free = bench.send::<MutexObject, ()>(&late(1), "lock", &());
    let held = locked(&mut bench, free);
    let taken = bench.send::<MutexObject, ()>(&late(2), "lock", &());
    assert!(bench.answer(taken).is_none(), "it is parked until the next tick");
    bench.advance(now_ms);
    assert_eq!(bench.fault(taken), Fault::TimedOut);
    assert_eq!(unlock(&mut bench, held.grant, None), Ok(()));
}

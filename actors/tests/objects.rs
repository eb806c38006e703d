//! What the library's objects promise, on the pure state machine.

extern crate greenroom_actors as greenroom;

mod common;

use bytes::Bytes;
use common::{Bench, Request};
use greenroom::objects::{
    AlreadySet, Average, Barrier, BarrierWaitResult, CellObject, Counter, Locked, MutexObject, PromiseObject,
};
use greenroom::{CallId, Fault, NotHeld, Refusal, WaiterId};

const BARRIER: (u32,) = (3,);

fn wait(bench: &mut Bench, session: u64) -> CallId {
    bench.send::<Barrier, ()>(&Request::made_with("gate", &BARRIER).by(session), "wait", &())
}

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
    assert_eq!(bench.call::<Counter, _, i64>("hits", "add", &(5_i64,)), 5);
    assert_eq!(bench.call::<Counter, _, i64>("hits", "increment", &()), 6);
    assert_eq!(bench.call::<Counter, _, i64>("hits", "set", &(i64::MAX,)), 6);
    assert_eq!(bench.call::<Counter, _, i64>("hits", "increment", &()), i64::MIN);
    assert_eq!(bench.call::<Counter, _, i64>("other", "get", &()), 0);
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
fn a_barrier_opens_for_the_last_party_who_is_the_leader() {
    let mut bench = Bench::new();
    for generation in 0..3 {
        let (first, second) = (wait(&mut bench, 1), wait(&mut bench, 2));
        assert!(bench.answer(first).is_none());
        let third = wait(&mut bench, 3);
        let results: Vec<BarrierWaitResult> = [first, second, third].map(|call| bench.value(call)).to_vec();
        assert_eq!(results.iter().map(BarrierWaitResult::is_leader).collect::<Vec<_>>(), [false, false, true]);
        assert!(results.iter().all(|result| result.generation() == generation));
    }
}

#[test]
fn a_seat_at_a_barrier_is_free_again_when_its_caller_gives_up() {
    let mut bench = Bench::new();
    let patient = wait(&mut bench, 1);
    let hasty = bench.send::<Barrier, ()>(&Request::made_with("gate", &BARRIER).by(2).until(2_000), "wait", &());
    bench.advance(2_000);
    assert_eq!(bench.fault(hasty), Fault::TimedOut);
    let cancelled = wait(&mut bench, 3);
    bench.cancel::<Barrier>(cancelled, "gate");
    assert_eq!(bench.fault(cancelled), Fault::Cancelled);
    let dead = wait(&mut bench, 4);
    bench.end_session(4);
    assert_eq!(bench.fault(dead), Fault::Cancelled);

    let second = wait(&mut bench, 5);
    assert_eq!(bench.call::<Barrier, _, u32>("gate", "waiting", &()), 2);
    assert!(bench.answer(patient).is_none(), "two of three are here");
    let third = wait(&mut bench, 6);
    assert!(!bench.value::<BarrierWaitResult>(patient).is_leader());
    assert!(!bench.value::<BarrierWaitResult>(second).is_leader());
    assert!(bench.value::<BarrierWaitResult>(third).is_leader());
}

#[test]
fn a_barrier_of_nobody_or_of_another_number_is_refused() {
    let mut bench = Bench::new();
    let nobody = bench.send::<Barrier, ()>(&Request::made_with("none", &(0_u32,)), "wait", &());
    assert!(matches!(bench.fault(nobody), Fault::Refused(Refusal::Constructor(_))));
    wait(&mut bench, 1);
    let other = bench.send::<Barrier, ()>(&Request::made_with("gate", &(4_u32,)), "wait", &());
    assert_eq!(bench.fault(other), Fault::Refused(Refusal::DifferentArguments));
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
fn a_promise_is_kept_once_and_wakes_everybody() {
    let mut bench = Bench::new();
    let request = Request::made_with("p", &(1_u64,));
    let early = bench.send::<PromiseObject, ()>(&request, "get", &());
    let set = bench.send::<PromiseObject, _>(&request, "set", &(Bytes::from_static(b"v"),));
    assert_eq!(bench.value::<Result<(), AlreadySet>>(set), Ok(()));
    let again = bench.send::<PromiseObject, _>(&request, "set", &(Bytes::from_static(b"w"),));
    assert_eq!(bench.value::<Result<(), AlreadySet>>(again), Err(AlreadySet));
    let late = bench.send::<PromiseObject, ()>(&request, "get", &());
    assert_eq!(bench.value::<Bytes>(early), "v");
    assert_eq!(bench.value::<Bytes>(late), "v");
}

#[test]
fn an_average_moves_in_rounds() {
    let mut bench = Bench::new();
    let request = Request::made_with("a", &(vec![0.0, 0.0],));
    let mut call = |method: &str, arguments: &dyn Fn(&mut Bench, &str) -> CallId| arguments(&mut bench, method);
    let add = call("add", &|bench, method| bench.send::<Average, _>(&request, method, &(vec![6.0, 8.0], 2_u64)));
    let short = call("add", &|bench, method| bench.send::<Average, _>(&request, method, &(vec![2.0], 1_u64)));
    let advance = call("advance", &|bench, method| bench.send::<Average, _>(&request, method, &()));
    let mean = call("mean", &|bench, method| bench.send::<Average, _>(&request, method, &()));
    let idle = call("advance", &|bench, method| bench.send::<Average, _>(&request, method, &()));
    assert!(bench.value::<Result<(), greenroom::objects::WrongLength>>(add).is_ok());
    assert!(bench.value::<Result<(), greenroom::objects::WrongLength>>(short).is_err());
    assert_eq!(bench.value::<f64>(advance), 5.0);
    assert_eq!(bench.value::<Vec<f64>>(mean), [3.0, 4.0]);
    assert_eq!(bench.value::<f64>(idle), 0.0);
}

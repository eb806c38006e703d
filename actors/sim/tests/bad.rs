//! Histories that are known to be bad, each rejected; beside each its neighbour that is good, accepted.

mod script;

use greenroom_sim::Call::{
    Counter as counter, Map as map, Mutex as mutex, Queue as queue, Register as register, Semaphore as semaphore,
};
use greenroom_sim::*;
use script::*;

const COUNTER: ObjectType = ObjectType::Counter { initial: 0 };
const REGISTER: ObjectType = ObjectType::Register { initial: 0 };
const QUEUE: ObjectType = ObjectType::Queue { capacity: None };
const BARRIER: ObjectType = ObjectType::Barrier { parties: 3 };

#[test]
fn a_lost_update_of_a_counter_is_found() {
    let add = |client, from, to, after| answered(client, from, to, counter(CounterCall::Add(1)), Reply::Number(after));
    accept(COUNTER, &[add(1, 0, 10, 2), add(2, 0, 10, 1)]);
    reject(COUNTER, &[add(1, 0, 10, 1), add(2, 0, 10, 1)]);
}

#[test]
fn an_unanswered_add_is_applied_once_or_never_but_not_twice() {
    let unanswered = open(1, 0, counter(CounterCall::Add(5)));
    let get = |from, value| answered(2, from, from + 5, counter(CounterCall::Get), Reply::Number(value));
    accept(COUNTER, &[unanswered, get(10, 0), get(20, 0)]);
    accept(COUNTER, &[unanswered, get(10, 0), get(20, 5)]);
    reject(COUNTER, &[unanswered, get(10, 5), get(20, 10)]);
    reject(COUNTER, &[unanswered, get(10, 5), get(20, 0)]);
}

#[test]
fn a_compare_and_set_that_two_win_is_found() {
    let call = counter(CounterCall::CompareExchange { current: 0, new: 1 });
    let won = |client| answered(client, 0, 10, call, Reply::Exchanged(Ok(0)));
    accept(COUNTER, &[won(1), answered(2, 0, 10, call, Reply::Exchanged(Err(1)))]);
    reject(COUNTER, &[won(1), won(2)]);
}

#[test]
fn a_stale_read_of_a_cell_is_found() {
    let write = answered(1, 0, 10, register(RegisterCall::Write(7)), Reply::Done);
    let read = |from, value| answered(2, from, 20, register(RegisterCall::Read), Reply::Number(value));
    accept(REGISTER, &[write, read(10, 0)]);
    reject(REGISTER, &[write, read(11, 0)]);
}

#[test]
fn a_value_that_comes_back_is_found() {
    let write = open(1, 0, register(RegisterCall::Write(7)));
    let read = |from, value| answered(2, from, from + 5, register(RegisterCall::Read), Reply::Number(value));
    accept(REGISTER, &[write, read(10, 0), read(20, 7)]);
    reject(REGISTER, &[write, read(10, 7), read(20, 0), read(30, 7)]);
}

#[test]
fn what_was_not_applied_is_not_seen() {
    let mut history = History::new();
    let object = history.object("cell", REGISTER);
    let write = history.invoke(ClientId(1), object, register(RegisterCall::Write(7)), 0);
    history.not_applied(write, 10);
    let read = history.invoke(ClientId(2), object, register(RegisterCall::Read), 20);
    history.returned(read, Reply::Number(7), 30);
    assert!(matches!(check(&history, &Limits::default()), Verdict::NotLinearizable { .. }));
}

#[test]
fn a_forgotten_entry_of_a_map_is_found() {
    let insert = answered(1, 0, 10, map(MapCall::Insert(1, 5)), Reply::Value(None));
    let other = answered(1, 11, 15, map(MapCall::Insert(2, 6)), Reply::Value(None));
    let get = |value| answered(2, 20, 30, map(MapCall::Get(1)), Reply::Value(value));
    let len = |count| answered(2, 40, 50, map(MapCall::Len), Reply::Number(count));
    accept(ObjectType::Map, &[insert, other, get(Some(5)), len(2)]);
    reject(ObjectType::Map, &[insert, other, get(None)]);
    reject(ObjectType::Map, &[insert, other, get(Some(5)), len(1)]);
}

#[test]
fn a_queue_out_of_order_is_found() {
    let send = |value, from| answered(1, from, from + 5, queue(QueueCall::Send(value)), Reply::Done);
    let recv = |value, from| answered(2, from, from + 5, queue(QueueCall::Recv), Reply::Number(value));
    accept(QUEUE, &[send(1, 0), send(2, 10), recv(1, 20), recv(2, 30)]);
    accept(QUEUE, &[send(1, 0), send(2, 5), recv(2, 20), recv(1, 30)]);
    reject(QUEUE, &[send(1, 0), send(2, 10), recv(2, 20), recv(1, 30)]);
    reject(QUEUE, &[send(1, 0), send(2, 10), recv(2, 20)]);
    reject(QUEUE, &[send(1, 0), recv(1, 20), recv(1, 30)]);
    reject(QUEUE, &[send(1, 20), recv(1, 10)]);
}

#[test]
fn a_value_may_leave_a_queue_by_an_unanswered_call_only() {
    let send = |value, from| answered(1, from, from + 5, queue(QueueCall::Send(value)), Reply::Done);
    let none = |from| answered(2, from, from + 5, queue(QueueCall::TryRecv), Reply::Value(None));
    let recv = answered(2, 30, 35, queue(QueueCall::Recv), Reply::Number(2));
    accept(QUEUE, &[send(1, 0), open(3, 12, queue(QueueCall::Recv)), send(2, 10), recv]);
    reject(QUEUE, &[send(1, 0), open(3, 36, queue(QueueCall::Recv)), send(2, 10), recv]);
    reject(QUEUE, &[send(1, 0), send(2, 10), recv, none(40)]);
}

#[test]
fn a_bounded_queue_with_too_much_in_it_is_found() {
    let send = |value, from| answered(1, from, from + 5, queue(QueueCall::TrySend(value)), Reply::Done);
    let full = answered(1, 20, 25, queue(QueueCall::TrySend(9)), Reply::Refused);
    let bounded = ObjectType::Queue { capacity: Some(2) };
    accept(bounded, &[send(1, 0), send(2, 10), full]);
    reject(bounded, &[send(1, 0), full]);
    reject(bounded, &[send(1, 0), send(2, 10), send(3, 20)]);
}

#[test]
fn two_holders_of_a_lock_are_found() {
    let unlock = answered(1, 20, 30, mutex(MutexCall::Unlock(1)), Reply::Done);
    accept(ObjectType::Mutex, &[lock(1, 0, 5, 1), lock(2, 10, 25, 2), unlock]);
    reject(ObjectType::Mutex, &[lock(1, 0, 5, 1), lock(2, 10, 15, 2), unlock]);
}

#[test]
fn a_lock_passes_on_when_its_holder_ended_and_not_before() {
    let ended = |at| open(1, at, Call::OwnerEnded(ClientId(1)));
    accept(ObjectType::Mutex, &[lock(1, 0, 5, 1), ended(10), lock(2, 8, 20, 2)]);
    reject(ObjectType::Mutex, &[lock(1, 0, 5, 1), ended(21), lock(2, 8, 20, 2)]);
    let late = answered(1, 30, 35, mutex(MutexCall::Unlock(1)), Reply::Refused);
    accept(ObjectType::Mutex, &[lock(1, 0, 5, 1), ended(10), lock(2, 8, 20, 2), late]);
    // Once is once: a lock that was freed for a holder that ended is not held by it again.
    reject(ObjectType::Mutex, &[lock(1, 0, 5, 1), ended(10), lock(2, 8, 20, 2), lock(3, 30, 40, 3)]);
}

#[test]
fn a_fence_that_goes_back_is_found() {
    let unlock = answered(1, 6, 8, mutex(MutexCall::Unlock(5)), Reply::Done);
    accept(ObjectType::Mutex, &[lock(1, 0, 5, 5), unlock, lock(2, 10, 15, 9)]);
    reject(ObjectType::Mutex, &[lock(1, 0, 5, 5), unlock, lock(2, 10, 15, 5)]);
    reject(ObjectType::Mutex, &[lock(1, 0, 5, 5), unlock, lock(2, 10, 15, 4)]);
}

#[test]
fn a_lock_of_an_unanswered_call_may_refuse_others_but_not_for_nothing() {
    let refused = answered(2, 10, 15, mutex(MutexCall::TryLock), Reply::Refused);
    accept(ObjectType::Mutex, &[open(1, 0, mutex(MutexCall::Lock)), refused, lock(3, 20, 25, 1)]);
    reject(ObjectType::Mutex, &[refused, lock(3, 20, 25, 1)]);
}

#[test]
fn too_many_permits_given_out_are_found() {
    let acquire = |client, from, n| answered(client, from, from + 5, semaphore(SemaphoreCall::Acquire(n)), Reply::Done);
    let release = |client, from| answered(client, from, from + 5, semaphore(SemaphoreCall::Release(1)), Reply::Done);
    let two = ObjectType::Semaphore { permits: 2 };
    accept(two, &[acquire(1, 0, 1), acquire(2, 0, 1), release(1, 10), acquire(3, 10, 1)]);
    reject(two, &[acquire(1, 0, 1), acquire(2, 0, 1), acquire(3, 10, 1), release(1, 20)]);
    reject(two, &[acquire(1, 0, 1), release(1, 10), release(1, 20)]);
    accept(two, &[acquire(1, 0, 2), open(1, 8, Call::OwnerEnded(ClientId(1))), acquire(2, 10, 2)]);
    reject(two, &[acquire(1, 0, 2), open(3, 8, Call::OwnerEnded(ClientId(3))), acquire(2, 10, 2)]);
}

#[test]
fn a_barrier_that_lets_through_one_too_few_is_found() {
    accept(BARRIER, &[passed(1, 0, 30, 0, false), passed(2, 10, 30, 0, false), passed(3, 25, 40, 0, true)]);
    reject(BARRIER, &[passed(1, 0, 20, 0, false), passed(2, 10, 30, 0, false), passed(3, 25, 40, 0, true)]);
    reject(BARRIER, &[passed(1, 0, 20, 0, false), passed(2, 10, 30, 0, true)]);
    accept(BARRIER, &[passed(1, 0, 20, 0, false), passed(2, 10, 30, 0, true), open(3, 12, Call::BarrierWait)]);
}

#[test]
fn a_barrier_with_two_leaders_or_none_is_found() {
    reject(BARRIER, &[passed(1, 0, 30, 0, false), passed(2, 0, 30, 0, true), passed(3, 0, 30, 0, true)]);
    reject(BARRIER, &[passed(1, 0, 30, 0, false), passed(2, 0, 30, 0, false), passed(3, 0, 30, 0, false)]);
    // The leader is the last to arrive.
    reject(BARRIER, &[passed(1, 0, 30, 0, true), passed(2, 0, 40, 0, false), passed(3, 31, 40, 0, false)]);
}

#[test]
fn a_promise_that_changes_is_found() {
    let promise = |client, from, call, reply| answered(client, from, from + 5, Call::Promise(call), reply);
    let set = promise(1, 0, PromiseCall::Set(5), Reply::Done);
    let wait = |value| answered(2, 0, 20, Call::Promise(PromiseCall::Wait), Reply::Number(value));
    accept(ObjectType::Promise, &[set, wait(5), promise(3, 30, PromiseCall::Set(6), Reply::Refused)]);
    reject(ObjectType::Promise, &[set, wait(6), promise(3, 30, PromiseCall::Set(6), Reply::Refused)]);
    reject(ObjectType::Promise, &[set, promise(3, 30, PromiseCall::Set(6), Reply::Done)]);
    reject(ObjectType::Promise, &[set, promise(3, 30, PromiseCall::TryGet, Reply::Value(None))]);
    accept(ObjectType::Promise, &[open(1, 0, Call::Promise(PromiseCall::Set(5))), wait(5)]);
}

#[test]
fn a_rejected_history_says_how_far_an_order_came() {
    let write = |value, from| answered(1, from, from + 5, register(RegisterCall::Write(value)), Reply::Done);
    let read = answered(2, 20, 25, register(RegisterCall::Read), Reply::Number(1));
    let Verdict::NotLinearizable { object, explanation } =
        check(&history(REGISTER, &[write(1, 0), write(2, 10), read]), &Limits::default())
    else {
        panic!("a stale read is accepted");
    };
    assert_eq!(object, "object");
    assert_eq!((explanation.placed, explanation.total, explanation.state.as_str()), (2, 3, "2"));
    let text = explanation.to_string();
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part:?} is not in\n{text}"));
    assert!(place("Write(1)") < place("Write(2)") && place("Write(2)") < place("state: 2"), "{text}");
    assert!(place("could not") < place("Read"), "{text}");
}

fn lock(client: u64, from: u64, to: u64, fence: u64) -> Line {
    answered(client, from, to, mutex(MutexCall::Lock), Reply::Fence(fence))
}

fn passed(client: u64, from: u64, to: u64, generation: u64, leader: bool) -> Line {
    answered(client, from, to, Call::BarrierWait, Reply::Passed { leader, generation })
}

#[track_caller]
fn accept(object_type: ObjectType, lines: &[Line]) {
    let history = history(object_type, lines);
    let verdict = check(&history, &Limits::default());
    assert!(matches!(verdict, Verdict::Linearizable), "{verdict:?}\n{history}");
}

#[track_caller]
fn reject(object_type: ObjectType, lines: &[Line]) {
    let history = history(object_type, lines);
    let verdict = check(&history, &Limits::default());
    assert!(matches!(verdict, Verdict::NotLinearizable { .. }), "{verdict:?}\n{history}");
}

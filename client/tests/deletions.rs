//! What becomes of those who wait in an object that is deleted, and of what others have of it, on the pure state machine and
//! on a cluster of three nodes: they are told [`Error::ObjectLost`], and nothing of them makes the object anew.

mod stage;

use std::sync::Arc;

use greenroom::collections::{Blob, Queue};
use greenroom::sync::channel::Channel;
use greenroom::sync::{Event, Exchanger, Latch, Mutex, Notify, Once, OnceCell, Phaser, Promise, RwLock, Semaphore};
use greenroom::{Caller, Error, RawHandle};
use stage::{Stage, Started, scenarios};

scenarios! {
    who_waits_for_a_signal_is_told,
    who_waits_for_a_value_is_told,
    who_waits_for_anothers_closure_is_told,
    who_waits_for_a_partner_is_told,
    who_waits_for_others_of_a_phase_is_told,
    who_waits_for_permits_is_told,
    who_waits_for_a_lock_is_told,
    who_waits_for_a_condition_is_told,
    who_waits_in_a_channel_or_a_queue_is_told,
    a_guard_does_not_make_its_lock_anew,
    a_permit_does_not_make_its_semaphore_anew,
    a_party_does_not_make_its_phaser_anew,
    a_sender_does_not_make_its_channel_anew,
    an_initializer_does_not_make_its_cell_anew,
    a_write_that_is_given_up_does_not_make_its_blob_anew,
}

type Waits<'a> = Started<'a, Result<(), Error>>;

/// Lets a call wait, as the number `count` of those that do.
fn waits<'a, T, E>(
    stage: &'a Stage,
    object: &RawHandle,
    count: usize,
    call: impl Future<Output = Result<T, Error<E>>> + Send + 'static,
) -> Waits<'a>
where
    T: Send + 'static,
    Error: From<Error<E>>,
{
    let waits = stage.start(async move { Ok(call.await.map(drop)?) });
    stage.until_parked(object, count);
    waits
}

fn lost(object: &RawHandle) -> Error {
    Error::ObjectLost { object: object.name() }
}

/// Deletes the object: all who wait in it are told, and it is there no more.
fn delete<const N: usize>(stage: &Stage, object: &RawHandle, waiting: [Waits<'_>; N]) {
    assert_eq!(stage.parked(object), N);
    assert_eq!(object.delete(), Ok(true));
    for waits in waiting {
        assert_eq!(waits.finish(), Err(lost(object)));
    }
    is_gone(stage, object);
}

/// Nothing that this session has sent before has made the object anew.
fn is_gone(stage: &Stage, object: &RawHandle) {
    assert_eq!(stage.describe(object)["exists"], false, "{object:?}");
}

fn caller(stage: &Stage) -> Arc<dyn Caller> {
    stage.session().caller()
}

fn who_waits_for_a_signal_is_told(stage: &Stage) {
    let latch = Latch::named("l", 1).through(caller(stage));
    let (object, waiting) = (latch.object().clone(), latch.clone());
    delete(stage, &object, [waits(stage, &object, 1, async move { waiting.wait_async().await })]);
    assert_eq!(latch.count(), Ok(1), "it is a new one");
    let event = Event::named("e").through(caller(stage));
    let (object, waiting) = (event.object().clone(), event.clone());
    delete(stage, &object, [waits(stage, &object, 1, async move { waiting.wait_async().await })]);
    assert_eq!(event.is_set(), Ok(false));
    let notify = Notify::named("n").through(caller(stage));
    let (object, waiting) = (notify.object().clone(), notify.clone());
    delete(stage, &object, [waits(stage, &object, 1, async move { waiting.notified_async().await })]);
    assert_eq!((notify.notify_one(), notify.try_notified()), (Ok(()), Ok(true)), "nobody waits in the new one");
}

fn who_waits_for_a_value_is_told(stage: &Stage) {
    let promise = Promise::<u64>::named("p").through(caller(stage));
    let (object, waiting) = (promise.object().clone(), promise.clone());
    delete(stage, &object, [waits(stage, &object, 1, async move { waiting.get_async().await })]);
    assert_eq!((promise.set(1), promise.get()), (Ok(()), Ok(1)));
    let cell = OnceCell::<u64>::named("o").through(caller(stage));
    let (object, waiting) = (cell.object().clone(), cell.clone());
    delete(stage, &object, [waits(stage, &object, 1, async move { waiting.wait_async().await })]);
    assert_eq!((cell.set(2), cell.wait()), (Ok(()), Ok(2)));
}

fn who_waits_for_anothers_closure_is_told(stage: &Stage) {
    let (cell, once) = (OnceCell::<u64>::named("c").through(caller(stage)), Once::named("o").through(caller(stage)));
    let made = cell.get_or_init(|| {
        let (object, waiting) = (cell.object().clone(), cell.clone());
        let candidate = async move { waiting.get_or_init_async(async || panic!("it never is its turn")).await };
        delete(stage, &object, [waits(stage, &object, 1, candidate)]);
        1
    });
    assert_eq!(made, Err(lost(cell.object())), "who makes the value is told, too");
    is_gone(stage, cell.object());
    let done = once.call_once(|| {
        let (object, waiting) = (once.object().clone(), once.clone());
        let candidate = async move { waiting.call_once_async(async || panic!("it never is its turn")).await };
        delete(stage, &object, [waits(stage, &object, 1, candidate)]);
    });
    assert_eq!(done, Err(lost(once.object())));
    is_gone(stage, once.object());
}

fn who_waits_for_a_partner_is_told(stage: &Stage) {
    let exchanger = Exchanger::<u64>::named("x").through(caller(stage));
    let (object, waiting) = (exchanger.object().clone(), exchanger.clone());
    delete(stage, &object, [waits(stage, &object, 1, async move { waiting.exchange_async(1).await })]);
    assert!(exchanger.try_exchange(2).is_err(), "nobody waits in the new one");
}

fn who_waits_for_others_of_a_phase_is_told(stage: &Stage) {
    let phaser = Phaser::named("ph").through(caller(stage));
    let [party, _idle] = [(); 2].map(|()| phaser.register().expect("registers"));
    let (object, watching) = (phaser.object().clone(), phaser.clone());
    let arrives = waits(stage, &object, 1, async move { party.arrive_and_wait_async().await });
    let watches = waits(stage, &object, 2, async move { watching.wait_async(0).await });
    delete(stage, &object, [arrives, watches]);
    assert_eq!((phaser.registered(), phaser.phase()), (Ok(0), Ok(0)));
}

fn who_waits_for_permits_is_told(stage: &Stage) {
    let semaphore = Semaphore::named("s", 1).through(caller(stage));
    let permit = semaphore.acquire().expect("is there");
    let (object, [one, two]) = (semaphore.object().clone(), [semaphore.clone(), semaphore.clone()]);
    let one = waits(stage, &object, 1, async move { one.acquire_async().await });
    let two = waits(stage, &object, 2, async move { two.acquire_many_async(2).await });
    delete(stage, &object, [one, two]);
    assert_eq!(permit.release(), Err(lost(&object)));
    assert_eq!(semaphore.available_permits(), Ok(1));
}

fn who_waits_for_a_lock_is_told(stage: &Stage) {
    let mutex = Mutex::named("m", 0_u64).through(caller(stage));
    let guard = mutex.lock().expect("locks");
    let (object, waiting) = (mutex.object().clone(), mutex.clone());
    delete(stage, &object, [waits(stage, &object, 1, async move { waiting.lock_async().await })]);
    assert_eq!(guard.unlock(), Err(lost(&object)));
    assert_eq!(mutex.lock().map(|guard| *guard), Ok(0));

    let rwlock = RwLock::named("rw", 0_u64).through(caller(stage));
    let guard = rwlock.write().expect("locks");
    let (object, [reads, writes]) = (rwlock.object().clone(), [rwlock.clone(), rwlock.clone()]);
    let reads = waits(stage, &object, 1, async move { reads.read_async().await });
    let writes = waits(stage, &object, 2, async move { writes.write_async().await });
    delete(stage, &object, [reads, writes]);
    assert_eq!(guard.downgrade().map(drop), Err(lost(&object)));
    is_gone(stage, &object);
    assert_eq!(rwlock.read().map(|guard| *guard), Ok(0));
}

fn who_waits_for_a_condition_is_told(stage: &Stage) {
    let mutex = Mutex::named("m", 0_u64).through(caller(stage));
    let (object, ready, guard) = (mutex.object().clone(), mutex.condvar("ready"), mutex.lock().expect("locks"));
    let notified = waits(stage, &object, 1, async move { ready.wait_async(guard).await });
    let (ready, guard) = (mutex.condvar("ready"), mutex.lock().expect("locks"));
    let in_time = waits(stage, &object, 2, async move { ready.wait_timeout_async(guard, stage::DEADLINE).await });
    delete(stage, &object, [notified, in_time]);
    assert_eq!(mutex.condvar("ready").notify_one(), Ok(()), "nobody waits in the new one");
    assert_eq!(mutex.lock().map(|guard| *guard), Ok(0));
}

fn who_waits_in_a_channel_or_a_queue_is_told(stage: &Stage) {
    let channel = Channel::<u64>::unbounded("c").through(caller(stage));
    let (object, receiver) = (channel.object().clone(), channel.receiver());
    delete(stage, &object, [waits(stage, &object, 1, async move { receiver.recv_async().await })]);
    let queue = Queue::<u64>::bounded("q", 1).through(caller(stage));
    queue.push(1).expect("there is room");
    let (object, pushing) = (queue.object().clone(), queue.clone());
    delete(stage, &object, [waits(stage, &object, 1, async move { pushing.push_async(2).await })]);
    assert_eq!(queue.len(), Ok(0));
}

fn a_guard_does_not_make_its_lock_anew(stage: &Stage) {
    let caller = caller(stage);
    let (mutex, rwlock) =
        (Mutex::named("m", 0_u64).through(caller.clone()), RwLock::named("rw", 0_u64).through(caller));
    let (mut guard, mut writer) = (mutex.lock().expect("locks"), rwlock.write().expect("locks"));
    (*guard, *writer) = (1, 1);
    delete(stage, mutex.object(), []);
    delete(stage, rwlock.object(), []);
    drop((guard, writer));
    is_gone(stage, mutex.object());
    is_gone(stage, rwlock.object());
}

fn a_permit_does_not_make_its_semaphore_anew(stage: &Stage) {
    let semaphore = Semaphore::named("s", 2).through(caller(stage));
    let [dropped, forgotten] = [(); 2].map(|()| semaphore.acquire().expect("is there"));
    delete(stage, semaphore.object(), []);
    drop(dropped);
    assert_eq!(forgotten.forget(), Err(lost(semaphore.object())));
    is_gone(stage, semaphore.object());
}

fn a_party_does_not_make_its_phaser_anew(stage: &Stage) {
    let phaser = Phaser::named("ph").through(caller(stage));
    let object = phaser.object();
    let [dropped, arrives, waits, leaves, ends] = [(); 5].map(|()| phaser.register().expect("registers"));
    delete(stage, object, []);
    drop(dropped);
    is_gone(stage, object);
    assert_eq!(arrives.arrive().map_err(Error::from), Err(lost(object)));
    assert_eq!(waits.arrive_and_wait().map_err(Error::from), Err(lost(object)));
    assert_eq!(leaves.deregister().map_err(Error::from), Err(lost(object)));
    assert_eq!(ends.arrive_and_deregister().map_err(Error::from), Err(lost(object)));
    is_gone(stage, object);
    let again = phaser.register().expect("of a new one");
    drop((arrives, waits));
    assert_eq!((phaser.registered(), again.arrive()), (Ok(1), Ok(0)), "what is late means nothing to it");
}

fn a_sender_does_not_make_its_channel_anew(stage: &Stage) {
    let channel = Channel::<u64>::unbounded("c").through(caller(stage));
    let sender = channel.sender().expect("registers");
    delete(stage, channel.object(), []);
    drop(sender);
    is_gone(stage, channel.object());
}

fn an_initializer_does_not_make_its_cell_anew(stage: &Stage) {
    let cell = OnceCell::<u64>::named("o").through(caller(stage));
    let panicking = cell.clone();
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let makes = std::thread::spawn(move || panicking.get_or_init(|| panic!("{:?}", told.recv())));
    stage::until("its closure runs", || stage.describe(cell.object())["holders"][0]["what"] == "initializer");
    delete(stage, cell.object(), []);
    tell.send(()).expect("it listens");
    assert!(makes.join().is_err());
    is_gone(stage, cell.object());
}

fn a_write_that_is_given_up_does_not_make_its_blob_anew(stage: &Stage) {
    let blob = Blob::named("b").through(caller(stage));
    let content = vec![7; 3 << 20];
    assert_eq!(blob.len(), Ok(0));
    let mut write = Box::pin(blob.write_async(&content));
    stage.make(write.as_mut());
    stage::until("the first piece is there", || stage.describe(blob.object())["state"]["staged"] == 1);
    // It sends the next.
    stage.make(write.as_mut());
    delete(stage, blob.object(), []);
    drop(write);
    is_gone(stage, blob.object());
}

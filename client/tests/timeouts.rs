//! What a timeout of zero means, on the pure state machine and on a cluster of three nodes: as in `std`, it brings what is
//! ready, and waits for nothing.
//!
//! Each call is the first of its session, so that in the cluster the way to the node takes longer than no time.

mod stage;

use std::time::Duration;

use greenroom::collections::Queue;
use greenroom::sync::channel::Channel;
use greenroom::sync::oneshot::Oneshot;
use greenroom::sync::{Event, Exchanger, Latch, Mutex, Notify, OnceCell, Phaser, Promise, RwLock, Semaphore};
use greenroom::{Error, RawHandle};
use stage::{Stage, scenarios};

scenarios! {
    a_signal_that_was_given_is_had_in_no_time,
    a_value_that_was_made_is_had_in_no_time,
    a_lock_that_is_free_is_had_in_no_time,
    permits_that_are_there_are_had_in_no_time,
    a_condition_is_not_waited_for_in_no_time,
    a_value_that_is_in_a_channel_is_had_in_no_time,
    a_place_in_a_channel_is_had_in_no_time,
    a_partner_who_is_there_is_met_in_no_time,
    who_waits_is_not_overtaken_in_no_time,
}

const NO_TIME: Duration = Duration::ZERO;

/// A call finds nothing ready: it waits for nothing, and leaves nothing behind.
fn times_out<T, E>(stage: &Stage, object: &RawHandle, call: impl Future<Output = Result<T, Error<E>>> + Send + 'static)
where
    T: Send + 'static,
    E: std::fmt::Debug + Send + 'static,
{
    let timed_out = stage.start(async move { call.await.map(drop) }).finish_after(NO_TIME);
    assert!(matches!(&timed_out, Err(Error::TimedOut { object: named }) if *named == object.name()), "{timed_out:?}");
    assert_eq!(stage.parked(object), 0);
}

/// The same handle, in a session of its own.
macro_rules! fresh {
    ($stage:ident, $handle:ident) => {
        $handle.through($stage.session().caller())
    };
}

fn a_signal_that_was_given_is_had_in_no_time(stage: &Stage) {
    let caller = stage.session().caller();
    let latch = Latch::named("l", 1).through(caller.clone());
    let shut = fresh!(stage, latch);
    times_out(stage, latch.object(), async move { shut.wait_timeout_async(NO_TIME).await });
    latch.count_down().expect("counts");
    assert_eq!(fresh!(stage, latch).wait_timeout(NO_TIME), Ok(()));

    let event = Event::named("e").through(caller.clone());
    let shut = fresh!(stage, event);
    times_out(stage, event.object(), async move { shut.wait_timeout_async(NO_TIME).await });
    event.set().expect("sets");
    assert_eq!(fresh!(stage, event).wait_timeout(NO_TIME), Ok(()));

    let notify = Notify::named("n").through(caller);
    let shut = fresh!(stage, notify);
    times_out(stage, notify.object(), async move { shut.notified_timeout_async(NO_TIME).await });
    notify.notify_one().expect("notifies");
    assert_eq!(fresh!(stage, notify).notified_timeout(NO_TIME), Ok(()));
}

fn a_value_that_was_made_is_had_in_no_time(stage: &Stage) {
    let caller = stage.session().caller();
    let promise = Promise::<u64>::named("p").through(caller.clone());
    let unset = fresh!(stage, promise);
    times_out(stage, promise.object(), async move { unset.get_timeout_async(NO_TIME).await });
    promise.set(1).expect("sets");
    assert_eq!(fresh!(stage, promise).get_timeout(NO_TIME), Ok(1));

    let cell = OnceCell::<u64>::named("o").through(caller);
    let unset = fresh!(stage, cell);
    times_out(stage, cell.object(), async move { unset.wait_timeout_async(NO_TIME).await });
    cell.set(2).expect("sets");
    assert_eq!(fresh!(stage, cell).wait_timeout(NO_TIME), Ok(2));
}

fn a_lock_that_is_free_is_had_in_no_time(stage: &Stage) {
    let caller = stage.session().caller();
    let mutex = Mutex::named("m", 0_u64).through(caller.clone());
    let guard = fresh!(stage, mutex).lock_timeout(NO_TIME).expect("nobody has it");
    let other = fresh!(stage, mutex);
    times_out(stage, mutex.object(), async move { other.lock_timeout_async(NO_TIME).await });
    guard.unlock().expect("unlocks");
    let initial = vec![7_u8; 1_000];
    let large = Mutex::named("large", initial.clone()).through(caller.clone());
    let guard = fresh!(stage, large).lock_timeout(NO_TIME).expect("though the node asks first what to make it of");
    assert_eq!(*guard, initial);

    let rwlock = RwLock::named("rw", 0_u64).through(caller);
    let reader = fresh!(stage, rwlock).read_timeout(NO_TIME).expect("nobody has it");
    drop(fresh!(stage, rwlock).read_timeout(NO_TIME).expect("readers share it"));
    let other = fresh!(stage, rwlock);
    times_out(stage, rwlock.object(), async move { other.write_timeout_async(NO_TIME).await });
    reader.unlock().expect("unlocks");
    let writer = stage::until_some("the other reader is gone", || rwlock.try_write().expect("asks"));
    let other = fresh!(stage, rwlock);
    times_out(stage, rwlock.object(), async move { other.read_timeout_async(NO_TIME).await });
    writer.unlock().expect("unlocks");
    drop(fresh!(stage, rwlock).write_timeout(NO_TIME).expect("nobody has it"));
}

fn permits_that_are_there_are_had_in_no_time(stage: &Stage) {
    let semaphore = Semaphore::named("s", 2).through(stage.session().caller());
    let permit = fresh!(stage, semaphore).acquire_timeout(NO_TIME).expect("both are there");
    let other = fresh!(stage, semaphore);
    times_out(stage, semaphore.object(), async move { other.acquire_many_timeout_async(2, NO_TIME).await });
    permit.release().expect("releases");
    drop(fresh!(stage, semaphore).acquire_many_timeout(2, NO_TIME).expect("both are there"));
}

fn a_condition_is_not_waited_for_in_no_time(stage: &Stage) {
    let mutex = Mutex::named("m", 0_u64).through(stage.session().caller());
    let ready = mutex.condvar("ready");
    let mut guard = mutex.lock().expect("locks");
    *guard = 7;
    let waits = stage.start(async move { ready.wait_timeout_async(guard, NO_TIME).await });
    let (guard, waited) = waits.finish_after(NO_TIME).expect("has the lock again");
    assert_eq!((*guard, waited.timed_out()), (7, true));
}

fn a_value_that_is_in_a_channel_is_had_in_no_time(stage: &Stage) {
    let caller = stage.session().caller();
    let channel = Channel::<u64>::unbounded("c").through(caller.clone());
    let receiver = fresh!(stage, channel).receiver();
    times_out(stage, channel.object(), async move { receiver.recv_timeout_async(NO_TIME).await });
    channel.sender().expect("registers").send(1).expect("sends");
    assert_eq!(fresh!(stage, channel).receiver().recv_timeout(NO_TIME), Ok(1));

    let queue = Queue::<u64>::named("q").through(caller.clone());
    let empty = fresh!(stage, queue);
    times_out(stage, queue.object(), async move { empty.take_timeout_async(NO_TIME).await });
    queue.push(2).expect("pushes");
    assert_eq!(fresh!(stage, queue).take_timeout(NO_TIME), Ok(2));

    let oneshot = Oneshot::<u64>::named("one").through(caller);
    let receiver = fresh!(stage, oneshot).receiver();
    times_out(stage, oneshot.object(), async move { receiver.recv_timeout_async(NO_TIME).await });
    oneshot.sender().expect("registers").send(3).expect("sends");
    assert_eq!(fresh!(stage, oneshot).receiver().recv_timeout(NO_TIME), Ok(3));
}

fn a_place_in_a_channel_is_had_in_no_time(stage: &Stage) {
    let caller = stage.session().caller();
    let channel = Channel::<u64>::bounded("c", 1).through(caller.clone());
    let _open = channel.sender().expect("registers");
    let sender = fresh!(stage, channel).sender().expect("registers");
    let unregistered = sender.through(stage.session().caller());
    assert_eq!(unregistered.send_timeout(1, NO_TIME), Ok(()));
    times_out(stage, channel.object(), async move { sender.send_timeout_async(2, NO_TIME).await });

    let queue = Queue::<u64>::bounded("q", 1).through(caller);
    assert_eq!(fresh!(stage, queue).push_timeout(1, NO_TIME), Ok(()));
    let full = fresh!(stage, queue);
    times_out(stage, queue.object(), async move { full.push_timeout_async(2, NO_TIME).await });
}

fn a_partner_who_is_there_is_met_in_no_time(stage: &Stage) {
    let caller = stage.session().caller();
    let exchanger = Exchanger::<u64>::named("x").through(caller.clone());
    let alone = fresh!(stage, exchanger);
    times_out(stage, exchanger.object(), async move { alone.exchange_timeout_async(1, NO_TIME).await });
    let offering = exchanger.clone();
    let offered = stage.start(async move { offering.exchange_async(2).await });
    stage.until_parked(exchanger.object(), 1);
    assert_eq!(fresh!(stage, exchanger).exchange_timeout(3, NO_TIME), Ok(2));
    assert_eq!(offered.finish(), Ok(3));

    let phaser = Phaser::named("ph").through(caller);
    let [one, other] = [(); 2].map(|()| fresh!(stage, phaser).register().expect("registers"));
    let watches = fresh!(stage, phaser);
    times_out(stage, phaser.object(), async move { watches.wait_timeout_async(0, NO_TIME).await });
    let waits = stage.start(async move { (one.arrive_and_wait_timeout_async(NO_TIME).await, one) });
    let (timed_out, one) = waits.finish_after(NO_TIME);
    assert!(matches!(timed_out, Err(Error::TimedOut { .. })), "{timed_out:?}");
    assert_eq!((one.arrive(), other.arrive_and_wait_timeout(NO_TIME)), (Ok(0), Ok(1)));
    assert_eq!(fresh!(stage, phaser).wait_timeout(0, NO_TIME), Ok(1));
}

fn who_waits_is_not_overtaken_in_no_time(stage: &Stage) {
    let semaphore = Semaphore::named("s", 2).through(stage.session().caller());
    let permit = semaphore.acquire().expect("one is there");
    let large = semaphore.clone();
    let large = stage.start(async move { large.acquire_many_async(2).await.map(drop) });
    stage.until_parked(semaphore.object(), 1);
    let hasty = fresh!(stage, semaphore);
    let hasty = stage.start(async move { hasty.acquire_timeout_async(NO_TIME).await.map(drop) });
    let hasty = hasty.finish_after(NO_TIME);
    assert!(matches!(hasty, Err(Error::TimedOut { .. })), "the one that is left is for who came first: {hasty:?}");
    permit.release().expect("releases");
    assert_eq!(large.finish(), Ok(()));
}

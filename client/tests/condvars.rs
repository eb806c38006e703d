//! What `Mutex` and its `Condvar`s promise, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::collections::VecDeque;
use std::time::Duration;

use greenroom::sync::{Condvar, Mutex, MutexGuard};
use greenroom::{Error, RawHandle, Refusal};
use stage::{DEADLINE, Session, Stage, Started, scenarios};

scenarios! {
    a_value_that_became_too_large_to_wait_with_gives_the_lock_back,
    a_lock_goes_from_caller_to_caller_in_order_and_try_lock_does_not_overtake,
    a_lock_that_is_given_up_or_whose_owner_ends_goes_to_the_next,
    a_wait_gives_the_lock_up_with_the_value_and_returns_with_both,
    who_is_notified_waits_behind_those_who_wait_for_the_lock,
    notify_one_wakes_in_order_and_notify_all_wakes_everybody,
    a_notification_of_a_waiter_that_timed_out_goes_to_the_next,
    a_notification_of_a_waiter_that_gave_up_goes_to_the_next,
    a_notification_of_a_waiter_whose_session_ended_goes_to_the_next,
    a_notification_is_passed_on_when_who_holds_the_lock_by_it_ends,
    a_wait_that_is_not_notified_times_out_with_the_lock,
    waits_with_a_condition_go_on_until_it_is_met_or_the_time_is_over,
    a_guard_cannot_wait_for_the_condition_of_another_mutex,
    a_superseded_guard_cannot_wait,
    a_deleted_mutex_is_not_made_anew_by_those_who_used_it,
    producers_and_consumers_hand_everything_over,
}

const TIMEOUT: Duration = Duration::from_millis(100);

type Waiting<'a> = Started<'a, Result<MutexGuard<u64>, Error>>;

fn mutex(session: &Session) -> Mutex<u64> {
    Mutex::named("m", 0).through(session.caller())
}

fn ready(session: &Session) -> Condvar<u64> {
    mutex(session).condvar("ready")
}

/// Locks, waits for the condition, and returns with the guard; it is parked when this returns.
fn wait<'a>(stage: &'a Stage, session: &Session) -> Waiting<'a> {
    let (mutex, ready) = (mutex(session), ready(session));
    let guard = mutex.lock().expect("locks");
    let n_parked = stage.parked(mutex.object());
    let waiting = stage.start(async move { ready.wait_async(guard).await });
    stage.until_parked(mutex.object(), n_parked + 1);
    waiting
}

/// Begins to lock, behind those who wait for it.
fn lock<'a>(stage: &'a Stage, session: &Session) -> Waiting<'a> {
    let mutex = mutex(session);
    let (object, n_parked) = (mutex.object().clone(), stage.parked(mutex.object()));
    let locking = stage.start(async move { mutex.lock_async().await });
    stage.until_parked(&object, n_parked + 1);
    locking
}

/// How many wait for the lock.
fn in_queue(stage: &Stage, object: &RawHandle) -> u64 {
    stage.describe(object)["state"]["waiting"].as_u64().expect("is a number")
}

fn unlock(guard: Result<MutexGuard<u64>, Error>) {
    guard.expect("has the lock").unlock().expect("unlocks");
}

fn a_lock_goes_from_caller_to_caller_in_order_and_try_lock_does_not_overtake(stage: &Stage) {
    let [one, other] = stage.sessions();
    let mut guard = mutex(&one).lock().expect("locks");
    *guard = 1;
    let (second, third) = (lock(stage, &other), lock(stage, &one));
    assert!(mutex(&other).try_lock().expect("asks").is_none());
    let first = guard.fence();
    guard.unlock().expect("unlocks");
    let mut second = second.finish().expect("locks");
    assert!(mutex(&one).try_lock().expect("asks").is_none(), "the third is next");
    assert!(*second == 1 && second.fence() > first);
    *second += 1;
    drop(second);
    assert_eq!(*third.finish().expect("locks"), 2, "dropping a guard writes back");
}

fn a_lock_that_is_given_up_or_whose_owner_ends_goes_to_the_next(stage: &Stage) {
    let [holder, ending, next] = stage.sessions();
    let object = mutex(&holder).object().clone().through(next.caller());
    let mut guard = mutex(&holder).lock().expect("locks");
    let (gives_up, ends, last) = (lock(stage, &next), lock(stage, &ending), lock(stage, &next));
    let hasty = mutex(&next);
    let hasty = stage.start(async move { hasty.lock_timeout_async(TIMEOUT).await.map(drop) });
    stage.until_parked(&object, 4);
    gives_up.give_up();
    ending.end();
    assert!(ends.finish().is_err(), "its session has ended");
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Mutex/m".to_owned() }));
    stage.until_parked(&object, 1);
    *guard = 99;
    let fence = guard.fence();
    holder.end();
    assert_eq!(*last.finish().expect("locks"), 0, "what the owner that ended had changed is void");
    assert_eq!(guard.unlock(), Err(Error::Superseded { object: "Mutex/m".to_owned(), fence }));
}

fn a_wait_gives_the_lock_up_with_the_value_and_returns_with_both(stage: &Stage) {
    let [one, other] = stage.sessions();
    let mut guard = mutex(&one).lock().expect("locks");
    *guard = 7;
    let waits = ready(&one);
    let waiting = stage.start(async move { waits.wait_async(guard).await });
    stage.until_parked(mutex(&one).object(), 1);
    let mut guard = mutex(&other).try_lock().expect("asks").expect("is free");
    assert_eq!(*guard, 7);
    *guard = 8;
    ready(&other).notify_one().expect("notifies");
    assert!(!waiting.is_finished(), "the lock is still held");
    guard.unlock().expect("unlocks");
    assert_eq!(*waiting.finish().expect("returns"), 8);
    ready(&other).notify_all().expect("without a waiter it means nothing");
}

fn who_is_notified_waits_behind_those_who_wait_for_the_lock(stage: &Stage) {
    let [one, other] = stage.sessions();
    let waiting = wait(stage, &one);
    let guard = mutex(&other).lock().expect("locks");
    let early = lock(stage, &other);
    ready(&other).notify_one().expect("notifies");
    let late = lock(stage, &other);
    guard.unlock().expect("unlocks");
    let early = early.finish();
    assert!(!waiting.is_finished() && !late.is_finished());
    unlock(early);
    let woken = waiting.finish();
    assert!(!late.is_finished());
    unlock(woken);
    unlock(late.finish());
}

fn notify_one_wakes_in_order_and_notify_all_wakes_everybody(stage: &Stage) {
    let [one, other] = stage.sessions();
    let mut waiting: VecDeque<Waiting<'_>> = (0..4).map(|_| wait(stage, &one)).collect();
    let apart = mutex(&other).condvar("another");
    apart.notify_all().expect("notifies");
    assert_eq!(stage.parked(mutex(&other).object()), 4, "each condition has its own waiters");
    ready(&other).notify_one().expect("notifies");
    unlock(waiting.pop_front().expect("the first").finish());
    assert_eq!(stage.parked(mutex(&other).object()), 3);
    ready(&other).notify_all().expect("notifies");
    for woken in waiting {
        unlock(woken.finish());
    }
}

/// The first of two waiters is notified while somebody else has the lock, and then `leaves` before it gets it.
fn notified_and_gone(stage: &Stage, leaves: impl FnOnce(Waiting<'_>, Session)) {
    let [first, second, holder] = stage.sessions();
    let object = mutex(&holder).object().clone();
    let gone = wait(stage, &first);
    let waiting = wait(stage, &second);
    let guard = mutex(&holder).lock().expect("locks");
    ready(&holder).notify_one().expect("notifies");
    assert_eq!(in_queue(stage, &object), 1);
    leaves(gone, first);
    stage.until_parked(&object, 1);
    assert_eq!(in_queue(stage, &object), 1, "the second has the notification now");
    guard.unlock().expect("unlocks");
    unlock(waiting.finish());
}

fn a_notification_of_a_waiter_that_gave_up_goes_to_the_next(stage: &Stage) {
    notified_and_gone(stage, |waiting, _session| waiting.give_up());
}

fn a_notification_of_a_waiter_whose_session_ended_goes_to_the_next(stage: &Stage) {
    notified_and_gone(stage, |waiting, session| {
        session.end();
        assert!(waiting.finish().is_err());
    });
}

fn a_notification_of_a_waiter_that_timed_out_goes_to_the_next(stage: &Stage) {
    let [one, other] = stage.sessions();
    let object = mutex(&other).object().clone();
    let (guard, hasty) = (mutex(&one).lock().expect("locks"), ready(&one));
    let hasty = stage.start(async move { hasty.wait_timeout_async(guard, TIMEOUT * 10).await });
    stage.until_parked(&object, 1);
    let waiting = wait(stage, &one);
    let guard = mutex(&other).lock().expect("locks");
    ready(&other).notify_one().expect("notifies");
    assert_eq!(in_queue(stage, &object), 1);
    stage.pass(TIMEOUT * 10);
    stage::until("it waits for the lock again", || in_queue(stage, &object) == 2);
    guard.unlock().expect("unlocks");
    unlock(waiting.finish());
    let (guard, waited) = hasty.finish().expect("has the lock");
    assert!(waited.timed_out());
    unlock(Ok(guard));
}

fn a_notification_is_passed_on_when_who_holds_the_lock_by_it_ends(stage: &Stage) {
    let [first, second, notifier] = stage.sessions();
    let (woken, waiting) = (wait(stage, &first), wait(stage, &second));
    ready(&notifier).notify_one().expect("notifies");
    let mut guard = woken.finish().expect("has the lock");
    *guard = 99;
    first.end();
    assert_eq!(*waiting.finish().expect("is notified in its place"), 0, "nothing came of the first");
    drop(guard);
}

fn a_wait_that_is_not_notified_times_out_with_the_lock(stage: &Stage) {
    const TRIES: u64 = 50;
    let [one, other] = stage.sessions();
    let (mut guard, hasty) = (mutex(&one).lock().expect("locks"), ready(&one));
    *guard = 5;
    let waiting = stage.start(async move { hasty.wait_timeout_async(guard, TIMEOUT).await });
    let (guard, waited) = waiting.finish_after(TIMEOUT).expect("has the lock");
    assert!(waited.timed_out());
    assert_eq!(*guard, 5, "what was changed before the wait is written");
    assert_eq!(stage.parked(mutex(&other).object()), 0);
    // In no time at all, too: most of these calls come to the node after it, and then the lock was not given up there.
    let mut guard = guard;
    for _ in 0..TRIES {
        let hasty = ready(&one);
        *guard += 1;
        let waiting = stage.start(async move { hasty.wait_timeout_async(guard, Duration::ZERO).await });
        let (again, waited) = waiting.finish_after(TIMEOUT).expect("has the lock");
        assert!(waited.timed_out());
        guard = again;
    }
    assert_eq!(*guard, 5 + TRIES);
    unlock(Ok(guard));
    let (guard, patient) = (mutex(&one).lock().expect("locks"), ready(&one));
    let waiting = stage.start(async move { patient.wait_timeout_async(guard, DEADLINE).await });
    stage.until_parked(mutex(&other).object(), 1);
    ready(&other).notify_one().expect("notifies");
    assert!(!waiting.finish().expect("has the lock").1.timed_out());
}

fn waits_with_a_condition_go_on_until_it_is_met_or_the_time_is_over(stage: &Stage) {
    let [one, other] = stage.sessions();
    let object = mutex(&other).object().clone();
    let (guard, waits) = (mutex(&one).lock().expect("locks"), ready(&one));
    let waiting = stage.start(async move { waits.wait_while_async(guard, |value| *value < 2).await });
    for value in 1..=2 {
        stage.until_parked(&object, 1);
        let mut guard = mutex(&other).lock().expect("locks");
        *guard = value;
        guard.unlock().expect("unlocks");
        ready(&other).notify_one().expect("notifies");
    }
    let guard = waiting.finish().expect("has the lock");
    assert_eq!(*guard, 2);

    let waits = ready(&one);
    let waiting = stage.start(async move { waits.wait_timeout_while_async(guard, TIMEOUT, |value| *value < 3).await });
    let (guard, waited) = waiting.finish_after(TIMEOUT).expect("has the lock");
    assert!(waited.timed_out());
    let waits = ready(&one);
    let met = stage.start(async move { waits.wait_timeout_while_async(guard, TIMEOUT, |value| *value < 2).await });
    assert!(!met.finish().expect("has the lock").1.timed_out());
}

fn a_guard_cannot_wait_for_the_condition_of_another_mutex(stage: &Stage) {
    let session = stage.session();
    let strange = Mutex::named("other", 0_u64).through(session.caller());
    let mut guard = strange.lock().expect("locks");
    *guard = 1;
    let Err(Error::NotSent { object, why }) = ready(&session).wait(guard) else { panic!("it is refused") };
    assert!(object == "Mutex/other" && why.contains("a condition of `Mutex/m`"), "{object}: {why}");
    let again = stage.start(async move { strange.lock_async().await });
    assert_eq!(*again.finish().expect("is unlocked"), 1);
}

fn a_superseded_guard_cannot_wait(stage: &Stage) {
    let [owner, other] = stage.sessions();
    let guard = mutex(&owner).lock().expect("locks");
    let fence = guard.fence();
    owner.end();
    let refused = ready(&other).wait(guard).map(drop);
    assert_eq!(refused, Err(Error::Superseded { object: "Mutex/m".to_owned(), fence }));
    assert!(mutex(&other).try_lock().expect("asks").is_some());
}

fn a_deleted_mutex_is_not_made_anew_by_those_who_used_it(stage: &Stage) {
    let [one, other] = stage.sessions();
    let (object, lost) = (mutex(&other).object().clone(), Error::ObjectLost { object: "Mutex/m".to_owned() });
    let waiting = wait(stage, &one);
    let guard = mutex(&other).lock().expect("locks");
    assert_eq!(object.delete(), Ok(true));
    assert_eq!(waiting.finish().map(drop), Err(lost.clone()));
    assert_eq!(ready(&other).wait(guard).map(drop), Err(lost.clone()));
    assert_eq!(stage.describe(&object)["exists"], false);
    let guard = mutex(&other).lock().expect("locks a new one");
    assert_eq!(object.delete(), Ok(true));
    assert_eq!(guard.unlock(), Err(lost));
    assert_eq!(stage.describe(&object)["exists"], false);
}

fn producers_and_consumers_hand_everything_over(stage: &Stage) {
    const EACH: u64 = 20;
    const ROOM: usize = 2;
    let sessions: [Session; 4] = stage.sessions();
    let buffer =
        |session: &Session| Mutex::named("buffer", VecDeque::<u64>::with_capacity(ROOM)).through(session.caller());
    let producing: Vec<_> = sessions[..2]
        .iter()
        .map(|session| {
            let buffer = buffer(session);
            stage.start(async move {
                let (not_full, not_empty) = (buffer.condvar("not_full"), buffer.condvar("not_empty"));
                for item in 1..=EACH {
                    let guard = buffer.lock_async().await?;
                    let mut guard = not_full.wait_while_async(guard, |items| items.len() == ROOM).await?;
                    guard.push_back(item);
                    guard.unlock_async().await?;
                    not_empty.notify_one_async().await?;
                }
                Ok::<(), Error>(())
            })
        })
        .collect();
    let consuming: Vec<_> = sessions[2..]
        .iter()
        .map(|session| {
            let buffer = buffer(session);
            stage.start(async move {
                let (not_full, not_empty) = (buffer.condvar("not_full"), buffer.condvar("not_empty"));
                let mut sum = 0;
                for _ in 0..EACH {
                    let guard = buffer.lock_async().await?;
                    let mut guard = not_empty.wait_while_async(guard, |items| items.is_empty()).await?;
                    sum += guard.pop_front().unwrap_or_default();
                    guard.unlock_async().await?;
                    not_full.notify_one_async().await?;
                }
                Ok::<u64, Error>(sum)
            })
        })
        .collect();
    producing.into_iter().for_each(|task| task.finish().expect("produces"));
    let sum: u64 = consuming.into_iter().map(|task| task.finish().expect("consumes")).sum();
    assert_eq!(sum, EACH * (EACH + 1));
}

fn a_value_that_became_too_large_to_wait_with_gives_the_lock_back(stage: &Stage) {
    let [one, other] = stage.sessions();
    let text = |session: &Session| Mutex::named("text", String::new()).through(session.caller());
    let mut guard = text(&one).lock().expect("locks");
    guard.push_str(&"x".repeat(40 << 20));
    let refused = text(&one).condvar("changed").wait(guard).map(drop);
    assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::TooLarge { .. }, .. })));
    let next = text(&other);
    let guard = stage.start(async move { next.lock_async().await }).finish().expect("it was given back");
    assert_eq!(*guard, "", "the change is not applied");
}

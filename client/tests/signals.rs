//! What `Latch`, `Event` and `Notify` promise, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::Error;
use greenroom::sync::{Event, Latch, Notify};
use stage::{Session, Stage, Started, scenarios};

scenarios! {
    a_latch_opens_at_zero_for_good,
    counting_below_zero_stops_there,
    a_latch_of_zero_is_open_and_one_of_another_count_is_refused,
    waits_at_a_latch_that_end_early_leave_nothing_behind,
    an_event_lets_through_until_it_is_cleared,
    waits_for_an_event_that_end_early_leave_nothing_behind,
    one_notification_wakes_one_in_order,
    one_notification_that_came_too_early_is_kept_and_no_more,
    notify_waiters_wakes_those_who_wait_and_nobody_later,
    a_notification_passes_over_who_gave_up,
    a_notification_that_was_not_taken_goes_to_the_next_in_order,
    a_notification_for_all_that_was_not_taken_goes_to_nobody,
    a_permit_is_taken_without_waiting,
    a_permit_that_was_taken_and_not_seen_is_passed_on,
}

const TIMEOUT: Duration = Duration::from_millis(100);

type Waited = Result<(), Error>;

fn latch(session: &Session, count: u64) -> Latch {
    Latch::named("l", count).through(session.caller())
}

fn event(session: &Session) -> Event {
    Event::named("e").through(session.caller())
}

fn notify(session: &Session) -> Notify {
    Notify::named("n").through(session.caller())
}

/// Lets a call wait, as the number `count` of those that do.
fn notified<'a>(stage: &'a Stage, notify: &Notify, count: usize) -> Started<'a, Waited> {
    let waiting = notify.clone();
    let waits = stage.start(async move { waiting.notified_async().await });
    stage.until_parked(notify.object(), count);
    waits
}

fn a_latch_opens_at_zero_for_good(stage: &Stage) {
    let [worker, waiter] = stage.sessions().map(|session: Session| latch(&session, 3));
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let latch = waiter.clone();
            stage.start(async move { latch.wait_async().await })
        })
        .collect();
    stage.until_parked(waiter.object(), 5);
    assert_eq!((worker.count_down(), waiter.count(), waiter.try_wait()), (Ok(2), Ok(2), Ok(false)));
    assert_eq!(worker.count_down(), Ok(1));
    assert_eq!(stage.parked(waiter.object()), 5, "one is left");
    assert_eq!(worker.count_down(), Ok(0));
    for wait in waiting {
        assert_eq!(wait.finish(), Ok(()));
    }
    assert_eq!((waiter.wait(), waiter.try_wait(), waiter.count()), (Ok(()), Ok(true), Ok(0)));
}

fn counting_below_zero_stops_there(stage: &Stage) {
    let latch = latch(&stage.session(), 10);
    assert_eq!(latch.count_down_by(4), Ok(6));
    assert_eq!(latch.count_down_by(0), Ok(6));
    assert_eq!(latch.count_down_by(u64::MAX), Ok(0));
    assert_eq!(latch.count_down(), Ok(0));
    assert_eq!(latch.wait(), Ok(()));
}

fn a_latch_of_zero_is_open_and_one_of_another_count_is_refused(stage: &Stage) {
    let session = stage.session();
    assert_eq!(latch(&session, 0).wait(), Ok(()));
    let refused = latch(&session, 1).wait().expect_err("it is one of 0");
    let said = "`Latch/l` refused the call, nothing was applied: the object exists already, made with {count: 0}, and this \
                caller names {count: 1}";
    assert_eq!(refused.to_string(), said);
}

fn waits_at_a_latch_that_end_early_leave_nothing_behind(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let latch = latch(&session, 1);
    let wait = |latch: &Latch, count| {
        let waiting = latch.clone();
        let waits = stage.start(async move { waiting.wait_async().await });
        stage.until_parked(latch.object(), count);
        waits
    };
    let hasty = latch.clone();
    let hasty = stage.start(async move { hasty.wait_timeout_async(TIMEOUT).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Latch/l".to_owned() }));
    wait(&latch, 1).give_up();
    stage.until_parked(latch.object(), 0);
    let _dead = wait(&latch.through(dying.caller()), 1);
    dying.end();
    stage.until_parked(latch.object(), 0);
    assert_eq!(stage.describe(latch.object())["state"], serde_json::json!({ "count": 1, "waiting": 0 }));
    assert_eq!((latch.count_down(), latch.wait_timeout(TIMEOUT)), (Ok(0), Ok(())));
}

fn an_event_lets_through_until_it_is_cleared(stage: &Stage) {
    let [setter, waiter] = stage.sessions().map(|session: Session| event(&session));
    assert_eq!(waiter.is_set(), Ok(false));
    for _ in 0..3 {
        let waiting = [(); 2].map(|()| {
            let event = waiter.clone();
            stage.start(async move { event.wait_async().await })
        });
        stage.until_parked(waiter.object(), 2);
        assert_eq!((setter.set(), setter.set()), (Ok(()), Ok(())));
        assert_eq!((waiter.is_set(), waiter.wait()), (Ok(true), Ok(())), "who comes later need not wait");
        assert_eq!((setter.clear(), setter.clear()), (Ok(()), Ok(())));
        assert_eq!(waiting.map(Started::finish), [Ok(()), Ok(())], "who waited when it was set comes through");
        assert_eq!(waiter.is_set(), Ok(false));
    }
}

fn waits_for_an_event_that_end_early_leave_nothing_behind(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let event = event(&session);
    let hasty = event.clone();
    let hasty = stage.start(async move { hasty.wait_timeout_async(TIMEOUT).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Event/e".to_owned() }));
    let (given_up, dead) = (event.clone(), event.through(dying.caller()));
    let given_up = stage.start(async move { given_up.wait_async().await });
    let _dead = stage.start(async move { dead.wait_async().await });
    stage.until_parked(event.object(), 2);
    given_up.give_up();
    dying.end();
    stage.until_parked(event.object(), 0);
    assert_eq!(stage.describe(event.object())["state"], serde_json::json!({ "set": false, "waiting": 0 }));
    assert_eq!((event.set(), event.wait_timeout(TIMEOUT)), (Ok(()), Ok(())));
}

fn one_notification_wakes_one_in_order(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| notify(&session));
    let first = notified(stage, &one, 1);
    let second = notified(stage, &other, 2);
    let third = notified(stage, &one, 3);
    for (next, left) in [(first, 2), (second, 1), (third, 0)] {
        assert_eq!(one.notify_one(), Ok(()));
        assert_eq!(next.finish(), Ok(()));
        assert_eq!(stage.parked(one.object()), left);
    }
}

fn one_notification_that_came_too_early_is_kept_and_no_more(stage: &Stage) {
    let notify = notify(&stage.session());
    assert_eq!((notify.notify_one(), notify.notify_one()), (Ok(()), Ok(())));
    assert_eq!(notify.notified(), Ok(()));
    let waits = notified(stage, &notify, 1);
    assert_eq!(notify.notify_one(), Ok(()));
    assert_eq!(waits.finish(), Ok(()));
}

fn notify_waiters_wakes_those_who_wait_and_nobody_later(stage: &Stage) {
    let notify = notify(&stage.session());
    assert_eq!(notify.notify_waiters(), Ok(()));
    let waiting = [1, 2, 3].map(|count| notified(stage, &notify, count));
    assert_eq!(notify.notify_waiters(), Ok(()));
    assert_eq!(waiting.map(Started::finish), [const { Ok(()) }; 3]);
    let late = notified(stage, &notify, 1);
    assert_eq!(notify.notify_one(), Ok(()));
    assert_eq!(late.finish(), Ok(()));
}

fn a_notification_passes_over_who_gave_up(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let notify = notify(&session);
    let hasty = notify.clone();
    let hasty = stage.start(async move { hasty.notified_timeout_async(TIMEOUT).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Notify/n".to_owned() }));
    let given_up = notified(stage, &notify, 1);
    let _dead = notified(stage, &notify.through(dying.caller()), 2);
    let patient = notified(stage, &notify, 3);
    given_up.give_up();
    dying.end();
    stage.until_parked(notify.object(), 1);
    assert_eq!(notify.notify_one(), Ok(()));
    assert_eq!(patient.finish(), Ok(()));
}

fn a_notification_that_was_not_taken_goes_to_the_next_in_order(stage: &Stage) {
    let notify = notify(&stage.session());
    let held = stage.hold(notify.object(), notify.notified_async());
    let next = notified(stage, &notify, 2);
    let last = notified(stage, &notify, 3);
    assert_eq!(notify.notify_one(), Ok(()));
    assert_eq!(stage.parked(notify.object()), 2, "it was for the first");
    drop(held);
    assert_eq!(next.finish(), Ok(()));
    assert_eq!(stage.parked(notify.object()), 1, "and is for the second now");
    let held = stage.hold(notify.object(), notify.notified_async());
    assert_eq!(notify.notify_one(), Ok(()));
    assert_eq!(last.finish(), Ok(()));
    assert_eq!(notify.notify_one(), Ok(()));
    stage.until_parked(notify.object(), 0);
    drop(held);
    assert_eq!(notify.notified(), Ok(()), "nobody waited, so it is kept");
}

fn a_notification_for_all_that_was_not_taken_goes_to_nobody(stage: &Stage) {
    let notify = notify(&stage.session());
    let held = stage.hold(notify.object(), notify.notified_async());
    assert_eq!(notify.notify_waiters(), Ok(()));
    stage.until_parked(notify.object(), 0);
    drop(held);
    let waits = notified(stage, &notify, 1);
    assert!(!waits.is_finished());
    assert_eq!(notify.notify_one(), Ok(()));
    assert_eq!(waits.finish(), Ok(()));
    let permit = &stage.describe(notify.object())["state"]["permit"];
    assert_eq!(permit, &serde_json::json!(false), "it was for the one who waited");
}

fn a_permit_is_taken_without_waiting(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| notify(&session));
    assert_eq!(one.try_notified(), Ok(false));
    assert_eq!((other.notify_one(), one.try_notified(), one.try_notified()), (Ok(()), Ok(true), Ok(false)));
    assert_eq!((other.notify_waiters(), one.try_notified()), (Ok(()), Ok(false)), "nothing is kept for those who come");
    let waits = notified(stage, &one, 1);
    assert_eq!((other.notify_one(), other.try_notified()), (Ok(()), Ok(false)), "it is for who waited");
    assert_eq!(waits.finish(), Ok(()));
}

fn a_permit_that_was_taken_and_not_seen_is_passed_on(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| notify(&session));
    let has_permit = || stage.describe(one.object())["state"]["permit"] == true;
    one.notify_one().expect("notifies");
    let taken = stage.answered(one.try_notified_async(), || !has_permit());
    drop(taken);
    stage::until("it is kept again", has_permit);
    let taken = stage.answered(one.try_notified_async(), || !has_permit());
    let waits = notified(stage, &other, 1);
    drop(taken);
    assert_eq!(waits.finish(), Ok(()));
    let nothing = stage.answered(one.try_notified_async(), || one.try_notified() == Ok(false));
    drop(nothing);
    assert_eq!(one.try_notified(), Ok(false), "where nothing was taken, nothing comes back");
}

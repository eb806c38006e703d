//! What `OnceCell` and `Once` promise, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::sync::Mutex;
use std::time::Duration;

use greenroom::sync::{Once, OnceCell, SetError};
use greenroom::{Cell, Error, Refusal};
use stage::{Session, Stage, Started, scenarios};
use tokio::sync::oneshot;

scenarios! {
    one_caller_makes_the_value_and_the_others_wait_for_it,
    a_value_is_set_once,
    a_value_is_not_set_while_another_caller_makes_one,
    a_closure_may_make_calls_and_block,
    a_closure_that_fails_leaves_it_to_the_next,
    a_closure_that_panics_leaves_it_to_the_next,
    a_closure_that_is_given_up_leaves_it_to_the_next,
    who_gave_up_after_it_was_told_to_begin_leaves_it_to_the_next,
    waits_that_end_early_leave_nothing_behind,
    the_next_makes_the_value_when_a_session_ends_and_the_late_one_is_refused,
    who_waits_for_the_value_makes_none,
    many_threads_run_one_closure,
    a_once_is_done_once,
    a_once_that_panics_is_done_by_the_next,
    values_of_two_types_do_not_meet,
    who_makes_the_value_of_a_deleted_cell_does_not_make_the_cell_anew,
    who_waits_for_anothers_closure_may_have_a_limit,
    a_closure_takes_as_long_as_it_needs,
}

const TIMEOUT: Duration = Duration::from_millis(100);

fn cell(session: &Session) -> OnceCell<String> {
    OnceCell::named("o").through(session.caller())
}

/// Lets a call wait for what another makes, as the number `count` of those that do; it would make `value`.
fn candidate<'a>(
    stage: &'a Stage,
    cell: &OnceCell<String>,
    value: &'static str,
    count: usize,
) -> Started<'a, Result<String, Error>> {
    let waiting = cell.clone();
    let waits = stage.start(async move { waiting.get_or_init_async(async || value.to_owned()).await });
    stage.until_parked(cell.object(), count);
    waits
}

/// A call that makes the value, and what tells its closure how to end.
type Making<'a> = (Started<'a, Result<String, Error<String>>>, oneshot::Sender<Result<String, String>>);

/// A caller in the midst of its closure, which ends with what it is told.
fn in_its_closure<'a>(stage: &'a Stage, cell: &OnceCell<String>) -> Making<'a> {
    let (tell, told) = oneshot::channel();
    let (begun, has_begun) = oneshot::channel();
    let cell = cell.clone();
    let makes = stage.start(async move {
        cell.get_or_try_init_async(async || {
            begun.send(()).expect("somebody waits");
            told.await.expect("somebody tells")
        })
        .await
    });
    has_begun.blocking_recv().expect("it begins");
    (makes, tell)
}

fn one_caller_makes_the_value_and_the_others_wait_for_it(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| cell(&session));
    assert_eq!((other.is_initialized(), other.get()), (Ok(false), Ok(None)));
    let (makes, tell) = in_its_closure(stage, &one);
    let waiting = [candidate(stage, &other, "unwanted", 1), candidate(stage, &one, "unwanted", 2)];
    assert_eq!((other.is_initialized(), other.get()), (Ok(false), Ok(None)), "`get` does not wait");
    let description = stage.describe(one.object());
    assert_eq!(description["holders"][0]["what"], "initializer");
    tell.send(Ok("value".to_owned())).expect("it listens");
    assert_eq!(makes.finish(), Ok("value".to_owned()));
    assert_eq!(waiting.map(Started::finish), [Ok("value".to_owned()), Ok("value".to_owned())]);
    assert_eq!(other.get_or_init(|| panic!("there is a value")), Ok("value".to_owned()));
    assert_eq!((other.is_initialized(), other.get()), (Ok(true), Ok(Some("value".to_owned()))));
    assert_eq!(stage.describe(one.object())["holders"], serde_json::json!([]));
}

fn a_value_is_set_once(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| cell(&session));
    assert_eq!(one.set("first".to_owned()), Ok(()));
    assert_eq!(other.set("second".to_owned()), Err(Error::Method(SetError::AlreadySet)));
    assert_eq!((other.get(), other.wait()), (Ok(Some("first".to_owned())), Ok("first".to_owned())));
    assert_eq!(other.get_or_init(|| panic!("there is a value")), Ok("first".to_owned()));
}

fn a_value_is_not_set_while_another_caller_makes_one(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| cell(&session));
    let (makes, tell) = in_its_closure(stage, &one);
    assert_eq!(other.set("set".to_owned()), Err(Error::Method(SetError::Initializing)));
    tell.send(Err("no luck".to_owned())).expect("it listens");
    assert_eq!(makes.finish(), Err(Error::Method("no luck".to_owned())));
    stage::until("nobody makes one any more", || other.set("set".to_owned()) == Ok(()));
    assert_eq!(one.get(), Ok(Some("set".to_owned())));
}

fn a_closure_may_make_calls_and_block(stage: &Stage) {
    let session = stage.session();
    let (cell, source) = (cell(&session), Cell::named("source", "told".to_owned()).through(session.caller()));
    let made = cell.get_or_try_init(|| {
        assert_eq!(cell.is_initialized(), Ok(false), "other methods of the cell itself do not wait");
        source.update(|value| value + " twice")?;
        source.get()
    });
    assert_eq!(made, Ok("told twice".to_owned()));
    let nested = OnceCell::named("outer").through(session.caller());
    assert_eq!(nested.get_or_init(|| cell.get_or_init(|| panic!("has one")).expect("has one").len()), Ok(10));
}

fn a_closure_that_fails_leaves_it_to_the_next(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| cell(&session));
    let (makes, tell) = in_its_closure(stage, &one);
    let next = candidate(stage, &other, "next", 1);
    let last = candidate(stage, &one, "last", 2);
    tell.send(Err("no luck".to_owned())).expect("it listens");
    assert_eq!(makes.finish(), Err(Error::Method("no luck".to_owned())));
    assert_eq!((next.finish(), last.finish()), (Ok("next".to_owned()), Ok("next".to_owned())), "in order");
    let failing = OnceCell::<u64>::named("failing").through(stage.session().caller());
    assert_eq!(failing.get_or_try_init(|| Err("no luck")), Err(Error::Method("no luck")));
    assert_eq!(failing.get_or_try_init(|| Ok::<_, &str>(1)), Ok(1));
}

fn a_closure_that_panics_leaves_it_to_the_next(stage: &Stage) {
    let cell = cell(&stage.session());
    let panicking = cell.clone();
    let panicked = std::thread::spawn(move || panicking.get_or_init(|| panic!("in a closure"))).join();
    assert!(panicked.is_err());
    assert_eq!(cell.get_or_init(|| "next".to_owned()), Ok("next".to_owned()));
}

fn a_closure_that_is_given_up_leaves_it_to_the_next(stage: &Stage) {
    let cell = cell(&stage.session());
    let (makes, _tell) = in_its_closure(stage, &cell);
    let next = candidate(stage, &cell, "next", 1);
    makes.give_up();
    assert_eq!(next.finish(), Ok("next".to_owned()));
}

fn who_gave_up_after_it_was_told_to_begin_leaves_it_to_the_next(stage: &Stage) {
    let cell = cell(&stage.session());
    let (makes, tell) = in_its_closure(stage, &cell);
    let held = stage.hold(cell.object(), cell.get_or_init_async(async || panic!("it is not polled again")));
    let next = candidate(stage, &cell, "next", 2);
    tell.send(Err("no luck".to_owned())).expect("it listens");
    assert!(makes.finish().is_err());
    stage.until_parked(cell.object(), 1);
    assert!(!next.is_finished(), "it is the turn of the one that is held");
    drop(held);
    assert_eq!(next.finish(), Ok("next".to_owned()));
}

fn waits_that_end_early_leave_nothing_behind(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let cell = cell(&session);
    let (makes, tell) = in_its_closure(stage, &cell);
    let hasty = cell.with_timeout(TIMEOUT);
    let hasty = stage.start(async move { hasty.get_or_init_async(async || "hasty".to_owned()).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "OnceCell/o".to_owned() }));
    let waiting = cell.clone();
    let waits = stage.start(async move { waiting.wait_timeout_async(TIMEOUT).await });
    assert_eq!(waits.finish_after(TIMEOUT), Err(Error::TimedOut { object: "OnceCell/o".to_owned() }));
    let given_up = candidate(stage, &cell, "given up", 1);
    let _dead = candidate(stage, &cell.through(dying.caller()), "dead", 2);
    let patient = candidate(stage, &cell, "patient", 3);
    given_up.give_up();
    dying.end();
    stage.until_parked(cell.object(), 1);
    tell.send(Err("no luck".to_owned())).expect("it listens");
    assert!(makes.finish().is_err());
    assert_eq!(patient.finish(), Ok("patient".to_owned()));
}

fn the_next_makes_the_value_when_a_session_ends_and_the_late_one_is_refused(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let cell = cell(&session);
    let (makes, tell) = in_its_closure(stage, &cell.through(dying.caller()));
    let next = candidate(stage, &cell, "next", 1);
    dying.end();
    assert_eq!(next.finish(), Ok("next".to_owned()));
    tell.send(Ok("late".to_owned())).expect("it listens");
    let late = makes.finish();
    assert!(matches!(late, Err(Error::Superseded { ref object, .. }) if object == "OnceCell/o"), "{late:?}");
    assert_eq!(cell.get(), Ok(Some("next".to_owned())));
}

fn who_waits_for_the_value_makes_none(stage: &Stage) {
    let cell = cell(&stage.session());
    let waiting = cell.clone();
    let waits = stage.start(async move { waiting.wait_async().await });
    stage.until_parked(cell.object(), 1);
    let (makes, tell) = in_its_closure(stage, &cell);
    tell.send(Err("no luck".to_owned())).expect("it listens");
    assert!(makes.finish().is_err());
    assert_eq!(stage.parked(cell.object()), 1);
    assert_eq!(cell.get_or_init(|| "made".to_owned()), Ok("made".to_owned()));
    assert_eq!((waits.finish(), cell.wait_timeout(TIMEOUT)), (Ok("made".to_owned()), Ok("made".to_owned())));
}

fn many_threads_run_one_closure(stage: &Stage) {
    let sessions: [Session; 3] = stage.sessions();
    let ran = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..12 {
            let (cell, ran) = (cell(&sessions[thread % 3]), &ran);
            scope.spawn(move || {
                let value = cell.get_or_init(|| {
                    ran.lock().expect("nobody panics").push(thread);
                    format!("of thread {thread}")
                });
                let made_by = ran.lock().expect("nobody panics").clone();
                assert_eq!(made_by.len(), 1);
                assert_eq!(value, Ok(format!("of thread {}", made_by[0])));
            });
        }
    });
}

fn a_once_is_done_once(stage: &Stage) {
    let [one, other] = stage.sessions();
    let (of_one, of_other) = (Once::named("o").through(one.caller()), Once::named("o").through(other.caller()));
    let waiting = of_other.clone();
    let waits = stage.start(async move { waiting.wait_async().await });
    stage.until_parked(of_one.object(), 1);
    assert_eq!(of_one.is_completed(), Ok(false));
    let mut done = 0;
    for once in [&of_one, &of_other, &of_one] {
        assert_eq!(once.call_once(|| done += 1), Ok(()));
    }
    assert_eq!(done, 1);
    let again = of_other.clone();
    let again = stage.start(async move { again.call_once_async(async || panic!("it is done")).await });
    assert_eq!(again.finish(), Ok(()));
    assert_eq!((waits.finish(), of_other.is_completed(), of_one.wait_timeout(TIMEOUT)), (Ok(()), Ok(true), Ok(())));
}

fn a_once_that_panics_is_done_by_the_next(stage: &Stage) {
    let once = Once::named("o").through(stage.session().caller());
    let panicking = once.clone();
    assert!(std::thread::spawn(move || panicking.call_once(|| panic!("in a closure"))).join().is_err());
    let mut done = false;
    assert_eq!(once.call_once(|| done = true), Ok(()));
    assert!(done);
}

fn values_of_two_types_do_not_meet(stage: &Stage) {
    let session = stage.session();
    cell(&session).set("text".to_owned()).expect("sets");
    let other = OnceCell::<u64>::named("o").through(session.caller());
    let is_refused = |error: Error| matches!(error, Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. });
    assert!(other.get_or_init(|| 1).is_err_and(is_refused));
    let once = Once::named("o").through(session.caller());
    assert!(once.call_once(|| {}).is_err_and(is_refused), "it is a cell of `()`");
}

fn who_makes_the_value_of_a_deleted_cell_does_not_make_the_cell_anew(stage: &Stage) {
    let session = stage.session();
    let cell = cell(&session);
    let delete = || assert_eq!(cell.object().delete(), Ok(true));
    let made = cell.get_or_init(|| {
        delete();
        "too late".to_owned()
    });
    assert_eq!(made, Err(Error::ObjectLost { object: "OnceCell/o".to_owned() }));
    let failed = cell.get_or_try_init(|| {
        delete();
        Err("no luck")
    });
    assert_eq!(failed, Err(Error::Method("no luck")));
    let other = OnceCell::<u64>::named("o").through(session.caller());
    assert_eq!(other.get_or_init(|| 1), Ok(1), "its key is free");
}

fn who_waits_for_anothers_closure_may_have_a_limit(stage: &Stage) {
    let cell = cell(&stage.session());
    let (makes, tell) = in_its_closure(stage, &cell);
    for timeout in [TIMEOUT, Duration::ZERO] {
        let hasty = cell.clone();
        let hasty =
            stage.start(async move { hasty.get_or_init_timeout_async(timeout, async || panic!("not its turn")).await });
        assert_eq!(hasty.finish_after(timeout), Err(Error::TimedOut { object: "OnceCell/o".to_owned() }));
    }
    stage.until_parked(cell.object(), 0);
    let patient = cell.clone();
    let patient = stage.start(async move {
        patient.get_or_init_timeout_async(stage::DEADLINE, async || panic!("not its turn")).await
    });
    stage.until_parked(cell.object(), 1);
    tell.send(Ok("made".to_owned())).expect("it listens");
    assert_eq!((makes.finish(), patient.finish()), (Ok("made".to_owned()), Ok("made".to_owned())));
    assert_eq!(cell.get_or_init_timeout(Duration::ZERO, || panic!("there is one")), Ok("made".to_owned()));

    let once = Once::named("done").through(stage.session().caller());
    let (begun, has_begun) = oneshot::channel();
    let (end, ends) = oneshot::channel::<()>();
    let does = once.clone();
    let does = stage.start(async move {
        let begin = async || {
            begun.send(()).expect("somebody waits");
            ends.await.expect("somebody tells");
        };
        does.call_once_timeout_async(TIMEOUT, begin).await
    });
    has_begun.blocking_recv().expect("it begins");
    let hasty = once.clone();
    let hasty =
        stage.start(async move { hasty.call_once_timeout_async(TIMEOUT, async || panic!("not its turn")).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "OnceCell/done".to_owned() }));
    end.send(()).expect("it listens");
    assert_eq!((does.finish(), once.call_once_timeout(TIMEOUT, || panic!("it is done"))), (Ok(()), Ok(())));
}

fn a_closure_takes_as_long_as_it_needs(stage: &Stage) {
    let session = stage.session();
    let (cell, latch) = (cell(&session), greenroom::sync::Latch::named("l", 1).through(session.caller()));
    let made = cell.get_or_init_timeout(Duration::ZERO, || {
        let waiting = latch.clone();
        let waited = stage.start(async move { waiting.wait_timeout_async(TIMEOUT).await }).finish_after(TIMEOUT);
        assert!(matches!(waited, Err(Error::TimedOut { .. })));
        "made".to_owned()
    });
    assert_eq!(made, Ok("made".to_owned()), "though more time has passed than the limit of a wait");
}

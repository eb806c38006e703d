//! What `Promise` promises, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::sync::{AlreadySet, Promise, PromiseError};
use greenroom::{Error, Refusal};
use stage::{Session, Stage, Started, scenarios};

scenarios! {
    a_promise_is_kept_once_and_wakes_everybody,
    a_promise_that_fails_tells_everybody_why,
    a_promise_that_is_cancelled_is_not_kept_any_more,
    a_wait_that_times_out_or_is_given_up_leaves_nothing_behind,
    a_wait_of_a_session_that_ends_leaves_nothing_behind,
    values_of_two_types_do_not_meet,
}

type Got<T> = Result<T, Error<PromiseError>>;

fn promise(session: &Session) -> Promise<String> {
    Promise::named("p").through(session.caller())
}

/// Lets so many calls wait for the value.
fn get<'a>(stage: &'a Stage, promise: &Promise<String>, count: usize) -> Vec<Started<'a, Got<String>>> {
    let waiting = (0..count)
        .map(|_| {
            let promise = promise.clone();
            stage.start(async move { promise.get_async().await })
        })
        .collect();
    stage.until_parked(promise.object(), count);
    waiting
}

fn a_promise_is_kept_once_and_wakes_everybody(stage: &Stage) {
    let [setter, getter] = stage.sessions().map(|session: Session| promise(&session));
    assert_eq!(getter.try_get(), Ok(None));
    assert_eq!((getter.is_set(), getter.is_done()), (Ok(false), Ok(false)));
    let early = get(stage, &getter, 10);
    assert_eq!(setter.set("first".to_owned()), Ok(()));
    for get in early {
        assert_eq!(get.finish(), Ok("first".to_owned()));
    }
    assert_eq!(setter.set("second".to_owned()), Err(Error::Method(AlreadySet)));
    assert_eq!(setter.fail("too late"), Err(Error::Method(AlreadySet)));
    assert_eq!(setter.cancel(), Err(Error::Method(AlreadySet)));
    assert_eq!(getter.get(), Ok("first".to_owned()), "it keeps its first value");
    assert_eq!(getter.try_get(), Ok(Some("first".to_owned())));
    assert_eq!((getter.is_set(), getter.is_done()), (Ok(true), Ok(true)));
}

fn a_promise_that_fails_tells_everybody_why(stage: &Stage) {
    let [setter, getter] = stage.sessions().map(|session: Session| promise(&session));
    let early = get(stage, &getter, 3);
    assert_eq!(setter.fail("no such file"), Ok(()));
    let failed = || Err(Error::Method(PromiseError::Failed("no such file".to_owned())));
    for get in early {
        assert_eq!(get.finish(), failed());
    }
    assert_eq!(getter.get(), failed());
    assert_eq!(getter.try_get(), failed().map(Some));
    assert_eq!(setter.set("late".to_owned()), Err(Error::Method(AlreadySet)));
    assert_eq!((getter.is_set(), getter.is_done()), (Ok(false), Ok(true)));
    let erased: Error = Error::from(getter.get().expect_err("fails"));
    assert_eq!(erased.to_string(), "the promise failed: no such file");
}

fn a_promise_that_is_cancelled_is_not_kept_any_more(stage: &Stage) {
    let [setter, getter] = stage.sessions().map(|session: Session| promise(&session));
    let early = get(stage, &getter, 2);
    assert_eq!(getter.cancel(), Ok(()));
    for get in early {
        assert_eq!(get.finish(), Err(Error::Method(PromiseError::Cancelled)));
    }
    assert_eq!(setter.is_done(), Ok(true));
    assert_eq!(setter.set("late".to_owned()), Err(Error::Method(AlreadySet)));
    assert_eq!(getter.get(), Err(Error::Method(PromiseError::Cancelled)));
}

fn a_wait_that_times_out_or_is_given_up_leaves_nothing_behind(stage: &Stage) {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let session = stage.session();
    let promise = promise(&session);
    let hasty = promise.clone();
    let waiting = stage.start(async move { hasty.get_timeout_async(TIMEOUT).await });
    assert_eq!(waiting.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Promise/p".to_owned() }));
    get(stage, &promise, 1).into_iter().for_each(Started::give_up);
    stage.until_parked(promise.object(), 0);
    promise.set("value".to_owned()).expect("sets");
    assert_eq!(promise.get_timeout(TIMEOUT), Ok("value".to_owned()));
}

fn a_wait_of_a_session_that_ends_leaves_nothing_behind(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let promise = promise(&session);
    let of_dying = promise.through(dying.caller());
    let _waiting = get(stage, &of_dying, 3);
    assert_eq!(stage.describe(promise.object())["state"]["waiting"], 3);
    dying.end();
    stage.until_parked(promise.object(), 0);
    assert_eq!(stage.describe(promise.object())["state"]["waiting"], 0);
}

fn values_of_two_types_do_not_meet(stage: &Stage) {
    let session = stage.session();
    promise(&session).set("text".to_owned()).expect("sets");
    let other = Promise::<u64>::named("p").through(session.caller());
    let refused = other.get();
    assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. })), "{refused:?}");
}

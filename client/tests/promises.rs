//! What `Promise` promises, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::Error;
use greenroom::sync::{AlreadySet, Promise};
use stage::{Stage, scenarios};

scenarios! {
    a_promise_is_set_once_and_wakes_everybody,
    a_wait_that_times_out_or_is_given_up_leaves_nothing_behind,
}

fn a_promise_is_set_once_and_wakes_everybody(stage: &Stage) {
    let [setter, getter] = stage.sessions();
    let (of_setter, of_getter) =
        (Promise::named("p").through(setter.caller()), Promise::<String>::named("p").through(getter.caller()));
    assert_eq!(of_getter.try_get(), Ok(None));
    let early: Vec<_> = (0..10)
        .map(|_| {
            let promise = of_getter.clone();
            stage.start(async move { promise.get_async().await })
        })
        .collect();
    stage.until_parked(of_getter.object(), 10);
    assert_eq!(of_setter.set("first".to_owned()), Ok(()));
    for get in early {
        assert_eq!(get.finish(), Ok("first".to_owned()));
    }
    assert_eq!(of_setter.set("second".to_owned()), Err(Error::Method(AlreadySet)));
    assert_eq!(of_getter.get(), Ok("first".to_owned()), "it keeps its first value");
}

fn a_wait_that_times_out_or_is_given_up_leaves_nothing_behind(stage: &Stage) {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let session = stage.session();
    let promise = Promise::<u64>::named("p").through(session.caller());
    let hasty = promise.with_timeout(TIMEOUT);
    let waiting = stage.start(async move { hasty.get_async().await });
    assert_eq!(waiting.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Promise/p".to_owned() }));
    let again = promise.clone();
    let waiting = stage.start(async move { again.get_async().await });
    stage.until_parked(promise.object(), 1);
    waiting.give_up();
    stage.until_parked(promise.object(), 0);
    promise.set(1).expect("sets");
    assert_eq!(promise.get(), Ok(1));
}

//! Events that are delivered twice.

use greenroom::cloud::{Builder, Lambda};
use greenroom::{Counter, Error, cloud};

use crate::stage::{SAMPLE, Stage, count, join};

#[cloud]
fn count_once(key: String) -> Result<i64, Error> {
    Counter::named(key).increment()
}

#[test]
fn an_event_that_is_delivered_twice_runs_once() {
    const THREADS: i64 = 6;
    let stage = Stage::shared(|config| config.faults.duplicate = 1.0);
    let key = |number: i64| format!("twice{number}");
    let threads: Vec<_> = (0..THREADS).map(|number| stage.spawn(count_once::call(key(number)))).collect();
    for thread in threads {
        assert_eq!(join(thread), Ok(1));
    }
    // The second delivery may come late.
    stage.until_running(0);
    assert!((0..THREADS).all(|number| count(&key(number)) == 1));
}

#[test]
fn a_queued_event_that_is_delivered_twice_runs_once() {
    let stage = Stage::shared(|_| {});
    let queued = Lambda::function(SAMPLE).region("local").endpoint(stage.endpoint()).queued().backend();
    stage.lambda.duplicate_next(SAMPLE).expect("is there");
    let thread = Builder::new().backend(queued).spawn(count_once::call("queued".to_owned()));
    assert_eq!(join(thread), Ok(1));
    stage.until_running(0);
    assert_eq!(count("queued"), 1);
}

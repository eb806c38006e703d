//! Threads that are cancelled.

use greenroom::sync::Latch;
use greenroom::{Counter, Error, ThreadFailure, cloud};

use crate::stage::{DEADLINE, Stage, count, failure, join, long_until, until_count};

#[cloud]
fn compute(key: String) -> Result<u64, Error> {
    Counter::named(key).increment()?;
    let current = cloud::current().expect("it runs");
    let mut turns = 0;
    while !current.is_cancelled() {
        turns += 1;
        std::thread::yield_now();
    }
    Ok(turns)
}

#[test]
fn a_function_that_computes_is_told_that_it_is_cancelled() {
    let stage = Stage::shared(|_| {});
    let thread = stage.spawn(compute::call("computes".to_owned()));
    until_count("computes", 1);
    thread.cancel();
    join(thread).expect("it returns");
}

#[cloud]
fn wait_at(key: String) -> Result<(), Error> {
    Counter::named(key.as_str()).increment()?;
    Latch::named(key, 1).wait()
}

#[test]
fn a_function_that_waits_is_cancelled() {
    let stage = Stage::shared(|_| {});
    let thread = stage.spawn(wait_at::call("parked".to_owned()));
    let is_parked = || {
        let said = Latch::named("parked", 1).object().describe();
        said.is_ok_and(|said| said["parked"].as_array().is_some_and(|parked| parked.len() == 1))
    };
    long_until("it waits", is_parked);
    thread.cancel();
    let joined = join(thread);
    assert!(matches!(joined, Err(Error::Method(Error::Cancelled { .. }))), "{joined:?}");
    assert!(!is_parked());
}

#[test]
fn what_is_cancelled_before_it_begins_never_runs() {
    let stage = Stage::shared(|config| config.concurrency_max = 1);
    let first = stage.spawn(wait_at::call("occupies".to_owned()));
    until_count("occupies", 1);
    let second = stage.spawn(wait_at::call("never begins".to_owned()));
    second.cancel();
    let failure = failure(join(second));
    assert_eq!((&failure, failure.has_run()), (&ThreadFailure::Cancelled, Some(false)));
    Latch::named("occupies", 1).with_timeout(DEADLINE).count_down().expect("counts");
    join(first).expect("it passes");
    stage.until_running(0);
    assert_eq!(count("never begins"), 0);
}

#[test]
fn what_is_cancelled_at_once_ends_whatever_the_cancellation_meets() {
    let stage = Stage::shared(|config| config.concurrency_max = 4);
    let threads: Vec<_> = (0..8).map(|_| stage.spawn(wait_at::call("at once".to_owned()))).collect();
    threads.iter().for_each(|thread| thread.cancel());
    for thread in threads {
        match join(thread) {
            Err(Error::Thread { failure: ThreadFailure::Cancelled, .. })
            | Err(Error::Method(Error::Cancelled { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
    stage.until_running(0);
}

#[cloud]
fn half(number: u64) -> u64 {
    number / 2
}

#[test]
fn what_has_ended_is_not_changed_by_a_cancellation() {
    let stage = Stage::shared(|_| {});
    let thread = stage.spawn(half::call(6));
    long_until("it ends", || thread.is_finished());
    thread.cancel();
    assert_eq!(join(thread), Ok(3));
}

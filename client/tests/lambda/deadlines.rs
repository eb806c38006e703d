//! Functions whose time is over.

use std::time::Duration;

use greenroom::sync::{Latch, Mutex, Semaphore};
use greenroom::{Counter, Error, ThreadFailure, cloud};

use crate::stage::{DEADLINE, Stage, count, failure, join, text_of, wait_for_file, write_file};

/// As long as it takes a process on a busy machine to hold what it is to hold.
const TIMEOUT: Duration = Duration::from_secs(5);

#[cloud]
fn hold_for_ever(key: String) -> Result<(), Error> {
    std::mem::forget(Mutex::named(key.as_str(), 0_u64).lock()?);
    std::mem::forget(Semaphore::named(key.as_str(), 1).acquire()?);
    Latch::named(key, 1).count_down()?;
    loop {
        std::thread::park();
    }
}

/// What others need who wait for all that a function holds.
fn take_what_it_held(key: &str) {
    drop(Mutex::named(key, 0_u64).with_timeout(DEADLINE).lock().expect("the lock is free"));
    drop(Semaphore::named(key, 1).with_timeout(DEADLINE).acquire().expect("the permit is free"));
}

#[test]
fn what_a_function_held_that_is_killed_at_its_deadline_is_free_at_once() {
    let stage = Stage::shared(|config| config.functions[0].timeout = TIMEOUT);
    let thread = stage.spawn(hold_for_ever::call("deadline".to_owned()));
    Latch::named("deadline", 1).with_timeout(DEADLINE).wait().expect("it holds both");
    // Who waits already is first.
    let waiting = std::thread::spawn(|| take_what_it_held("deadline"));
    assert_eq!(failure(join(thread)), ThreadFailure::TimedOut { attempt: 1 });
    waiting.join().expect("both are free");
}

#[cloud]
fn hold_and_count_late(key: String, go: String, said: String) -> Result<(), Error> {
    std::mem::forget(Mutex::named(key.as_str(), 0_u64).lock()?);
    Latch::named(key.as_str(), 1).count_down()?;
    wait_for_file(&go);
    let late = Counter::named(key).increment();
    write_file(&said, &format!("{late:?}"));
    late.map(drop)
}

#[test]
fn what_outlives_its_deadline_holds_nothing_and_changes_nothing() {
    let stage = Stage::shared(|config| config.functions[0].timeout = TIMEOUT);
    let (go, said) = (stage.file("go"), stage.file("said"));
    let thread = stage.spawn(hold_and_count_late::call("outlives".to_owned(), go.clone(), said.clone()));
    Latch::named("outlives", 1).with_timeout(DEADLINE).wait().expect("it holds the lock");
    let running = stage.until_running(1).remove(0);
    stage.soon("outlives", stage.lambda.outlive_deadline(&running.request_id)).expect("it runs");
    stage.soon("freezes", stage.lambda.freeze(&running.request_id)).expect("it runs");
    assert_eq!(failure(join(thread)), ThreadFailure::TimedOut { attempt: 1 });
    drop(Mutex::named("outlives", 0_u64).with_timeout(DEADLINE).lock().expect("the lock is free"));
    write_file(&go, "");
    stage.soon("thaws", stage.lambda.thaw(&running.request_id)).expect("it is frozen");
    let late = text_of(&said);
    assert!(late.starts_with("Err(") && !late.contains("Unknown"), "{late}");
    assert_eq!(count("outlives"), 0);
}

//! Functions that end otherwise than by returning a value.

use std::io::Write as _;

use greenroom::sync::Mutex;
use greenroom::{Counter, Error, ThreadFailure, cloud};
use serde::{Deserialize, Serialize};

use crate::stage::{Stage, count, failure, join};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Odd(u64);

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is odd", self.0)
    }
}

#[cloud]
fn half_or_odd(number: u64) -> Result<u64, Odd> {
    if number.is_multiple_of(2) { Ok(number / 2) } else { Err(Odd(number)) }
}

#[test]
fn a_function_s_own_error_arrives_as_it_is() {
    let stage = Stage::shared(|_| {});
    assert_eq!(join(stage.spawn(half_or_odd::call(7))), Err(Error::Method(Odd(7))));
    assert_eq!(join(stage.spawn(half_or_odd::call(8))), Ok(4));
}

#[cloud]
fn log_and_panic(message: String) -> u32 {
    writeln!(cloud::log_writer(), "before the panic").expect("is written");
    if message.is_empty() { 7 } else { panic!("{message}") }
}

#[test]
fn a_panic_arrives_with_its_message_its_place_and_the_logs() {
    let stage = Stage::shared(|_| {});
    let thread = stage.spawn(log_and_panic::call("out of luck".to_owned()));
    let known = thread.thread();
    let failure = failure(join(thread));
    let ThreadFailure::Panicked { message, at } = &failure else { panic!("{failure}") };
    assert_eq!(message, "out of luck");
    assert!(at.as_ref().is_some_and(|at| at.contains("crashes.rs:")), "{at:?}");
    let logs = known.logs().expect("are kept");
    assert!(logs.starts_with("before the panic\n") && logs.contains("out of luck"), "{logs}");
    let warm = join(stage.spawn(log_and_panic::call(String::new())));
    assert_eq!((warm, stage.lambda.pids().len()), (Ok(7), 1), "the process goes on");
}

#[cloud]
fn hold_and_end(key: String, status: Option<i32>) -> Result<(), Error> {
    std::mem::forget(Mutex::named(key, 0_u64).lock()?);
    match status {
        Some(status) => std::process::exit(status),
        None => std::process::abort(),
    }
}

#[test]
fn a_process_that_ends_is_told_with_what_the_platform_says_and_holds_nothing() {
    let stage = Stage::shared(|_| {});
    for (key, status, said) in [("exits", Some(3), "exit status 3"), ("aborts", None, "signal: aborted")] {
        let failure = failure(join(stage.spawn(hold_and_end::call(key.to_owned(), status))));
        let ThreadFailure::Lost { attempt: 1, why } = &failure else { panic!("{failure}") };
        assert!(why.contains(said), "{why}");
        assert_eq!(failure.has_run(), None);
        assert!(Mutex::named(key, 0_u64).try_lock().expect("answers").is_some(), "what it held is free");
    }
}

/// Crashes in its first attempt with the lock in its hands.
#[cloud]
fn crash_once(key: String) -> Result<u8, Error> {
    let attempt = cloud::current().expect("it runs").attempt();
    Counter::named(key.as_str()).increment()?;
    let guard = Mutex::named(key, 0_u64).lock()?;
    if attempt == 1 {
        std::process::abort();
    }
    drop(guard);
    Ok(attempt)
}

#[test]
fn a_lost_attempt_is_ended_before_the_next_one_begins() {
    let stage = Stage::shared(|_| {});
    let thread = stage.builder().retries(1).spawn(crash_once::call("once more".to_owned()));
    assert_eq!(join(thread), Ok(2));
    assert_eq!(count("once more"), 2);
    let thread = stage.spawn(crash_once::call("no more".to_owned()));
    let failure = failure(join(thread));
    assert!(matches!(failure, ThreadFailure::Lost { attempt: 1, .. }), "{failure}");
    assert_eq!(count("no more"), 1);
}

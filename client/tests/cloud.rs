//! Cloud threads in this process, with a node inside of it.

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use greenroom::cloud::{Backend, BackendError, Builder, current, log_writer, scope};
use greenroom::sync::{Barrier, Latch, Mutex, Semaphore};
use greenroom::{Counter, Error, ThreadFailure, cloud};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Odd(u64);

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is odd", self.0)
    }
}

#[cloud]
fn half(number: u64) -> Result<u64, Odd> {
    if number.is_multiple_of(2) { Ok(number / 2) } else { Err(Odd(number)) }
}

#[test]
fn a_function_s_own_error_arrives_as_it_is() {
    let threads: Vec<_> = (0..4).map(half::spawn).collect();
    let joined: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
    assert_eq!(joined, [Ok(0), Err(Error::Method(Odd(1))), Ok(1), Err(Error::Method(Odd(3)))]);
    assert_eq!(half(4), Ok(2), "it is a plain function as well");
}

#[cloud]
fn fail(key: String) -> Result<(), Error> {
    Counter::named(key).with_timeout(Duration::from_secs(5)).increment()?;
    Ok(())
}

#[test]
fn an_error_of_the_library_passes_through_a_question_mark_as_it_is() {
    fn driver() -> Result<(), Error> {
        fail::spawn(String::new()).join()?;
        Ok(())
    }
    assert!(matches!(driver(), Err(Error::Refused { .. })), "{:?}", driver());
}

#[cloud]
fn panics(message: String) -> u32 {
    if message.is_empty() { 7 } else { panic!("{message}") }
}

#[test]
fn a_panic_arrives_with_its_message_and_its_place() {
    let error = panics::spawn("out of luck".to_owned()).join().expect_err("it panics");
    let Error::Thread { failure: ThreadFailure::Panicked { message, at }, .. } = &error else { panic!("{error}") };
    assert_eq!(message, "out of luck");
    assert!(at.as_ref().is_some_and(|at| at.contains("tests/cloud.rs:")), "{at:?}");
    assert!(error.to_string().contains("out of luck"), "{error}");
    assert_eq!(panics::spawn(String::new()).join(), Ok(7));
}

#[cloud]
async fn wait_and_add(key: String, delta: i64) -> Result<i64, Error> {
    let id = current().expect("it runs").id();
    tokio::task::yield_now().await;
    assert_eq!(current().expect("it still runs").id(), id);
    Counter::named(key).add_async(delta).await
}

#[test]
fn an_async_function_runs_on_a_runtime_of_its_own() {
    assert_eq!(wait_and_add::spawn("async adds".to_owned(), 5).join(), Ok(5));
    assert!(current().is_none());
}

#[cloud]
fn add_under_lock(times: u64) -> Result<(), Error> {
    let total = Mutex::named("total", 0_u64);
    for _ in 0..times {
        *total.lock()? += 1;
    }
    Ok(())
}

#[test]
fn threads_share_a_lock() {
    let threads: Vec<_> = (0..16).map(|_| add_under_lock::spawn(25)).collect();
    for thread in threads {
        thread.join().expect("no error");
    }
    assert_eq!(*Mutex::named("total", 0_u64).lock().expect("is free"), 400);
}

#[cloud]
fn meet(parties: usize) -> Result<bool, Error> {
    Ok(Barrier::named("meeting", parties).wait()?.is_leader())
}

#[test]
fn threads_meet_at_a_barrier() {
    let threads: Vec<_> = (0..100).map(|_| meet::spawn(100)).collect();
    let leaders = threads.into_iter().filter_map(|thread| thread.join().expect("no error").then_some(())).count();
    assert_eq!(leaders, 1);
}

#[cloud]
fn keep_for_ever(how: u32) -> Result<(), Error> {
    // A guard that is forgotten gives nothing back.
    std::mem::forget(Mutex::named("kept", 0).lock()?);
    std::mem::forget(Semaphore::named("kept", 1).acquire()?);
    if how == 1 {
        panic!("with a lock in its hands");
    }
    Ok(())
}

#[test]
fn what_a_thread_held_is_free_when_it_has_been_joined() {
    for how in 0..3 {
        let joined = keep_for_ever::spawn(how).join();
        assert_eq!(joined.is_ok(), how != 1);
        assert!(Mutex::named("kept", 0).try_lock().expect("no error").is_some(), "the lock, {how}");
        assert!(Semaphore::named("kept", 1).try_acquire().is_ok(), "the permit, {how}");
    }
}

#[cloud]
fn wait_for_ever() -> Result<(), Error> {
    Latch::named("never", 1).wait()
}

#[test]
fn a_thread_that_waits_is_cancelled() {
    let thread = wait_for_ever::spawn();
    let waits =
        || Latch::named("never", 1).object().describe().is_ok_and(|shown| shown.to_string().contains("attempt 1"));
    while !waits() {
        assert!(!thread.is_finished(), "it does not wait");
    }
    thread.cancel();
    let joined = thread.join();
    assert!(matches!(joined, Err(Error::Method(Error::Cancelled { .. }))), "{joined:?}");
}

#[cloud]
fn spin() -> u64 {
    let current = current().expect("it runs");
    let mut turns = 0;
    while !current.is_cancelled() {
        turns += 1;
        std::thread::yield_now();
    }
    turns
}

#[test]
fn a_thread_that_computes_asks_whether_it_is_cancelled_and_a_timeout_cancels() {
    let thread = spin::spawn();
    assert!(!thread.is_finished());
    let thread = thread.try_join().expect_err("it runs");
    thread.cancel();
    thread.join().expect("it returns");
    let timed = Builder::new().name("a short one").timeout(Duration::from_millis(30)).spawn(spin::call());
    assert_eq!(timed.name(), Some("a short one"));
    timed.join().expect("it returns at its timeout");
}

static STARTED: AtomicU32 = AtomicU32::new(0);

#[cloud]
fn count_start() -> u32 {
    STARTED.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn a_scope_waits_for_its_threads_and_cancels_them_when_it_panics() {
    scope(|scope| (0..10).for_each(|_| drop(scope.spawn(count_start::call())))).expect("no async code");
    assert_eq!(STARTED.load(Ordering::Relaxed), 10);
    let panicked = std::panic::catch_unwind(|| {
        scope(|scope| {
            let _thread = scope.spawn(spin::call());
            panic!("in the scope");
        })
    });
    assert!(panicked.is_err(), "and it has come to an end");
}

#[tokio::test]
async fn async_code_joins_by_the_twin() {
    let joined = half::spawn(8).join();
    assert!(matches!(joined, Err(Error::Blocking { .. })), "{joined:?}");
    assert_eq!(half::spawn(8).join_async().await, Ok(4));
    assert!(matches!(scope(|_| ()), Err(Error::Blocking { .. })));
}

#[cloud]
fn wait_at(latch: String) -> Result<(), Error> {
    Latch::named(latch, 1).wait()
}

#[test]
fn thousands_wait_at_once() {
    const THREADS: usize = 10_000;
    let threads: Vec<_> =
        (0..THREADS).map(|_| Builder::new().stack_size(128 * 1024).spawn(wait_at::call("many".to_owned()))).collect();
    Latch::named("many", 1).count_down().expect("no error");
    for thread in threads {
        thread.join().expect("no error");
    }
}

#[cloud]
async fn log(number: u32) {
    writeln!(log_writer(), "number {number}").expect("is written");
    tokio::task::yield_now().await;
    assert!(number != 7, "an unlucky one");
}

#[test]
fn what_a_thread_logs_is_kept_with_its_panic() {
    let thread = log::spawn(3);
    let known = thread.thread();
    thread.join().expect("no panic");
    assert_eq!(known.logs(), Ok("number 3\n".to_owned()));
    assert!(known.is_finished() && known.function() == "cloud::log");
    let thread = log::spawn(7);
    let known = thread.thread();
    thread.join().expect_err("it panics");
    let logs = known.logs().expect("are here");
    assert!(logs.starts_with("number 7\npanicked at ") && logs.contains("an unlucky one"), "{logs}");
}

#[test]
fn a_back_end_that_is_not_there_is_refused_by_its_name() {
    let unknown = "local:work".parse::<Backend>().expect_err("is refused");
    assert_eq!(unknown, BackendError::Unknown { name: "local:work".to_owned() });
    let unnamed = "lambda:".parse::<Backend>().expect_err("is refused");
    match cfg!(feature = "lambda") {
        true => assert!(matches!(&unnamed, BackendError::Malformed { name, .. } if name == "lambda:"), "{unnamed}"),
        false => assert_eq!(unnamed, BackendError::NotBuiltIn { name: "lambda:".to_owned() }),
    }
    assert_eq!(Builder::new().backend(Backend::local()).spawn(half::call(6)).join(), Ok(3));
}

#[test]
fn what_has_ended_is_not_changed_by_a_cancellation() {
    let thread = half::spawn(6);
    while !thread.is_finished() {
        std::thread::yield_now();
    }
    thread.cancel();
    assert_eq!(thread.join(), Ok(3));
}

//! Executors of cloud threads, with a node inside of this process.

use std::sync::atomic::{AtomicUsize, Ordering};

use greenroom::cloud::{Builder, Executor, Indices, NotEnoughConcurrency, Reduction, Schedule, scope};
use greenroom::sync::{Barrier, Latch, Mutex};
use greenroom::{Combine, Counter, Error, ThreadFailure, cloud};

static NOW: AtomicUsize = AtomicUsize::new(0);
static AT_MOST: AtomicUsize = AtomicUsize::new(0);

#[cloud]
fn square(number: u64) -> u64 {
    number * number
}

#[cloud]
fn square_counted(number: u64) -> u64 {
    AT_MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    let squared = number * number;
    NOW.fetch_sub(1, Ordering::SeqCst);
    squared
}

#[test]
fn a_map_is_lazy_bounded_and_in_order() {
    let executor = Executor::new();
    let mut asked = 0;
    let calls = (0_u64..).inspect(|_| asked += 1).map(square_counted::call);
    let first: Vec<u64> = executor.map(calls).in_flight(4).take(10).collect::<Result<_, _>>().expect("no error");
    assert_eq!(first, (0..10).map(|number| number * number).collect::<Vec<u64>>());
    assert!(asked <= 14, "{asked} of endlessly many were begun");
    assert!(AT_MOST.load(Ordering::SeqCst) <= 4);
    assert_eq!(executor.map(std::iter::empty().map(square::call)).count(), 0);
}

#[cloud]
fn wait_for(latch: String) -> Result<String, Error> {
    Latch::named(latch.clone(), 1).wait()?;
    Ok(latch)
}

#[test]
fn an_unordered_map_brings_what_comes_first() {
    let executor = Executor::new();
    let latches = ["slow", "quick"].map(str::to_owned);
    let mut map = executor.map(latches.map(wait_for::call)).unordered();
    Latch::named("quick", 1).count_down().expect("no error");
    assert_eq!(map.next(), Some(Ok("quick".to_owned())));
    Latch::named("slow", 1).count_down().expect("no error");
    assert_eq!((map.next(), map.next()), (Some(Ok("slow".to_owned())), None));
}

#[cloud]
fn fail_or_wait(number: u32) -> Result<u32, Error> {
    assert!(number != 3, "the third");
    Latch::named("nobody counts it down", 1).wait()?;
    Ok(number)
}

#[test]
fn if_one_of_all_fails_the_others_are_cancelled() {
    let executor = Executor::new();
    let error = executor.join_all((0..6).map(fail_or_wait::call)).expect_err("one panics");
    let panicked = matches!(&error, Error::Thread { failure: ThreadFailure::Panicked { message, .. }, .. } if message == "the third");
    assert!(panicked, "{error}");
    assert_eq!(executor.running(), 0, "all have ended");
    assert_eq!(executor.join_all((0..3).map(square::call)), Ok(vec![0, 1, 4]));
}

#[cloud]
fn meet(parties: usize) -> Result<bool, Error> {
    Ok(Barrier::named("all at once", parties).wait()?.is_leader())
}

#[test]
fn all_run_at_once() {
    let met = Executor::new().join_all((0..300).map(|_| meet::call(300))).expect("no error");
    assert_eq!(met.into_iter().filter(|is_leader| *is_leader).count(), 1);
}

#[test]
fn a_gang_that_cannot_start_is_refused_and_one_that_can_meets() {
    // A stack that no system has.
    let impossible = Executor::with(Builder::new().stack_size(1 << 60));
    let refused = impossible.gang((0..3).map(|_| meet::call(3))).map(|threads| threads.len());
    assert_eq!(refused, Err(Error::Method(NotEnoughConcurrency { started: 0, needed: 3 })));
    let threads = Executor::new().gang((0..40).map(|_| meet_as_gang::call(40))).expect("there is room");
    let leaders = threads.into_iter().filter_map(|thread| thread.join().expect("no error").then_some(())).count();
    assert_eq!(leaders, 1);
    assert_eq!(Executor::new().gang((0..0).map(meet::call)).map(|threads| threads.len()), Ok(0));
}

#[cloud]
fn meet_as_gang(parties: usize) -> Result<bool, Error> {
    Ok(Barrier::named("a gang", parties).wait()?.is_leader())
}

#[cloud]
fn add_square(number: u64, sum: Reduction<u64>) -> Result<(), Error> {
    assert!(number != 13, "an unlucky one");
    Ok(sum.merge(number * number)?)
}

#[cloud]
async fn collect(word: String, words: Reduction<Vec<String>>) -> Result<(), Error> {
    Ok(words.merge_async(vec![word]).await?)
}

#[test]
fn a_map_reduce_combines_what_all_bring_and_fails_with_the_first_that_fails() {
    let executor = Executor::new();
    assert_eq!(executor.map_reduce(0..10, 1_000, Combine::sum(), add_square::call), Ok(1_285));
    let failed = executor.map_reduce(0..100, 0, Combine::sum(), add_square::call).expect_err("one panics");
    assert!(matches!(&failed, Error::Thread { failure: ThreadFailure::Panicked { .. }, .. }), "{failed}");
    assert_eq!(executor.running(), 0, "all have ended");
    let words = ["one", "two", "three"].map(str::to_owned);
    let mut collected = executor.map_reduce(words, Vec::new(), Combine::append(), collect::call).expect("no error");
    collected.sort_unstable();
    assert_eq!(collected, ["one", "three", "two"]);
}

#[test]
fn a_scope_waits_for_threads_that_were_begun_with_settings() {
    let thread = scope(|scope| {
        let thread = Builder::new().name("with settings").spawn_scoped(scope, wait_for::call("a scope".to_owned()));
        Latch::named("a scope", 1).count_down().expect("no error");
        thread
    });
    let thread = thread.expect("no async code");
    assert_eq!((thread.is_finished(), thread.name()), (true, Some("with settings")));
}

#[cloud]
fn run_in_race(number: u32) -> Result<u32, Error> {
    match number {
        0 => panic!("it falls"),
        1 => Ok(number),
        _ => {
            // Held until it is cancelled, or has lost.
            let _lock = Mutex::named(format!("lane {number}"), 0).lock()?;
            Latch::named("the end of the race", 1).wait()?;
            Ok(number)
        }
    }
}

#[test]
fn a_race_is_won_by_the_first_that_does_not_fail_and_the_others_are_cancelled() {
    let executor = Executor::new();
    assert_eq!(executor.race((0..5).map(run_in_race::call)), Ok(1));
    executor.close().expect("no async code");
    for number in 2..5 {
        assert!(Mutex::named(format!("lane {number}"), 0).try_lock().expect("no error").is_some());
    }
    let nobody = Executor::new().race(std::iter::empty().map(run_in_race::call));
    assert!(matches!(nobody, Err(Error::Thread { failure: ThreadFailure::NotStarted { .. }, .. })));
    let all_fall = Executor::new().race([run_in_race::call(0)]).expect_err("it panics");
    assert!(all_fall.to_string().contains("it falls"));
}

#[cloud]
fn add_up(indices: Indices, key: String) -> Result<u64, Error> {
    let (mut sum, mut count) = (0, 0);
    for index in indices {
        sum += i64::try_from(index?).expect("a small number");
        count += 1;
    }
    Counter::named(key).add(sum)?;
    Ok(count)
}

#[test]
fn a_parallel_for_visits_every_index_once_and_finishes_each_worker() {
    let executor = Executor::with(Builder::new().name("adds up"));
    for (key, schedule) in [
        ("static", Schedule::Static),
        ("dynamic", Schedule::Dynamic { chunk: 7 }),
        ("guided", Schedule::Guided { min: 3 }),
    ] {
        let worker = |indices| add_up::call(indices, key.to_owned());
        let counts = executor.for_each_index(10..510, schedule, 8, worker).expect("no error");
        assert_eq!((counts.len(), counts.iter().sum()), (8, 500_u64), "{key}");
        assert_eq!(Counter::named(key).get(), Ok((10..510).sum()), "{key}");
    }
}

#[test]
fn a_closed_executor_has_seen_its_threads_end_and_begins_no_more() {
    let executor = Executor::new();
    let threads: Vec<_> = (0..5).map(|_| executor.spawn(wait_for::call("to be closed".to_owned()))).collect();
    let closes = std::thread::spawn({
        let executor = executor.clone();
        move || executor.close()
    });
    while !matches!(
        executor.spawn(square::call(2)).join(),
        Err(Error::Thread { failure: ThreadFailure::NotStarted { .. }, .. })
    ) {}
    assert!(!closes.is_finished(), "they wait");
    Latch::named("to be closed", 1).count_down().expect("no error");
    closes.join().expect("no panic").expect("no async code");
    assert!(threads.iter().all(|thread| thread.is_finished()));
    assert!(threads.into_iter().all(|thread| thread.join().is_ok()));
}

#[tokio::test]
async fn an_aborted_executor_cancels_its_threads() {
    let executor = Executor::new();
    let thread = executor.spawn(wait_for::call("to be aborted".to_owned()));
    executor.abort();
    executor.closed().await;
    let joined = thread.join_async().await;
    assert!(matches!(joined, Err(Error::Method(Error::Cancelled { .. }))), "{joined:?}");
    let refused: Vec<_> = executor.map((0..3).map(square::call)).collect();
    assert!(matches!(refused[..], [Err(Error::Blocking { .. })]), "{refused:?}");
    let executor = Executor::new();
    assert_eq!(executor.join_all_async((0..3).map(square::call)).await, Ok(vec![0, 1, 4]));
    assert!(matches!(executor.join_all((0..3).map(square::call)), Err(Error::Blocking { .. })));
    executor.close_async().await;
    assert!(matches!(executor.spawn(square::call(2)).join_async().await, Err(Error::Thread { .. })));
}

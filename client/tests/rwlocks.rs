//! What `RwLock` promises, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use greenroom::{Error, Refusal};
use stage::{Session, Stage, Started, scenarios, until};

scenarios! {
    a_downgrade_whose_answer_nobody_took_leaves_no_lock,
    a_value_that_became_too_large_gives_the_lock_back_without_it,
    readers_share_and_a_writer_is_alone,
    a_waiting_writer_is_not_overtaken_by_readers,
    readers_behind_a_writer_come_in_together,
    a_writer_that_gives_up_lets_the_readers_behind_it_go_on,
    a_writer_that_times_out_lets_the_readers_behind_it_go_on,
    a_writer_whose_session_ends_lets_the_readers_behind_it_go_on,
    locks_of_an_owner_that_ends_are_free_and_what_it_wrote_is_void,
    a_guard_that_is_dropped_gives_back_and_a_panic_writes_nothing,
    a_writer_becomes_a_reader_and_nobody_writes_in_between,
    waiting_readers_and_writers_time_out,
    values_of_two_types_or_two_initial_values_do_not_meet,
}

const TIMEOUT: Duration = Duration::from_millis(100);

fn rwlock(session: &Session) -> RwLock<u64> {
    RwLock::named("l", 0).through(session.caller())
}

/// Begins to read, behind those who wait.
fn read<'a>(stage: &'a Stage, session: &Session) -> Started<'a, Result<RwLockReadGuard<u64>, Error>> {
    let lock = rwlock(session);
    let (object, n_parked) = (lock.object().clone(), stage.parked(lock.object()));
    let reading = stage.start(async move { lock.read_async().await });
    stage.until_parked(&object, n_parked + 1);
    reading
}

/// Begins to write, behind those who wait.
fn write<'a>(stage: &'a Stage, session: &Session) -> Started<'a, Result<RwLockWriteGuard<u64>, Error>> {
    let lock = rwlock(session);
    let (object, n_parked) = (lock.object().clone(), stage.parked(lock.object()));
    let writing = stage.start(async move { lock.write_async().await });
    stage.until_parked(&object, n_parked + 1);
    writing
}

fn timed_out<T>() -> Result<T, Error> {
    Err(Error::TimedOut { object: "RwLock/l".to_owned() })
}

fn readers_share_and_a_writer_is_alone(stage: &Stage) {
    let [one, other] = stage.sessions();
    let (first, second) = (rwlock(&one).read().expect("reads"), rwlock(&other).read().expect("reads"));
    assert!(rwlock(&one).try_write().expect("asks").is_none());
    let third = rwlock(&other).try_read().expect("asks").expect("reads too");
    for guard in [first, second, third] {
        assert_eq!(*guard, 0);
        guard.unlock().expect("unlocks");
    }
    let mut guard = rwlock(&one).try_write().expect("asks").expect("nobody has it");
    *guard = 5;
    assert!(rwlock(&other).try_read().expect("asks").is_none() && rwlock(&other).try_write().expect("asks").is_none());
    let description = stage.describe(rwlock(&one).object());
    assert_eq!(
        (&description["holders"][0]["what"], &description["state"]["writing"]),
        (&"write lock".into(), &true.into())
    );
    let fence = guard.fence();
    guard.unlock().expect("unlocks");
    let guard = rwlock(&other).read().expect("reads");
    assert!(*guard == 5 && guard.fence() > fence);
}

fn a_waiting_writer_is_not_overtaken_by_readers(stage: &Stage) {
    let [one, other] = stage.sessions();
    let reader = rwlock(&one).read().expect("reads");
    let writing = write(stage, &other);
    assert!(rwlock(&one).try_read().expect("asks").is_none());
    let late = read(stage, &one);
    reader.unlock().expect("unlocks");
    let mut writer = writing.finish().expect("writes");
    assert!(!late.is_finished());
    *writer = 1;
    writer.unlock().expect("unlocks");
    assert_eq!(*late.finish().expect("reads"), 1);
}

fn readers_behind_a_writer_come_in_together(stage: &Stage) {
    let [one, other] = stage.sessions();
    let mut writer = rwlock(&one).write().expect("writes");
    *writer = 3;
    let readers: Vec<_> = (0..3).map(|_| read(stage, &other)).collect();
    let writing = write(stage, &one);
    let last = read(stage, &other);
    writer.unlock().expect("unlocks");
    let guards: Vec<_> = readers.into_iter().map(|reading| reading.finish().expect("reads")).collect();
    assert!(guards.iter().all(|guard| **guard == 3));
    assert!(!writing.is_finished() && !last.is_finished());
    drop(guards);
    drop(writing.finish().expect("writes"));
    assert_eq!(*last.finish().expect("reads"), 3);
}

fn a_writer_that_gives_up_lets_the_readers_behind_it_go_on(stage: &Stage) {
    let [one, other] = stage.sessions();
    let _reader = rwlock(&one).read().expect("reads");
    let (writing, reading) = (write(stage, &other), read(stage, &one));
    writing.give_up();
    reading.finish().expect("reads").unlock().expect("unlocks");
}

fn a_writer_that_times_out_lets_the_readers_behind_it_go_on(stage: &Stage) {
    let [one, other] = stage.sessions();
    let (_reader, hasty) = (rwlock(&one).read().expect("reads"), rwlock(&other));
    let object = hasty.object().clone();
    let writing = stage.start(async move { hasty.write_timeout_async(TIMEOUT * 10).await.map(drop) });
    stage.until_parked(&object, 1);
    let reading = read(stage, &one);
    assert_eq!(writing.finish_after(TIMEOUT * 10), timed_out());
    reading.finish().expect("reads").unlock().expect("unlocks");
}

fn a_writer_whose_session_ends_lets_the_readers_behind_it_go_on(stage: &Stage) {
    let [one, other] = stage.sessions();
    let _reader = rwlock(&one).read().expect("reads");
    let (writing, reading) = (write(stage, &other), read(stage, &one));
    other.end();
    assert!(writing.finish().is_err());
    reading.finish().expect("reads").unlock().expect("unlocks");
}

fn locks_of_an_owner_that_ends_are_free_and_what_it_wrote_is_void(stage: &Stage) {
    let [reader, writer, last] = stage.sessions();
    let read = rwlock(&reader).read().expect("reads");
    let writing = write(stage, &writer);
    let fence = read.fence();
    reader.end();
    let mut written = writing.finish().expect("the reader has ended");
    assert_eq!(read.unlock(), Err(Error::Superseded { object: "RwLock/l".to_owned(), fence }));
    *written = 9;
    let fence = written.fence();
    writer.end();
    let lock = rwlock(&last);
    let locked = stage.start(async move { lock.write_async().await }).finish().expect("the writer has ended");
    assert_eq!(*locked, 0);
    assert_eq!(written.unlock(), Err(Error::Superseded { object: "RwLock/l".to_owned(), fence }));
    locked.unlock().expect("unlocks");
}

fn a_guard_that_is_dropped_gives_back_and_a_panic_writes_nothing(stage: &Stage) {
    let [one, other] = stage.sessions();
    let mut guard = rwlock(&one).write().expect("writes");
    *guard = 4;
    drop(guard);
    let lock = rwlock(&other);
    let read = stage.start(async move { lock.read_async().await }).finish().expect("reads");
    assert_eq!(*read, 4);
    drop(read);
    let lock = rwlock(&one);
    let panicked = std::thread::spawn(move || {
        let mut guard = lock.write().expect("writes");
        *guard = 99;
        panic!("while it writes");
    });
    assert!(panicked.join().is_err());
    assert_eq!(*rwlock(&other).read().expect("reads"), 4);
}

fn a_writer_becomes_a_reader_and_nobody_writes_in_between(stage: &Stage) {
    let [one, other] = stage.sessions();
    let mut guard = rwlock(&one).write().expect("writes");
    *guard = 6;
    let (reading, writing) = (read(stage, &other), write(stage, &other));
    let guard = guard.downgrade().expect("is held");
    let together = reading.finish().expect("reads too");
    assert_eq!((*guard, *together), (6, 6));
    assert!(!writing.is_finished());
    together.unlock().expect("unlocks");
    assert!(!writing.is_finished(), "one still reads");
    guard.unlock().expect("unlocks");
    let mut writer = writing.finish().expect("writes");
    *writer = 7;
    let fence = writer.fence();
    other.end();
    assert_eq!(writer.downgrade().map(drop), Err(Error::Superseded { object: "RwLock/l".to_owned(), fence }));
    let unchanged = rwlock(&one).write().expect("writes").downgrade().expect("is held");
    assert_eq!(*unchanged, 6);
}

fn waiting_readers_and_writers_time_out(stage: &Stage) {
    let [one, other] = stage.sessions();
    let guard = rwlock(&one).write().expect("writes");
    let lock = rwlock(&other);
    let reading = stage.start(async move { lock.read_timeout_async(TIMEOUT).await.map(drop) });
    assert_eq!(reading.finish_after(TIMEOUT), timed_out());
    let lock = rwlock(&other).with_timeout(TIMEOUT);
    let writing = stage.start(async move { lock.write_async().await.map(drop) });
    assert_eq!(writing.finish_after(TIMEOUT), timed_out());
    guard.unlock().expect("unlocks");
    assert!(rwlock(&other).try_write().expect("asks").is_some(), "nobody was left in the queue");
}

fn values_of_two_types_or_two_initial_values_do_not_meet(stage: &Stage) {
    let session = stage.session();
    drop(rwlock(&session).read().expect("reads"));
    let refused = |error: Error| {
        assert!(matches!(error, Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. }), "{error}");
    };
    refused(RwLock::named("l", 0_i64).through(session.caller()).read().map(drop).expect_err("another type"));
    refused(RwLock::named("l", 1_u64).through(session.caller()).write().map(drop).expect_err("another value"));
}

fn a_value_that_became_too_large_gives_the_lock_back_without_it(stage: &Stage) {
    type GiveBack = fn(RwLockWriteGuard<String>) -> Result<(), Error>;
    let [one, other] = stage.sessions();
    let text = |session: &Session| RwLock::named("text", String::new()).through(session.caller());
    let give_back: [GiveBack; 3] = [
        |guard| guard.unlock(),
        |guard| guard.downgrade().map(drop),
        |guard| {
            drop(guard);
            Ok(())
        },
    ];
    for (round, give_back) in give_back.into_iter().enumerate() {
        let mut guard = text(&one).write().expect("writes");
        guard.push_str(&"x".repeat(40 << 20));
        let refused = give_back(guard);
        let is_told = matches!(refused, Err(Error::Refused { refusal: Refusal::TooLarge { .. }, .. }));
        assert!(is_told || round == 2, "who drops is told nothing");
        let next = text(&other);
        let guard = stage.start(async move { next.write_async().await }).finish().expect("it was given back");
        assert_eq!(*guard, "", "the change is not applied");
        guard.unlock().expect("unlocks");
    }
}

fn a_downgrade_whose_answer_nobody_took_leaves_no_lock(stage: &Stage) {
    let [one, other] = stage.sessions();
    let mut guard = rwlock(&one).write().expect("writes");
    *guard = 5;
    let mut downgrade = Box::pin(guard.downgrade_async());
    stage.make(downgrade.as_mut());
    until("it is a reader's", || stage.describe(rwlock(&other).object())["state"]["readers"] == 1);
    drop(downgrade);
    let lock = rwlock(&other);
    let guard = stage.start(async move { lock.write_async().await }).finish().expect("it was given back");
    assert_eq!(*guard, 5);
}

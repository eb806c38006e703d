//! What `Semaphore` promises, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::sync::{AcquireError, Semaphore, SemaphorePermit, TooManyPermits};
use greenroom::{Error, Refusal};
use stage::{Session, Stage, Started, scenarios};

scenarios! {
    permits_are_taken_and_come_back,
    permits_are_given_in_order_and_a_large_request_is_not_overtaken,
    a_large_request_that_gives_up_lets_the_small_ones_behind_it_go_on,
    a_large_request_that_times_out_lets_the_small_ones_behind_it_go_on,
    a_large_request_whose_session_ends_lets_the_small_ones_behind_it_go_on,
    permits_of_an_owner_that_ends_come_back,
    a_permit_that_comes_as_its_caller_gives_up_goes_to_the_next,
    permits_are_added_and_forgotten,
    a_closed_semaphore_tells_who_waits_and_who_comes,
    what_makes_no_sense_is_refused_and_changes_nothing,
}

const TIMEOUT: Duration = Duration::from_millis(100);

type Acquiring<'a> = Started<'a, Result<SemaphorePermit, Error<AcquireError>>>;

fn semaphore(session: &Session) -> Semaphore {
    Semaphore::named("s", 3).through(session.caller())
}

/// Begins to acquire so many, behind those who wait.
fn acquire<'a>(stage: &'a Stage, session: &Session, permits: u32) -> Acquiring<'a> {
    let semaphore = semaphore(session);
    let (object, n_parked) = (semaphore.object().clone(), stage.parked(semaphore.object()));
    let acquiring = stage.start(async move { semaphore.acquire_many_async(permits).await });
    stage.until_parked(&object, n_parked + 1);
    acquiring
}

fn available(session: &Session) -> usize {
    semaphore(session).available_permits().expect("asks")
}

fn permits_are_taken_and_come_back(stage: &Stage) {
    let [one, other] = stage.sessions();
    let first = semaphore(&one).acquire().expect("acquires");
    let second = semaphore(&other).acquire_many(2).expect("acquires");
    assert_eq!((first.num_permits(), second.num_permits(), available(&one)), (1, 2, 0));
    assert!(second.fence() > first.fence());
    assert!(semaphore(&other).try_acquire().expect("asks").is_none());
    let holders = stage.describe(semaphore(&one).object())["holders"].clone();
    assert_eq!((&holders[0]["what"], &holders[1]["what"]), (&"1 permit".into(), &"2 permits".into()));
    let waiting = acquire(stage, &one, 1);
    second.release().expect("releases");
    let third = waiting.finish().expect("acquires");
    assert_eq!(available(&one), 1);
    assert!(semaphore(&other).try_acquire_many(2).expect("asks").is_none());
    drop(semaphore(&other).try_acquire_many(1).expect("asks").expect("is there"));
    drop((first, third));
    let all = semaphore(&other);
    let all = stage.start(async move { all.acquire_many_async(3).await });
    assert_eq!(all.finish().expect("what is dropped comes back").num_permits(), 3);
}

fn permits_are_given_in_order_and_a_large_request_is_not_overtaken(stage: &Stage) {
    let [one, other] = stage.sessions();
    let (first, second) = (semaphore(&one).acquire().expect("acquires"), semaphore(&one).acquire().expect("acquires"));
    let (large, small) = (acquire(stage, &other, 2), acquire(stage, &one, 1));
    assert_eq!(available(&one), 1);
    assert!(semaphore(&other).try_acquire().expect("asks").is_none(), "one is there, and others wait");
    first.release().expect("releases");
    let large = large.finish().expect("acquires");
    assert!(!small.is_finished());
    second.release().expect("releases");
    let small = small.finish().expect("acquires");
    assert_eq!(available(&one), 0);
    drop((large, small));
}

/// A request that cannot be met waits before one that can, and then `leaves`.
fn head_of_the_queue_gone(stage: &Stage, leaves: impl FnOnce(Acquiring<'_>, Session)) {
    let [one, other] = stage.sessions();
    let _held = semaphore(&one).acquire().expect("acquires");
    let (large, small, next) = (acquire(stage, &other, 3), acquire(stage, &one, 1), acquire(stage, &one, 1));
    leaves(large, other);
    let (_small, _next) = (small.finish().expect("acquires"), next.finish().expect("acquires"));
    assert_eq!(available(&one), 0);
}

fn a_large_request_that_gives_up_lets_the_small_ones_behind_it_go_on(stage: &Stage) {
    head_of_the_queue_gone(stage, |large, _session| large.give_up());
}

fn a_large_request_whose_session_ends_lets_the_small_ones_behind_it_go_on(stage: &Stage) {
    head_of_the_queue_gone(stage, |large, session| {
        session.end();
        assert!(large.finish().is_err());
    });
}

fn a_large_request_that_times_out_lets_the_small_ones_behind_it_go_on(stage: &Stage) {
    let [one, other] = stage.sessions();
    let (_held, hasty) = (semaphore(&one).acquire().expect("acquires"), semaphore(&other));
    let object = hasty.object().clone();
    let large = stage.start(async move { hasty.acquire_many_timeout_async(3, TIMEOUT * 10).await.map(drop) });
    stage.until_parked(&object, 1);
    let small = acquire(stage, &one, 1);
    assert_eq!(large.finish_after(TIMEOUT * 10), Err(Error::TimedOut { object: "Semaphore/s".to_owned() }));
    let _small = small.finish().expect("acquires");
    let (_rest, hasty) = (semaphore(&one).acquire().expect("acquires"), semaphore(&other));
    let in_vain = stage.start(async move { hasty.acquire_timeout_async(TIMEOUT).await.map(drop) });
    assert_eq!(in_vain.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Semaphore/s".to_owned() }));
    assert_eq!(stage.parked(&object), 0);
}

fn permits_of_an_owner_that_ends_come_back(stage: &Stage) {
    let [one, other] = stage.sessions();
    let (first, second) =
        (semaphore(&one).acquire_many(2).expect("acquires"), semaphore(&one).acquire().expect("acquires"));
    let waiting = acquire(stage, &other, 3);
    let (fence, object) = (first.fence(), "Semaphore/s".to_owned());
    one.end();
    let all = waiting.finish().expect("acquires");
    assert_eq!(first.release(), Err(Error::Superseded { object: object.clone(), fence }));
    let fence = second.fence();
    assert_eq!(second.forget(), Err(Error::Superseded { object, fence }));
    all.release().expect("releases");
    assert_eq!(available(&other), 3);
}

fn a_permit_that_comes_as_its_caller_gives_up_goes_to_the_next(stage: &Stage) {
    const ROUNDS: usize = 20;
    let [one, other] = stage.sessions();
    for _ in 0..ROUNDS {
        let all = semaphore(&one).acquire_many(3).expect("acquires");
        let (object, hasty) = (semaphore(&one).object().clone(), semaphore(&other));
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        let gives_up = stage.start(async move {
            tokio::select! {
                permit = hasty.acquire_many_async(3) => drop(permit.expect("acquires")),
                _ = told => {}
            }
        });
        stage.until_parked(&object, 1);
        let waits = acquire(stage, &one, 3);
        // Whether the permits or the signal to give up comes first is open, and makes no difference to the next.
        let releasing = stage.start(async move { all.release_async().await });
        // It may have the permits already.
        let _ = tell.send(());
        releasing.finish().expect("releases");
        gives_up.finish();
        waits.finish().expect("acquires").release().expect("releases");
        assert_eq!(available(&one), 3);
    }
}

fn permits_are_added_and_forgotten(stage: &Stage) {
    let session = stage.session();
    let gate = Semaphore::named("gate", 0).through(session.caller());
    assert!(gate.try_acquire().expect("asks").is_none());
    let closed = gate.clone();
    let waiting = stage.start(async move { closed.acquire_many_async(5).await });
    stage.until_parked(gate.object(), 1);
    gate.add_permits(4).expect("adds");
    assert!(!waiting.is_finished());
    gate.add_permits(2).expect("adds");
    let five = waiting.finish().expect("more than there were at first");
    assert_eq!(gate.available_permits(), Ok(1));
    five.forget().expect("forgets");
    assert_eq!(gate.available_permits(), Ok(1));
    assert_eq!(gate.forget_permits(7), Ok(1));
    assert_eq!(gate.available_permits(), Ok(0));
    assert_eq!(stage.describe(gate.object())["state"]["total"], 0);
}

fn a_closed_semaphore_tells_who_waits_and_who_comes(stage: &Stage) {
    let [one, other] = stage.sessions();
    let semaphore = semaphore(&one);
    let held = semaphore.acquire_many(3).expect("acquires");
    let waiting = acquire(stage, &other, 1);
    assert_eq!(semaphore.is_closed(), Ok(false));
    assert_eq!(semaphore.close(), Ok(true));
    let closed = Error::Method(AcquireError::Closed);
    assert_eq!(waiting.finish().map(drop), Err(closed.clone()));
    assert_eq!(semaphore.acquire().map(drop), Err(closed.clone()));
    assert_eq!(semaphore.try_acquire().map(drop), Err(closed));
    assert_eq!((semaphore.close(), semaphore.is_closed()), (Ok(false), Ok(true)));
    held.release().expect("what is out stays valid");
    assert_eq!(semaphore.available_permits(), Ok(3));
}

fn what_makes_no_sense_is_refused_and_changes_nothing(stage: &Stage) {
    let session = stage.session();
    let three = semaphore(&session);
    let none = Error::Method(AcquireError::NoneWanted);
    assert_eq!(three.acquire_many(0).map(drop), Err(none.clone()));
    assert_eq!(three.try_acquire_many(0).map(drop), Err(none));
    let held = three.acquire().expect("acquires");
    let added = Semaphore::MAX_PERMITS as u64 - 2;
    let too_many = Error::Method(TooManyPermits { permits: 3, added });
    assert_eq!(three.add_permits(Semaphore::MAX_PERMITS - 2), Err(too_many), "what is out counts");
    assert_eq!(three.add_permits(Semaphore::MAX_PERMITS - 3), Ok(()));
    assert!(matches!(three.add_permits(usize::MAX), Err(Error::Method(TooManyPermits { .. }))));
    held.release().expect("releases");
    assert_eq!(three.available_permits(), Ok(Semaphore::MAX_PERMITS));
    let more = Semaphore::named("more", Semaphore::MAX_PERMITS + 1).through(session.caller()).acquire().map(drop);
    assert!(matches!(&more, Err(Error::Refused { refusal: Refusal::Constructor(_), .. })), "{more:?}");
    let four = Semaphore::named("s", 4).through(session.caller()).acquire().map(drop);
    assert!(matches!(&four, Err(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. })), "{four:?}");
    let permit = three.acquire().expect("acquires");
    assert_eq!(three.object().delete(), Ok(true));
    assert_eq!(permit.release(), Err(Error::ObjectLost { object: "Semaphore/s".to_owned() }));
}

//! What `Barrier` promises, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::sync::{Aborted, Barrier, BarrierWaitResult};
use greenroom::{Error, Refusal};
use stage::{Session, Stage, Started, scenarios};

scenarios! {
    a_barrier_opens_for_the_last_party_who_is_the_leader,
    a_barrier_has_one_leader_each_time_it_opens,
    a_seat_at_a_barrier_is_free_again_when_its_caller_gives_up,
    who_tries_comes_through_only_as_the_last,
    a_barrier_of_nobody_or_of_another_number_is_refused,
    who_waits_at_a_barrier_that_is_aborted_is_told_and_so_is_who_comes,
    a_reset_tells_who_waits_and_opens_the_barrier_anew,
    who_waits_at_a_barrier_that_is_deleted_learns_of_it,
}

type Passed = Result<BarrierWaitResult, Error<Aborted>>;

fn gate(session: &Session, parties: usize) -> Barrier {
    Barrier::named("gate", parties).through(session.caller())
}

/// Lets a call wait at the barrier, as the number `count` of those that do.
fn wait<'a>(stage: &'a Stage, barrier: &Barrier, count: usize) -> Started<'a, Passed> {
    let waits = stage.start(barrier.wait_async());
    stage.until_parked(barrier.object(), count);
    waits
}

fn a_barrier_opens_for_the_last_party_who_is_the_leader(stage: &Stage) {
    let sessions: [Session; 3] = stage.sessions();
    for generation in 0..3 {
        let first = wait(stage, &gate(&sessions[0], 3), 1);
        let second = wait(stage, &gate(&sessions[1], 3), 2);
        assert!(!first.is_finished() && !second.is_finished());
        let third = gate(&sessions[2], 3).wait().expect("passes");
        let passed = [first.finish().expect("passes"), second.finish().expect("passes"), third];
        assert_eq!(passed.map(|result| result.is_leader()), [false, false, true]);
        assert_eq!(passed.map(|result| result.generation()), [generation; 3]);
    }
}

fn a_barrier_has_one_leader_each_time_it_opens(stage: &Stage) {
    const ROUNDS: u64 = 25;
    let sessions: [Session; 4] = stage.sessions();
    let led: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let barrier = gate(&sessions[thread / 2], 8);
                scope.spawn(move || {
                    let passes = (0..ROUNDS).map(|round| {
                        let passed = barrier.wait().expect("passes");
                        assert_eq!(passed.generation(), round);
                        u64::from(passed.is_leader())
                    });
                    passes.sum::<u64>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("ends")).sum()
    });
    assert_eq!(led, ROUNDS);
}

fn a_seat_at_a_barrier_is_free_again_when_its_caller_gives_up(stage: &Stage) {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let [session, dying] = stage.sessions();
    let barrier = gate(&session, 3);
    let patient = wait(stage, &barrier, 1);
    let hasty = barrier.clone();
    let hasty = stage.start(async move { hasty.wait_timeout_async(TIMEOUT).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Barrier/gate".to_owned() }));
    wait(stage, &barrier, 2).give_up();
    stage.until_parked(barrier.object(), 1);
    let _dead = wait(stage, &gate(&dying, 3), 2);
    dying.end();
    stage.until_parked(barrier.object(), 1);

    let second = wait(stage, &barrier, 2);
    assert_eq!(barrier.waiting(), Ok(2));
    assert!(!patient.is_finished(), "two of three are here");
    assert!(barrier.wait().expect("passes").is_leader());
    for passed in [patient, second].map(Started::finish) {
        assert_eq!(passed.map(|passed| (passed.is_leader(), passed.generation())), Ok((false, 0)));
    }
}

fn who_tries_comes_through_only_as_the_last(stage: &Stage) {
    let sessions: [Session; 3] = stage.sessions();
    let [barrier, others @ ..] = [0, 1, 2].map(|session| gate(&sessions[session], 3));
    assert_eq!(barrier.try_wait(), Ok(None), "two others are missing");
    let first = wait(stage, &others[0], 1);
    assert_eq!(barrier.try_wait(), Ok(None));
    assert_eq!(barrier.waiting(), Ok(1), "who tries takes no seat");
    let second = wait(stage, &others[1], 2);
    let passed = barrier.try_wait().expect("is answered").expect("all others are here");
    assert_eq!((passed.is_leader(), passed.generation()), (true, 0));
    for passed in [first, second].map(Started::finish) {
        assert_eq!(passed.map(|passed| (passed.is_leader(), passed.generation())), Ok((false, 0)));
    }

    let _first = wait(stage, &others[0], 1);
    wait(stage, &others[1], 2).give_up();
    stage.until_parked(barrier.object(), 1);
    assert_eq!(barrier.try_wait(), Ok(None), "one of them has gone");
    assert_eq!(barrier.abort(), Ok(()));
    assert_eq!(barrier.try_wait(), Err(Error::Method(Aborted)));
}

fn a_barrier_of_nobody_or_of_another_number_is_refused(stage: &Stage) {
    let session = stage.session();
    let refused = |waited: Passed| match waited {
        Err(Error::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(gate(&session, 0).wait()), Refusal::Constructor(_)));
    assert_eq!(gate(&session, 3).parties(), Ok(3));
    let different = refused(gate(&session, 4).wait());
    let (made, caller) = ("{parties: 3}".to_owned(), "{parties: 4}".to_owned());
    assert_eq!(different, Refusal::DifferentArguments { made, caller });
    assert_eq!(gate(&session, 3).waiting(), Ok(0));
}

fn who_waits_at_a_barrier_that_is_aborted_is_told_and_so_is_who_comes(stage: &Stage) {
    let [session, other] = stage.sessions();
    let barrier = gate(&session, 3);
    let waiting = [wait(stage, &barrier, 1), wait(stage, &gate(&other, 3), 2)];
    assert_eq!(barrier.is_aborted(), Ok(false));
    assert_eq!(gate(&other, 3).abort(), Ok(()));
    for told in waiting.map(Started::finish) {
        assert_eq!(told, Err(Error::Method(Aborted)));
    }
    assert_eq!(barrier.abort(), Ok(()), "once more means nothing");
    assert_eq!(barrier.wait(), Err(Error::Method(Aborted)));
    assert_eq!((barrier.is_aborted(), barrier.waiting()), (Ok(true), Ok(0)));

    assert_eq!(barrier.reset(), Ok(()));
    assert_eq!(barrier.is_aborted(), Ok(false));
    let waiting = [wait(stage, &barrier, 1), wait(stage, &barrier, 2)];
    assert_eq!(barrier.wait().map(|passed| (passed.is_leader(), passed.generation())), Ok((true, 0)));
    assert!(waiting.map(Started::finish).iter().all(Result::is_ok));
}

fn a_reset_tells_who_waits_and_opens_the_barrier_anew(stage: &Stage) {
    let session = stage.session();
    let barrier = gate(&session, 2);
    for generation in 0..2 {
        let waiting = wait(stage, &barrier, 1);
        assert_eq!(barrier.reset(), Ok(()));
        assert_eq!(waiting.finish(), Err(Error::Method(Aborted)));
        let waiting = wait(stage, &barrier, 1);
        assert_eq!(barrier.wait().map(|passed| passed.generation()), Ok(generation), "only openings count");
        assert!(waiting.finish().is_ok());
    }
    let state = &stage.describe(barrier.object())["state"];
    assert_eq!(*state, serde_json::json!({ "parties": 2, "waiting": 0, "generation": 2, "aborted": false }));
}

fn who_waits_at_a_barrier_that_is_deleted_learns_of_it(stage: &Stage) {
    let session = stage.session();
    let barrier = gate(&session, 2);
    let waiting = wait(stage, &barrier, 1);
    assert_eq!(barrier.object().delete(), Ok(true));
    assert_eq!(waiting.finish(), Err(Error::ObjectLost { object: "Barrier/gate".to_owned() }));
    assert_eq!(barrier.waiting(), Ok(0), "it is made anew");
}

//! What `Phaser` promises, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::Error;
use greenroom::sync::{Party, Phaser, PhaserError};
use stage::{Session, Stage, Started, scenarios, until};

scenarios! {
    a_phase_ends_when_all_parties_have_arrived,
    a_party_that_arrives_goes_on_and_may_wait_later,
    a_party_arrives_once_in_a_phase,
    a_party_that_comes_later_is_waited_for,
    the_others_do_not_wait_for_a_party_that_leaves,
    the_others_do_not_wait_for_a_party_whose_session_ended,
    an_arrival_goes_with_the_session_of_its_party,
    an_arrival_that_timed_out_or_was_given_up_is_taken_back,
    a_phaser_without_parties_stays_open,
    who_is_no_party_waits_for_the_end_of_a_phase,
    a_phaser_that_is_terminated_tells_everybody,
    threads_meet_in_every_phase,
}

const TIMEOUT: Duration = Duration::from_millis(100);

type Phase = Result<u64, Error<PhaserError>>;

fn phaser(session: &Session) -> Phaser {
    Phaser::named("rounds").through(session.caller())
}

fn parties<const N: usize>(phaser: &Phaser) -> [Party; N] {
    std::array::from_fn(|_| phaser.register().expect("registers"))
}

/// Lets a party arrive and wait, as the number `count` of those that do.
fn arrive_and_wait(stage: &Stage, party: Party, count: usize) -> Started<'_, (Phase, Party)> {
    let object = party.object().clone();
    let waits = stage.start(async move { (party.arrive_and_wait_async().await, party) });
    stage.until_parked(&object, count);
    waits
}

fn error<T>(error: PhaserError) -> Result<T, Error<PhaserError>> {
    Err(Error::Method(error))
}

fn a_phase_ends_when_all_parties_have_arrived(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| phaser(&session));
    let ([mut first, last], [mut second]) = (parties(&one), parties(&other));
    assert_eq!((one.registered(), one.arrived(), one.phase()), (Ok(3), Ok(0), Ok(0)));
    for phase in 1..=3 {
        let waiting = [arrive_and_wait(stage, first, 1), arrive_and_wait(stage, second, 2)];
        assert_eq!((other.arrived(), other.phase()), (Ok(2), Ok(phase - 1)));
        assert_eq!(last.arrive_and_wait(), Ok(phase));
        let [(of_first, first_again), (of_second, second_again)] = waiting.map(Started::finish);
        assert_eq!((of_first, of_second), (Ok(phase), Ok(phase)));
        (first, second) = (first_again, second_again);
        assert_eq!((other.arrived(), other.phase()), (Ok(0), Ok(phase)));
    }
    let holders = stage.describe(one.object())["holders"].clone();
    assert_eq!(holders.as_array().map(Vec::len), Some(3), "{holders}");
}

fn a_party_that_arrives_goes_on_and_may_wait_later(stage: &Stage) {
    let phaser = phaser(&stage.session());
    let [early, late] = parties(&phaser);
    assert_eq!(early.arrive(), Ok(0));
    let waiting = phaser.clone();
    let waits = stage.start(async move { waiting.wait_async(0).await });
    stage.until_parked(phaser.object(), 1);
    assert_eq!(late.arrive(), Ok(0));
    assert_eq!(waits.finish(), Ok(1));
    assert_eq!(phaser.wait(0), Ok(1), "a phase that is over is not waited for");
    assert_eq!(early.arrive(), Ok(1));
}

fn a_party_arrives_once_in_a_phase(stage: &Stage) {
    let phaser = phaser(&stage.session());
    let [party, other] = parties(&phaser);
    assert_eq!(party.arrive(), Ok(0));
    let twice = PhaserError::AlreadyArrived { phase: 0 };
    assert_eq!(party.arrive(), error(twice));
    assert_eq!(party.arrive_and_wait(), error(twice));
    assert_eq!((phaser.arrived(), phaser.phase()), (Ok(1), Ok(0)), "nothing was changed");
    assert_eq!(other.arrive_and_wait(), Ok(1));
    assert_eq!(party.arrive(), Ok(1));
    assert_eq!(party.arrive_and_deregister(), error(PhaserError::AlreadyArrived { phase: 1 }));
    until("it has left all the same", || phaser.registered() == Ok(1));
}

fn a_party_that_comes_later_is_waited_for(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| phaser(&session));
    let [first, second] = parties(&one);
    let waits = arrive_and_wait(stage, first, 1);
    let third = other.register().expect("registers");
    assert_eq!(second.arrive(), Ok(0));
    assert_eq!((one.arrived(), one.registered(), one.phase()), (Ok(2), Ok(3), Ok(0)));
    assert_eq!(third.arrive(), Ok(0));
    assert_eq!(waits.finish().0, Ok(1));
}

fn the_others_do_not_wait_for_a_party_that_leaves(stage: &Stage) {
    let phaser = phaser(&stage.session());
    let [mut patient, leaves, arrives, dropped] = parties(&phaser);
    let waits = arrive_and_wait(stage, patient, 1);
    assert_eq!(leaves.deregister(), Ok(()));
    assert_eq!(arrives.arrive_and_deregister(), Ok(0));
    assert_eq!((phaser.registered(), phaser.arrived()), (Ok(2), Ok(1)));
    drop(dropped);
    let phase;
    (phase, patient) = waits.finish();
    assert_eq!(phase, Ok(1));
    assert_eq!(patient.arrive_and_wait(), Ok(2), "it is alone");
    let again = phaser.register().expect("registers");
    assert_eq!(patient.arrive(), Ok(2));
    drop(patient);
    until("an arrival goes with its party", || phaser.registered() == Ok(1));
    assert_eq!((phaser.arrived(), phaser.phase()), (Ok(0), Ok(2)));
    assert_eq!(again.arrive(), Ok(2));
}

fn the_others_do_not_wait_for_a_party_whose_session_ended(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let (phaser, of_dying) = (phaser(&session), phaser(&dying));
    let [patient] = parties(&phaser);
    let [idle, arrived, waiting] = parties(&of_dying);
    assert_eq!(arrived.arrive(), Ok(0));
    let _dead = arrive_and_wait(stage, waiting, 1);
    let waits = arrive_and_wait(stage, patient, 2);
    assert_eq!(phaser.arrived(), Ok(3));
    dying.end();
    assert_eq!(waits.finish().0, Ok(1));
    until("the party of the other session is gone", || phaser.registered() == Ok(0));
    assert_eq!(idle.arrive(), error(PhaserError::NotRegistered));
    assert_eq!(arrived.deregister(), error(PhaserError::NotRegistered));
}

fn an_arrival_goes_with_the_session_of_its_party(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let (phaser, of_dying) = (phaser(&session), phaser(&dying));
    let ([first, second], [arrived]) = (parties(&phaser), parties(&of_dying));
    assert_eq!((arrived.arrive(), first.arrive()), (Ok(0), Ok(0)));
    dying.end();
    until("the party of the other session is gone", || phaser.registered() == Ok(2));
    assert_eq!((phaser.arrived(), phaser.phase()), (Ok(1), Ok(0)), "one of two has arrived");
    assert_eq!(second.arrive_and_wait(), Ok(1));
}

fn an_arrival_that_timed_out_or_was_given_up_is_taken_back(stage: &Stage) {
    let phaser = phaser(&stage.session());
    let [hasty, other] = parties(&phaser);
    let waits = stage.start(async move { (hasty.arrive_and_wait_timeout_async(TIMEOUT).await, hasty) });
    let (timed_out, hasty) = waits.finish_after(TIMEOUT);
    assert_eq!(timed_out, Err(Error::TimedOut { object: "Phaser/rounds".to_owned() }));
    drop(stage.hold(phaser.object(), hasty.arrive_and_wait_async()));
    stage.until_parked(phaser.object(), 0);
    assert_eq!((phaser.arrived(), phaser.registered()), (Ok(0), Ok(2)));
    assert_eq!(other.arrive(), Ok(0));
    assert_eq!(phaser.phase(), Ok(0), "the hasty one has not arrived");
    assert_eq!(hasty.arrive_and_wait(), Ok(1));

    let timed_out = hasty.arrive();
    let waiting = phaser.clone();
    let waits = stage.start(async move { waiting.wait_timeout_async(1, TIMEOUT).await });
    assert!(matches!(waits.finish_after(TIMEOUT), Err(Error::TimedOut { .. })));
    assert_eq!((timed_out, phaser.arrived()), (Ok(1), Ok(1)), "an arrival that did not wait stands");
}

fn a_phaser_without_parties_stays_open(stage: &Stage) {
    let [session, dying] = stage.sessions();
    let phaser = phaser(&session);
    let waiting = phaser.clone();
    let waits = stage.start(async move { waiting.wait_async(0).await });
    stage.until_parked(phaser.object(), 1);
    let of_dying = phaser.through(dying.caller());
    let _dead: [Party; 2] = parties(&of_dying);
    assert!(!waits.is_finished());
    dying.end();
    assert_eq!(waits.finish(), Ok(1), "who waits learns that nobody is left");
    assert_eq!((phaser.registered(), phaser.is_terminated()), (Ok(0), Ok(false)));
    let [party] = parties(&phaser);
    assert_eq!(party.arrive_and_deregister(), Ok(1));
    assert_eq!(phaser.phase(), Ok(2));
}

fn who_is_no_party_waits_for_the_end_of_a_phase(stage: &Stage) {
    let phaser = phaser(&stage.session());
    let [party] = parties(&phaser);
    let waiting = [0, 2, 1].map(|phase| {
        let phaser = phaser.clone();
        stage.start(async move { phaser.wait_async(phase).await })
    });
    stage.until_parked(phaser.object(), 3);
    for (phase, left) in [(0, 2), (1, 1), (2, 0)] {
        assert_eq!(party.arrive(), Ok(phase));
        assert_eq!(stage.parked(phaser.object()), left, "after phase {phase}");
    }
    assert_eq!(waiting.map(Started::finish), [Ok(1), Ok(3), Ok(2)]);
}

fn a_phaser_that_is_terminated_tells_everybody(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| phaser(&session));
    let [waits, idle, leaves] = parties(&one);
    let waits = arrive_and_wait(stage, waits, 1);
    let watching = other.clone();
    let watches = stage.start(async move { watching.wait_async(7).await });
    stage.until_parked(one.object(), 2);
    assert_eq!((other.terminate(), other.terminate()), (Ok(()), Ok(())));
    let terminated = || error(PhaserError::Terminated);
    assert_eq!((waits.finish().0, watches.finish()), (terminated(), terminated()));
    assert_eq!((idle.arrive(), idle.arrive_and_wait()), (terminated(), terminated()));
    assert_eq!((one.wait(0), one.register().map(|_| 0)), (terminated(), terminated()));
    assert_eq!(leaves.deregister(), Ok(()));
    assert_eq!((one.is_terminated(), one.phase(), one.arrived()), (Ok(true), Ok(0), Ok(0)));
}

fn threads_meet_in_every_phase(stage: &Stage) {
    const ROUNDS: u64 = 20;
    let sessions: [Session; 3] = stage.sessions();
    let all: Vec<Party> = sessions.iter().flat_map(|session| parties::<2>(&phaser(session))).collect();
    std::thread::scope(|scope| {
        for (number, party) in (0..).zip(all) {
            scope.spawn(move || {
                // Each leaves one phase before the next thread does.
                for phase in 1..=ROUNDS + number {
                    assert_eq!(party.arrive_and_wait(), Ok(phase));
                }
                party.deregister().expect("leaves");
            });
        }
    });
    assert_eq!(phaser(&sessions[0]).registered(), Ok(0));
}

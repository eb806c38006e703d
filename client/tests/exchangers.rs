//! What `Exchanger` promises, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::sync::{Exchanger, NobodyWaits};
use greenroom::{Error, Refusal};
use stage::{Session, Stage, Started, scenarios};

scenarios! {
    two_callers_swap_their_values,
    callers_meet_in_pairs_in_the_order_of_their_arrival,
    an_exchange_that_ends_early_leaves_nothing_behind,
    two_threads_that_swap_again_and_again_lose_nothing,
    values_of_two_types_do_not_meet,
    who_does_not_wait_meets_only_who_is_there,
}

type Swapped = Result<String, Error>;

fn exchanger(session: &Session) -> Exchanger<String> {
    Exchanger::named("x").through(session.caller())
}

/// Lets a call wait for another.
fn offer<'a>(stage: &'a Stage, exchanger: &Exchanger<String>, value: &str) -> Started<'a, Swapped> {
    let (offering, value) = (exchanger.clone(), value.to_owned());
    let offered = stage.start(async move { offering.exchange_async(value).await });
    stage.until_parked(exchanger.object(), 1);
    offered
}

fn two_callers_swap_their_values(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| exchanger(&session));
    let offered = offer(stage, &one, "full");
    assert_eq!(other.exchange("empty".to_owned()), Ok("full".to_owned()));
    assert_eq!(offered.finish(), Ok("empty".to_owned()));
}

fn callers_meet_in_pairs_in_the_order_of_their_arrival(stage: &Stage) {
    let exchanger = exchanger(&stage.session());
    for [first, second] in [["a", "b"], ["c", "d"]] {
        let offered = offer(stage, &exchanger, first);
        assert_eq!(exchanger.exchange(second.to_owned()), Ok(first.to_owned()));
        assert_eq!(offered.finish(), Ok(second.to_owned()));
    }
    let odd = offer(stage, &exchanger, "e");
    assert!(!odd.is_finished());
    odd.give_up();
}

fn an_exchange_that_ends_early_leaves_nothing_behind(stage: &Stage) {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let [session, dying] = stage.sessions();
    let exchanger = exchanger(&session);
    let hasty = exchanger.clone();
    let hasty = stage.start(async move { hasty.exchange_timeout_async("hasty".to_owned(), TIMEOUT).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Exchanger/x".to_owned() }));
    offer(stage, &exchanger, "given up").give_up();
    stage.until_parked(exchanger.object(), 0);
    let _dead = offer(stage, &exchanger.through(dying.caller()), "dead");
    dying.end();
    stage.until_parked(exchanger.object(), 0);
    let offered = offer(stage, &exchanger, "patient");
    let state = &stage.describe(exchanger.object())["state"];
    assert_eq!(*state, serde_json::json!({ "waiting": 1, "offered_bytes": [8] }), "only its own value is there");
    assert_eq!(exchanger.exchange_timeout("late".to_owned(), TIMEOUT), Ok("patient".to_owned()));
    assert_eq!(offered.finish(), Ok("late".to_owned()));
}

fn two_threads_that_swap_again_and_again_lose_nothing(stage: &Stage) {
    const ROUNDS: usize = 101;
    let sessions: [Session; 2] = stage.sessions();
    let values: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .iter()
            .zip(["one", "other"])
            .map(|(session, value)| {
                let exchanger = exchanger(session);
                scope.spawn(move || {
                    (0..ROUNDS).fold(value.to_owned(), |value, _| exchanger.exchange(value).expect("swaps"))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("ends")).collect()
    });
    assert_eq!(values, ["other", "one"], "after an odd number of swaps");
}

fn values_of_two_types_do_not_meet(stage: &Stage) {
    let session = stage.session();
    let offered = offer(stage, &exchanger(&session), "text");
    let other = Exchanger::<u64>::named("x").through(session.caller());
    let refused = other.exchange(1);
    assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. })), "{refused:?}");
    offered.give_up();
}

fn who_does_not_wait_meets_only_who_is_there(stage: &Stage) {
    let [one, other] = stage.sessions().map(|session: Session| exchanger(&session));
    let back = Err(Error::Method(NobodyWaits("alone".to_owned())));
    assert_eq!(other.try_exchange("alone".to_owned()), back);
    let offered = offer(stage, &one, "first");
    assert_eq!(other.try_exchange("second".to_owned()), Ok("first".to_owned()));
    assert_eq!(offered.finish(), Ok("second".to_owned()));
    offer(stage, &one, "given up").give_up();
    stage.until_parked(one.object(), 0);
    assert_eq!(other.try_exchange("alone".to_owned()), back, "who gave up is not there, and nothing of the others is");
}

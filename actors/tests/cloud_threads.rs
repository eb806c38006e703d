//! The life of a cloud thread as the cluster knows it, on the pure state machine.

extern crate greenroom_actors as greenroom;

mod common;

use bytes::Bytes;
use common::{Bench, Request};
use greenroom::objects::{CloudThreadObject, LOGS_BYTES_MAX, Progress, Start, ThreadSpec};
use greenroom::{CallId, Fault, Refusal, SessionId, ThreadFailure, ThreadId};
use serde::Serialize;
use serde::de::DeserializeOwned;

type Outcome = Result<Bytes, ThreadFailure>;

const DRIVER: u64 = 1;
/// The processes that are handed its attempts.
const PROCESS: u64 = 2;
const OTHER_PROCESS: u64 = 3;
const ENDS_MS: u64 = 60_000;

/// One cloud thread on a bench.
struct Stage {
    bench: Bench,
}

impl Stage {
    fn new(retries: u8, is_detached: bool) -> Self {
        let mut stage = Self { bench: Bench::new() };
        let arguments = Some(Bytes::from_static(b"arguments"));
        let spec = ThreadSpec { thread: thread(), function: "app::work".to_owned(), arguments, retries, is_detached };
        stage.call::<()>(DRIVER, "submit", &(spec,));
        stage
    }

    fn send(&mut self, session: u64, method: &str, arguments: &impl Serialize) -> CallId {
        self.bench.send::<CloudThreadObject, _>(&Request::of("t").by(session), method, arguments)
    }

    fn call<R: DeserializeOwned>(&mut self, session: u64, method: &str, arguments: &impl Serialize) -> R {
        let call = self.send(session, method, arguments);
        self.bench.value(call)
    }

    fn start(&mut self, session: u64, attempt: u8, delivery: u64) -> Start {
        self.call(session, "start", &(attempt, delivery, Some(ENDS_MS)))
    }

    fn finish(&mut self, attempt: u8, result: &'static [u8]) -> bool {
        let outcome: Outcome = Ok(Bytes::from_static(result));
        self.call(session(attempt), "finish", &(attempt, outcome, Bytes::from_static(b"log\n")))
    }

    fn fail(&mut self, attempt: u8) {
        self.call(DRIVER, "fail", &(attempt, crashed(attempt), Bytes::new()))
    }

    /// The attempt is ended in the slot.
    fn end(&mut self, attempt: u8) {
        self.bench.end_session(session(attempt));
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.call(DRIVER, "try_join", &())
    }
}

fn thread() -> ThreadId {
    ThreadId::from_random(77)
}

fn crashed(attempt: u8) -> ThreadFailure {
    ThreadFailure::Lost { attempt, why: "it has crashed".to_owned() }
}

fn session(attempt: u8) -> u64 {
    SessionId::of_attempt(thread(), attempt).0
}

fn run() -> Start {
    Start::Run { arguments: Some(Bytes::from_static(b"arguments")) }
}

fn returned(result: &'static [u8]) -> Outcome {
    Ok(Bytes::from_static(result))
}

fn is_lost(outcome: Option<&Outcome>, number: u8) -> bool {
    matches!(outcome, Some(Err(ThreadFailure::Lost { attempt, .. })) if *attempt == number)
}

#[test]
fn an_outcome_is_told_once_nothing_belongs_to_the_attempt() {
    let mut stage = Stage::new(0, false);
    let joins = stage.send(DRIVER, "join", &());
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    let watches = stage.send(session(1), "watch", &());
    assert!(stage.finish(1, b"result"));
    assert!(stage.bench.answer(joins).is_none() && stage.outcome().is_none(), "it may hold something still");
    stage.end(1);
    assert_eq!(stage.bench.value::<Outcome>(joins), returned(b"result"));
    assert_eq!(stage.outcome(), Some(returned(b"result")));
    assert_eq!(stage.bench.fault(watches), Fault::Cancelled, "the watch ends with its attempt");
    assert_eq!(stage.call::<Outcome>(DRIVER, "join", &()), returned(b"result"));
    assert_eq!(stage.call::<Bytes>(DRIVER, "logs", &()), "log\n");
}

#[test]
fn a_second_delivery_of_the_event_does_not_run_it_again() {
    let mut stage = Stage::new(0, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    assert_eq!(stage.start(PROCESS, 1, 10), run(), "the same delivery asks again");
    assert_eq!(stage.start(OTHER_PROCESS, 1, 11), Start::Duplicate);
    stage.bench.end_session(OTHER_PROCESS);
    assert!(stage.outcome().is_none(), "the one that runs it lives");
    assert!(stage.finish(1, b"result"));
    assert!(!stage.finish(1, b"another"), "it finishes once");
    assert_eq!(stage.start(OTHER_PROCESS, 1, 12), Start::Duplicate);
    stage.end(1);
    assert_eq!(stage.start(OTHER_PROCESS, 1, 13), Start::Duplicate);
    assert_eq!(stage.outcome(), Some(returned(b"result")));
}

#[test]
fn a_thread_is_submitted_once() {
    let mut stage = Stage::new(0, false);
    let other = ThreadSpec {
        thread: thread(),
        function: "app::other".to_owned(),
        arguments: None,
        retries: 9,
        is_detached: true,
    };
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    stage.call::<()>(OTHER_PROCESS, "submit", &(other,));
    assert_eq!(stage.start(PROCESS, 1, 10), run(), "it still runs the first");
}

#[test]
fn a_thread_that_nobody_submitted_does_not_run() {
    let mut stage = Stage { bench: Bench::new() };
    assert_eq!(stage.start(PROCESS, 1, 10), Start::Cancelled);
    assert!(!stage.finish(1, b"result"));
}

#[test]
fn a_thread_that_is_cancelled_before_its_start_never_runs() {
    let mut stage = Stage::new(3, false);
    let joins = stage.send(DRIVER, "join", &());
    assert!(stage.call::<bool>(DRIVER, "cancel", &()));
    assert_eq!(stage.bench.value::<Outcome>(joins), Err(ThreadFailure::Cancelled));
    assert_eq!(stage.start(PROCESS, 1, 10), Start::Cancelled);
    assert!(!stage.call::<bool>(DRIVER, "cancel", &()), "it has ended");
}

#[test]
fn a_thread_that_runs_hears_of_its_cancellation_and_brings_what_it_makes_of_it() {
    let mut stage = Stage::new(3, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    let watches = stage.send(session(1), "watch", &());
    assert!(stage.call::<bool>(DRIVER, "cancel", &()));
    stage.bench.value::<()>(watches);
    stage.call::<()>(session(1), "watch", &());
    assert!(stage.outcome().is_none());
    assert!(stage.finish(1, b"stopped early"));
    stage.end(1);
    assert_eq!(stage.outcome(), Some(returned(b"stopped early")));
    assert!(!stage.call::<bool>(DRIVER, "cancel", &()));
    assert_eq!(stage.outcome(), Some(returned(b"stopped early")), "it has ended before that");
}

#[test]
fn a_cancelled_attempt_that_does_not_answer_is_given_up_and_not_begun_again() {
    let mut stage = Stage::new(3, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    stage.call::<bool>(DRIVER, "cancel", &());
    let watches = stage.send(session(1), "watch", &());
    stage.bench.value::<()>(watches);
    stage.end(1);
    assert!(is_lost(stage.outcome().as_ref(), 1));
}

#[test]
fn an_attempt_is_lost_with_its_session_and_with_that_of_its_process() {
    for (gone, watch) in [(session(1), true), (PROCESS, true), (PROCESS, false)] {
        let mut stage = Stage::new(0, false);
        let joins = stage.send(DRIVER, "join", &());
        assert_eq!(stage.start(PROCESS, 1, 10), run());
        if watch {
            stage.send(session(1), "watch", &());
        }
        stage.bench.end_session(gone);
        let outcome = stage.bench.value::<Outcome>(joins);
        assert!(is_lost(Some(&outcome), 1), "{outcome:?}");
        let late = stage.send(session(1), "finish", &(1_u8, returned(b"too late"), Bytes::new()));
        match gone == PROCESS {
            true => assert!(!stage.bench.value::<bool>(late)),
            false => assert_eq!(stage.bench.fault(late), Fault::Refused(Refusal::AttemptEnded)),
        }
        assert_eq!(stage.outcome(), Some(outcome));
    }
}

#[test]
fn an_attempt_follows_its_process_into_another_session() {
    let mut stage = Stage::new(0, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    assert_eq!(stage.start(OTHER_PROCESS, 1, 10), run(), "the same delivery, whose first answer was lost");
    stage.bench.end_session(PROCESS);
    assert!(stage.outcome().is_none(), "its process lives");
    stage.bench.end_session(OTHER_PROCESS);
    assert!(is_lost(stage.outcome().as_ref(), 1));
}

#[test]
fn an_attempt_whose_time_is_over_says_so() {
    let mut stage = Stage::new(0, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    stage.send(session(1), "watch", &());
    stage.bench.advance(ENDS_MS + 1_000);
    stage.end(1);
    assert_eq!(stage.outcome(), Some(Err(ThreadFailure::TimedOut { attempt: 1 })));
}

#[test]
fn a_lost_attempt_is_begun_again_as_often_as_the_thread_says() {
    let mut stage = Stage::new(1, false);
    let (supervises, joins) = (stage.send(DRIVER, "supervise", &()), stage.send(DRIVER, "join", &()));
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    stage.fail(1);
    assert_eq!(stage.bench.value::<Progress>(supervises), Progress::Lost(1));
    assert_eq!(stage.call::<Progress>(DRIVER, "supervise", &()), Progress::Lost(1));
    assert_eq!(stage.start(OTHER_PROCESS, 1, 11), Start::Duplicate, "a late delivery of the lost one");
    assert_eq!(stage.start(OTHER_PROCESS, 2, 12), Start::Superseded, "the driver has not said so yet");
    assert_eq!(stage.call::<Option<u8>>(DRIVER, "retry", &(1_u8,)), Some(2));
    assert_eq!(stage.call::<Option<u8>>(DRIVER, "retry", &(1_u8,)), Some(2), "said twice, it is one");
    assert_eq!(stage.start(PROCESS, 1, 13), Start::Superseded);
    assert_eq!(stage.start(OTHER_PROCESS, 2, 14), run(), "with the same arguments");
    assert!(!stage.finish(1, b"the lost one"), "the first was only slow");
    stage.end(1);
    stage.bench.end_session(PROCESS);
    assert!(stage.bench.answer(joins).is_none(), "what ended is of the first attempt");
    stage.fail(2);
    assert!(is_lost(Some(&stage.bench.value::<Outcome>(joins)), 2));
    assert_eq!(stage.call::<Option<u8>>(DRIVER, "retry", &(2_u8,)), None);
}

#[test]
fn what_the_platform_says_of_an_attempt_that_has_its_outcome_is_no_news() {
    let mut stage = Stage::new(3, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    assert!(stage.finish(1, b"result"));
    stage.fail(1);
    assert_eq!(stage.outcome(), Some(returned(b"result")));
    stage.fail(1);
    assert_eq!(stage.outcome(), Some(returned(b"result")));
}

#[test]
fn an_attempt_that_the_platform_does_not_start_has_not_run() {
    let mut stage = Stage::new(3, false);
    let supervises = stage.send(DRIVER, "supervise", &());
    stage.fail(1);
    assert_eq!(stage.outcome(), Some(Err(ThreadFailure::NotStarted { why: crashed(1).to_string() })));
    assert_eq!(stage.bench.value::<Progress>(supervises), Progress::Done);
    assert_eq!(stage.start(PROCESS, 1, 10), Start::Cancelled, "and it never will");
}

#[test]
fn a_failure_by_which_nothing_has_run_is_none_of_an_attempt_that_runs() {
    let refused = || ThreadFailure::NotStarted { why: "there is no such function".to_owned() };
    let mut stage = Stage::new(3, false);
    stage.call::<()>(DRIVER, "fail", &(1_u8, refused(), Bytes::new()));
    assert_eq!(stage.outcome(), Some(Err(refused())));

    let mut stage = Stage::new(3, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    stage.call::<()>(DRIVER, "fail", &(1_u8, refused(), Bytes::new()));
    assert_eq!(stage.outcome(), None);
    stage.fail(1);
    assert_eq!(stage.call::<Option<u8>>(DRIVER, "retry", &(1_u8,)), Some(2));
    stage.call::<()>(DRIVER, "fail", &(2_u8, refused(), Bytes::new()));
    assert!(is_lost(stage.outcome().as_ref(), 1), "its first attempt may have done something");
}

#[test]
fn a_thread_ends_with_its_driver_unless_it_is_detached() {
    let mut stage = Stage::new(0, false);
    stage.bench.end_session(DRIVER);
    assert_eq!(stage.start(PROCESS, 1, 10), Start::Cancelled);

    let mut stage = Stage::new(0, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    let watches = stage.send(session(1), "watch", &());
    stage.bench.end_session(DRIVER);
    stage.bench.value::<()>(watches);

    let mut stage = Stage::new(1, true);
    stage.bench.end_session(DRIVER);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    let watches = stage.send(session(1), "watch", &());
    assert!(stage.bench.answer(watches).is_none(), "nobody has cancelled it");
    stage.end(1);
    assert!(is_lost(stage.outcome().as_ref(), 1), "nobody is there to begin it again");
}

#[test]
fn a_thread_that_waits_for_another_attempt_is_over_when_it_is_cancelled_or_its_driver_ends() {
    for (is_detached, again) in [(false, false), (true, false), (false, true)] {
        let mut stage = Stage::new(3, is_detached);
        assert_eq!(stage.start(PROCESS, 1, 10), run());
        stage.fail(1);
        if again {
            assert_eq!(stage.call::<Option<u8>>(DRIVER, "retry", &(1_u8,)), Some(2));
        }
        stage.bench.end_session(DRIVER);
        assert!(is_lost(stage.outcome().as_ref(), 1), "its first attempt may have done something");
        assert_eq!(stage.call::<Option<u8>>(OTHER_PROCESS, "retry", &(1_u8,)), None);
    }
    let mut stage = Stage::new(3, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    stage.fail(1);
    assert!(stage.call::<bool>(DRIVER, "cancel", &()));
    assert!(is_lost(stage.outcome().as_ref(), 1));
}

#[test]
fn the_last_of_the_logs_is_kept() {
    let mut stage = Stage::new(1, false);
    assert_eq!(stage.start(PROCESS, 1, 10), run());
    stage.call::<()>(DRIVER, "fail", &(1_u8, crashed(1), Bytes::from(vec![b'a'; LOGS_BYTES_MAX + 5])));
    stage.call::<Option<u8>>(DRIVER, "retry", &(1_u8,));
    assert_eq!(stage.start(PROCESS, 2, 11), run());
    assert!(stage.finish(2, b"result"));
    let logs: Bytes = stage.call(DRIVER, "logs", &());
    assert_eq!((logs.len(), logs.first(), &logs[logs.len() - 5..]), (LOGS_BYTES_MAX, Some(&b'a'), &b"alog\n"[..]));
}

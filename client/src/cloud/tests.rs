//! What belongs to an attempt of a cloud thread, on a real node.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use greenroom_actors::{Error, JobId, Refusal, ThreadFailure, ThreadId};
use greenroom_node::{Node, NodeOptions};

use super::attempt::Attempt;
use super::backend::{LogsFuture, Spec, Start, Started};
use super::gang::Gate;
use super::local::Local;
use super::running::Running;
use super::{Backend, Builder, Executor, NotEnoughConcurrency};
use crate::settings::{Cluster, Settings};
use crate::sync::{Barrier, Mutex};
use crate::time::clock_ms;
use crate::{Client, Counter};

const THREAD: ThreadId = ThreadId(7);
/// Something that should happen has not, after this time.
const DEADLINE: Duration = Duration::from_secs(30);

/// A node, and two clients of one job.
async fn node_and_clients() -> (Node, Client, Client) {
    let node = Node::start(NodeOptions::embedded().expect("settings"), None).expect("starts");
    let cluster = Cluster::Nodes(vec![node.address().to_owned()]);
    let settings = Settings { cluster, job: Some(JobId::DEFAULT), ..Settings::default() };
    let one = Client::with_settings(settings.clone()).await.expect("connects");
    let other = Client::with_settings(settings).await.expect("connects");
    (node, one, other)
}

fn lock(client: &Client, key: &str) -> Mutex<i32> {
    client.object(Mutex::named(key, 0))
}

async fn value(client: &Client, key: &str) -> i32 {
    let lock = lock(client, key);
    let value = tokio::time::timeout(DEADLINE, lock.lock_async()).await.expect("is free in time").expect("no error");
    *value
}

async fn add(client: &Client) -> Result<i64, Error> {
    client.object(Counter::named("calls")).increment_async().await
}

fn is_ended<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Refused { refusal: Refusal::AttemptEnded, .. }))
}

#[test]
fn a_function_whose_arguments_do_not_decode_has_not_run() {
    let outcome = super::expand::run::<(u64,), u64>(&[], |_| panic!("it must not run"));
    assert_eq!(outcome.expect_err("no arguments").has_run(), Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_attempt_holds_is_free_after_it_and_what_it_sent_has_arrived() {
    let (_node, client, other) = node_and_clients().await;
    let attempt = Attempt::begin(&client, THREAD, 1, None, None);
    let (first, second) = (lock(&client, "first"), lock(&client, "second"));
    let kept = attempt.around(async { first.lock_async().await.expect("is free") }).await;
    // The change of the other one is on its way when the attempt ends.
    attempt.around(async { *second.lock_async().await.expect("is free") += 5 }).await;
    attempt.end().await.expect("the node confirms");
    assert!(client.shared().attempts().is_empty(), "no node is told any more that it runs");
    assert_eq!((value(&other, "first").await, value(&other, "second").await), (0, 5));
    let late = attempt
        .around(async {
            *first.lock_async().await? += 1;
            Ok::<_, Error>(())
        })
        .await;
    assert!(is_ended(&late), "{late:?}");
    drop(kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_fenced_off_changes_nothing_any_more_and_the_next_one_does() {
    let (_node, client, other) = node_and_clients().await;
    let first = Attempt::begin(&client, THREAD, 1, Some(clock_ms() + 60_000), None);
    let held = lock(&client, "held");
    let guard = first.around(async { held.lock_async().await.expect("is free") }).await;
    Attempt::fence(&other, THREAD, 1, first.ends_ms()).await.expect("the node confirms");
    assert_eq!(value(&other, "held").await, 0);
    let late = first.around(add(&client)).await;
    assert!(is_ended(&late), "{late:?}");
    let given_back = first.around(guard.unlock_async()).await;
    assert!(given_back.is_err());
    let second = Attempt::begin(&client, THREAD, 2, None, None);
    assert_eq!(second.around(add(&client)).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_says_nothing_any_more_ends_at_its_deadline() {
    let (_node, client, other) = node_and_clients().await;
    // Its stream stays open, as that of a frozen function does.
    let attempt = Attempt::begin(&client, THREAD, 1, Some(clock_ms() + 300), None);
    let held = lock(&client, "held");
    let guard = attempt.around(async { held.lock_async().await.expect("is free") }).await;
    let began = Instant::now();
    assert_eq!(value(&other, "held").await, 0);
    assert!(began.elapsed() >= Duration::from_millis(300), "not before its time");
    let late = attempt.around(add(&client)).await;
    assert!(is_ended(&late), "{late:?}");
    drop(guard);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_attempt_waits_no_more_calls_no_more_and_gives_back_what_it_held() {
    let (_node, client, other) = node_and_clients().await;
    let taken = lock(&other, "taken");
    let guard = taken.lock_async().await.expect("is free");
    let attempt = Attempt::begin(&client, THREAD, 1, None, None);
    let (mine, wanted) = (lock(&client, "mine"), lock(&client, "taken"));
    let held = attempt.around(async { mine.lock_async().await.expect("is free") }).await;
    let waiting = tokio::spawn(attempt.around(async move { wanted.lock_async().await.map(|_| ()) }));
    let waits = async || {
        taken.object().describe_async().await.is_ok_and(|shown| shown.to_string().contains("cloud thread 7, attempt 1"))
    };
    let began = Instant::now();
    while !waits().await {
        assert!(began.elapsed() < DEADLINE, "it never waits");
    }
    attempt.cancel();
    let ended = tokio::time::timeout(DEADLINE, waiting).await.expect("in time").expect("no panic");
    assert!(matches!(ended, Err(Error::Cancelled { .. })), "{ended:?}");
    assert!(matches!(attempt.around(add(&client)).await, Err(Error::Cancelled { .. })));
    let mut held = held;
    *held = 3;
    attempt.around(async move { drop(held) }).await;
    attempt.end().await.expect("the node confirms");
    assert_eq!(value(&other, "mine").await, 3);
    drop(guard);
    assert_eq!(value(&other, "taken").await, 0);
}

/// Threads of this process, of which so many run at once.
struct Limited {
    places: Arc<AtomicUsize>,
    beyond: Beyond,
}

/// What becomes of a thread for which there is no place.
#[derive(Clone, Copy)]
enum Beyond {
    Refused,
    /// It never starts, as one that is throttled again and again.
    Delayed,
}

/// A thread that never starts.
struct Delayed(Weak<Running>);

impl Start for Limited {
    fn start(&self, spec: Spec, running: &Arc<Running>) -> Result<Box<dyn Started>, ThreadFailure> {
        let taken = self.places.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |places| places.checked_sub(1));
        match (taken, self.beyond) {
            (Ok(_), _) => {
                let places = Arc::clone(&self.places);
                running.when_ended(move |_| {
                    places.fetch_add(1, Ordering::SeqCst);
                });
                Local.start(spec, running)
            }
            (Err(_), Beyond::Refused) => Err(ThreadFailure::NotStarted { why: "there is no place".to_owned() }),
            (Err(_), Beyond::Delayed) => Ok(Box::new(Delayed(Arc::downgrade(running)))),
        }
    }
}

impl Started for Delayed {
    fn cancel(&self) {
        if let Some(running) = self.0.upgrade() {
            running.end(Err(ThreadFailure::Cancelled));
        }
    }

    fn logs(&self) -> LogsFuture {
        Box::pin(std::future::ready(Ok(Bytes::new())))
    }
}

#[crate::cloud]
fn meet(key: String, parties: usize) -> Result<bool, Error> {
    Counter::named(key.clone()).increment()?;
    Ok(Barrier::named(key, parties).wait()?.is_leader())
}

/// Whether a gang of 80 is refused where 50 can run, and then one of 50 runs.
fn gangs_under_a_limit(key: &str, beyond: Beyond, patience: Duration) -> NotEnoughConcurrency {
    let backend =
        Backend::of("limited".to_owned(), Arc::new(Limited { places: Arc::new(AtomicUsize::new(50)), beyond }));
    let executor = Executor::with(Builder::new().backend(backend));
    let gang = |parties| (0..parties).map(move |_| meet::call(key.to_owned(), parties));
    let refused = match executor.gang_timeout(gang(80), patience) {
        Err(Error::Method(refused)) => refused,
        other => panic!("80 threads have 50 places: {other:?}"),
    };
    let began = Instant::now();
    while executor.running() > 0 {
        assert!(began.elapsed() < DEADLINE, "the gang that was refused does not end");
        std::thread::yield_now();
    }
    assert_eq!(Counter::named(key).get(), Ok(0), "none of them has run");
    let threads = executor.gang(gang(50)).expect("there is a place for each");
    let leaders = threads.into_iter().map(|thread| thread.join().expect("no error"));
    assert_eq!(leaders.filter(|is_leader| *is_leader).count(), 1);
    assert_eq!(Counter::named(key).get(), Ok(50));
    refused
}

#[test]
fn a_gang_for_which_there_is_no_room_does_not_hang_and_none_of_it_runs() {
    let refused = gangs_under_a_limit("refused", Beyond::Refused, DEADLINE);
    assert_eq!(refused, NotEnoughConcurrency { started: 50, needed: 80 });
    let refused = gangs_under_a_limit("delayed", Beyond::Delayed, Duration::from_millis(500));
    assert!(refused.started <= 50 && refused.needed == 80, "{refused:?}");
}

#[test]
fn a_later_attempt_passes_its_gang_s_gate_as_the_first_one_did() {
    let client = crate::client().expect("settings");
    let gate = Gate::new(1);
    let first = Attempt::begin(&client, ThreadId(8), 1, None, None);
    pollster::block_on(async {
        let (opened, passed) = tokio::join!(gate.decide(true), gate.pass(&first));
        assert_eq!((opened, passed), (Ok(()), Ok(())));
        let second = Attempt::begin(&client, ThreadId(8), 2, None, None);
        assert_eq!(gate.pass(&second).await, Ok(()));
    });
}

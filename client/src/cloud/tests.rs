//! What belongs to an attempt of a cloud thread, on a real node.

use std::time::{Duration, Instant};

use greenroom_actors::{Error, JobId, Refusal, ThreadId};
use greenroom_node::{Node, NodeOptions};

use super::attempt::Attempt;
use crate::settings::{Cluster, Settings};
use crate::sync::Mutex;
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

//! Blocking calls are refused where they would stop async tasks, without a panic, and nowhere else.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use common::{client, embedded, runtime};
use greenroom::sync::Mutex;
use greenroom::{Client, Counter, Error};
use tokio::runtime::Builder;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts the panics of this process from now on.
fn count_panics() {
    static COUNTING: Once = Once::new();
    COUNTING.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            usual(info);
        }));
    });
}

fn increment(client: &Client) -> Result<i64, Error> {
    client.object(Counter::named("c")).increment()
}

fn refused() -> Result<i64, Error> {
    Err(Error::Blocking { object: "Counter/c".to_owned(), given_back: false })
}

#[test]
fn blocking_calls_are_refused_in_async_code_without_a_panic() {
    count_panics();
    let (node, own) = (embedded(|_| {}), runtime());
    let client = own.block_on(client(node.address()));
    let one_thread = Builder::new_current_thread().enable_all().build().expect("starts");
    let many_threads = runtime();
    for runtime in [&one_thread, &many_threads] {
        assert_eq!(runtime.block_on(async { increment(&client) }), refused());
        let task = {
            let client = client.clone();
            runtime.spawn(async move {
                for _ in 0..300 {
                    assert_eq!(increment(&client), refused(), "the budget of a task is as it was");
                    tokio::task::coop::consume_budget().await;
                }
            })
        };
        runtime.block_on(task).expect("is refused each time");
    }
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    assert_eq!(client.object(Counter::named("c")).get(), Ok(0));
}

#[test]
fn blocking_calls_are_made_where_a_thread_may_block() {
    count_panics();
    let (node, own) = (embedded(|_| {}), runtime());
    let client = own.block_on(client(node.address()));
    let one_thread = Builder::new_current_thread().enable_all().build().expect("starts");
    let many_threads = runtime();
    for runtime in [&one_thread, &many_threads] {
        let also = client.clone();
        let blocking = runtime.spawn_blocking(move || increment(&also));
        runtime.block_on(blocking).expect("does not panic").expect("increments");
        let _entered = runtime.enter();
        increment(&client).expect("increments");
    }
    let also = client.clone();
    let in_place = async move { tokio::task::block_in_place(|| increment(&also)) };
    let task = many_threads.spawn(in_place);
    many_threads.block_on(task).expect("does not panic").expect("increments");
    increment(&client).expect("increments");
    assert_eq!(client.object(Counter::named("c")).get(), Ok(6));
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

#[test]
fn a_refused_unlock_does_not_say_that_nothing_is_applied() {
    count_panics();
    let (node, own) = (embedded(|_| {}), runtime());
    let client = own.block_on(client(node.address()));
    let shared = Mutex::named("m", 0_u64).through(Arc::new(client));
    own.block_on(async {
        let mut guard = shared.lock_async().await.expect("locks");
        *guard = 1;
        let refused = guard.unlock().expect_err("async code must not block");
        assert_eq!(refused, Error::Blocking { object: "Mutex/m".to_owned(), given_back: true });
        assert_eq!(refused.applied(), None, "it goes as by a drop");
        assert_eq!(*shared.lock_async().await.expect("locks"), 1);
        let refused = shared.lock().map(|_| ()).expect_err("async code must not block");
        assert_eq!(refused.applied(), Some(false), "nothing is sent");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_made_described_and_deleted_in_async_code() {
    let node = embedded(|_| {});
    let counter = client(node.address()).await.raw::<greenroom_actors::objects::CounterObject>("c");
    assert_eq!(counter.create_async().await, Ok(true));
    assert_eq!(counter.create_async().await, Ok(false));
    assert_eq!(counter.force_new_async().await, Ok(()));
    assert!(counter.describe_async().await.expect("describes")["parked"].is_array());
    assert_eq!(counter.delete_async().await, Ok(true));
    assert_eq!(counter.delete_async().await, Ok(false));
}

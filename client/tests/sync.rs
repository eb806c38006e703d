//! The library through real clients: several sessions, threads and tasks, one node.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{client, embedded, parked, settings, soon, status, timed, until, until_parked};
use greenroom::sync::{Mutex, Promise};
use greenroom::{Cell, Client, Counter, Error, JobId, Refusal, Settings, Value};
use greenroom_actors::objects::{CellObject, MutexObject};
use greenroom_node::Node;
use serde::{Deserialize, Serialize, Serializer};

/// A node, and a runtime for clients that plain threads use.
struct Served {
    node: Node,
    runtime: tokio::runtime::Runtime,
}

impl Served {
    fn start() -> Self {
        Self { node: embedded(|_| {}), runtime: common::runtime() }
    }

    /// A session of its own.
    fn client(&self) -> Client {
        self.runtime.block_on(client(self.node.address()))
    }

    fn clients(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.client()).collect()
    }
}

fn mutex<T: Value>(client: &Client, key: &str, initial: T) -> Mutex<T> {
    Mutex::named(key, initial).through(Arc::new(client.clone()))
}

fn promise<T: Value>(client: &Client, key: &str) -> Promise<T> {
    Promise::named(key).through(Arc::new(client.clone()))
}

fn cell<T: Value>(client: &Client, key: &str, initial: T) -> Cell<T> {
    Cell::named(key, initial).through(Arc::new(client.clone()))
}

/// Runs `body` on so many threads of each client.
fn on_threads<T: Send>(clients: &[Client], threads_each: usize, body: impl Fn(Client) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let all = clients.iter().flat_map(|client| std::iter::repeat_n(client, threads_each));
        let threads: Vec<_> = all.map(|client| scope.spawn(|| body(client.clone()))).collect();
        threads.into_iter().map(|thread| thread.join().expect("ends")).collect()
    })
}

#[test]
fn a_mutex_lets_one_thread_in_at_a_time() {
    const ROUNDS: u64 = 20;
    let served = Served::start();
    let inside = AtomicU32::new(0);
    on_threads(&served.clients(4), 4, |client| {
        let mutex = mutex(&client, "m", 0_u64);
        for round in 0..ROUNDS {
            let mut guard = mutex.lock().expect("locks");
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two have the lock");
            let read = *guard;
            std::thread::yield_now();
            *guard = read + 1;
            inside.fetch_sub(1, Ordering::SeqCst);
            if round % 2 == 0 {
                guard.unlock().expect("unlocks");
            }
        }
    });
    assert_eq!(*mutex(&served.client(), "m", 0_u64).lock().expect("locks"), 16 * ROUNDS);
}

#[test]
fn dropping_a_guard_writes_its_changes_back() {
    let served = Served::start();
    let mut guard = mutex(&served.client(), "m", vec![1]).lock().expect("locks");
    guard.push(2);
    drop(guard);
    let other = mutex(&served.client(), "m", vec![1]);
    assert_eq!(*other.lock().expect("locks"), [1, 2]);
}

#[test]
fn who_drops_a_guard_and_asks_for_the_lock_at_once_gets_it() {
    let served = Served::start();
    let lock = mutex(&served.client(), "m", 0_u64);
    for round in 0..300 {
        let mut guard = lock.try_lock().expect("asks").expect("nobody has it");
        assert_eq!(*guard, round);
        *guard += 1;
        drop(guard);
    }
}

#[test]
fn the_longest_timeout_is_none() {
    let served = Served::start();
    let lock = mutex(&served.client(), "m", 0_u64);
    lock.lock_timeout(Duration::MAX).expect("locks").unlock().expect("unlocks");
    let endless = Settings { timeout: Duration::MAX, patience: Duration::MAX, ..settings(served.node.address()) };
    let client = served.runtime.block_on(Client::with_settings(endless)).expect("connects");
    assert_eq!(client.object(Counter::named("c")).increment(), Ok(1));
}

#[test]
fn fences_grow_and_try_lock_does_not_wait() {
    let served = Served::start();
    let (one, other) = (mutex(&served.client(), "m", 0_u64), mutex(&served.client(), "m", 0_u64));
    let first = one.try_lock().expect("asks").expect("nobody has it");
    assert!(other.try_lock().expect("asks").is_none());
    assert!(other.is_locked().expect("asks"));
    let fence = first.fence();
    first.unlock().expect("unlocks");
    assert!(!other.is_locked().expect("asks"));
    assert!(other.lock().expect("locks").fence() > fence);
}

#[test]
fn a_guard_whose_session_has_ended_is_superseded() {
    let served = Served::start();
    let owner = served.client();
    let mut guard = mutex(&owner, "m", 1_u64).lock().expect("locks");
    *guard = 2;
    let fence = guard.fence();
    served.runtime.block_on(owner.clone().close());
    let next = mutex(&served.client(), "m", 1_u64);
    let held = next.lock().expect("gets the lock of a session that has ended");
    assert_eq!(*held, 1, "what the owner had changed is void");
    assert_eq!(guard.unlock(), Err(Error::Superseded { object: "Mutex/m".to_owned(), fence }));
    held.unlock().expect("unlocks");
}

#[test]
fn the_lock_of_a_client_that_vanished_goes_to_the_next_after_the_grace_period() {
    let node = embedded(|options| options.session_grace_ms = 100);
    let vanishing = common::runtime();
    let owner = vanishing.block_on(client(node.address()));
    let mut guard = mutex(&owner, "m", 1_u64).lock().expect("locks");
    *guard = 2;
    vanishing.shutdown_background();
    let runtime = common::runtime();
    let other = runtime.block_on(client(node.address()));
    let held = mutex(&other, "m", 1_u64).lock_timeout(common::DEADLINE).expect("gets the lock");
    assert_eq!(*held, 1);
    held.unlock().expect("unlocks");
    // Its tasks are gone: whatever it still has to say is not sent.
    drop(guard);
    assert!(runtime.block_on(parked::<MutexObject>(&other, "m")) == 0);
}

#[test]
fn a_lock_that_is_waited_for_in_vain_times_out_and_leaves_the_queue() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    let served = Served::start();
    let (client, other) = (served.client(), served.client());
    let held = mutex(&client, "m", 0_u64).lock().expect("locks");
    let (timed_out, took) = served.runtime.block_on(timed(mutex(&other, "m", 0_u64).lock_timeout_async(TIMEOUT)));
    assert!(matches!(timed_out, Err(Error::TimedOut { .. })), "{timed_out:?}");
    assert!(took >= TIMEOUT - Duration::from_millis(1), "{took:?}");
    assert_eq!(served.runtime.block_on(parked::<MutexObject>(&client, "m")), 0);
    held.unlock().expect("unlocks");
    assert!(!mutex(&other, "m", 0_u64).is_locked().expect("asks"), "nobody was left in the queue");
}

#[test]
fn a_wait_that_comes_after_its_time_has_timed_out() {
    const TRIES: usize = 100;
    let served = Served::start();
    let held = mutex(&served.client(), "m", 0_u64).lock().expect("locks");
    let other = mutex(&served.client(), "m", 0_u64);
    assert!(other.is_locked().expect("connects"));
    for _ in 0..TRIES {
        // Most come to the node in a later millisecond than they were made.
        let late = other.lock_timeout(Duration::ZERO).map(drop);
        assert_eq!(late, Err(Error::TimedOut { object: "Mutex/m".to_owned() }));
    }
    held.unlock().expect("unlocks");
    assert!(!other.is_locked().expect("asks"));
}

#[tokio::test]
async fn dropping_the_future_of_a_lock_leaves_the_queue() {
    let node = embedded(|_| {});
    let (owner, other) = (client(node.address()).await, client(node.address()).await);
    let held = mutex(&owner, "m", 0_u64).lock_async().await.expect("locks");
    let waiting = mutex(&other, "m", 0_u64);
    tokio::select! {
        _ = waiting.lock_async() => panic!("two have the lock"),
        () = until_parked::<MutexObject>(&owner, "m", 1) => {}
    }
    until_parked::<MutexObject>(&owner, "m", 0).await;
    held.unlock_async().await.expect("unlocks");
    let again = soon("the lock", waiting.lock_async()).await.expect("locks");
    again.unlock_async().await.expect("unlocks");
}

/// `seen`: whether the client has read that it has the lock when its caller gives up.
fn give_up_after_the_grant(seen: bool) {
    let served = Served::start();
    let owner = served.client();
    // This client's tasks run only when the test says so.
    let apart = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    let other = apart.block_on(client(served.node.address()));
    let held = mutex(&owner, "m", 0_u64).lock().expect("locks");
    let waiting = mutex(&other, "m", 0_u64);
    let mut lock = Box::pin(async move { waiting.lock_async().await });
    apart.block_on(async {
        tokio::select! {
            biased;
            _ = &mut lock => panic!("two have the lock"),
            () = until_parked::<MutexObject>(&other, "m", 1) => {}
        }
    });
    held.unlock().expect("unlocks");
    assert!(mutex(&owner, "m", 0_u64).is_locked().expect("asks"), "the waiting caller has it now");
    if seen {
        // Its grant lies before this answer on the stream.
        apart.block_on(async { assert_eq!(parked::<MutexObject>(&other, "m").await, 0) });
    }
    drop(lock);
    apart.block_on(async {
        let owners = mutex(&owner, "m", 0_u64);
        let locked = soon("the lock is given back", owners.lock_async()).await.expect("locks");
        locked.unlock_async().await.expect("unlocks");
    });
}

#[test]
fn a_lock_that_was_granted_to_a_caller_who_gave_up_is_given_back() {
    give_up_after_the_grant(false);
}

#[test]
fn a_lock_whose_grant_has_arrived_at_a_caller_who_gave_up_is_given_back() {
    give_up_after_the_grant(true);
}

#[test]
fn a_panic_under_the_lock_gives_it_back_without_changes() {
    let served = Served::start();
    let client = served.client();
    let under_lock = mutex(&client, "m", 1_u64);
    let panicked = std::thread::spawn(move || {
        let mut guard = under_lock.lock().expect("locks");
        *guard = 99;
        panic!("under the lock");
    });
    assert!(panicked.join().is_err());
    assert_eq!(*mutex(&client, "m", 1_u64).lock().expect("locks"), 1);
}

#[test]
fn a_lock_that_is_taken_while_a_panic_unwinds_keeps_its_changes() {
    struct CountsAtItsEnd(Mutex<u64>);

    impl Drop for CountsAtItsEnd {
        fn drop(&mut self) {
            *self.0.lock().expect("locks") += 1;
        }
    }

    let served = Served::start();
    let counts = CountsAtItsEnd(mutex(&served.client(), "m", 1_u64));
    let panicked = std::thread::spawn(move || {
        let _counts = counts;
        panic!("not under the lock");
    });
    assert!(panicked.join().is_err());
    assert_eq!(*mutex(&served.client(), "m", 1_u64).lock().expect("locks"), 2);
}

/// A value that cannot be encoded once it is said to be so.
#[derive(Serialize, Deserialize)]
struct Stubborn(#[serde(serialize_with = "unless_stubborn")] bool);

fn unless_stubborn<S: Serializer>(stubborn: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    if *stubborn { Err(serde::ser::Error::custom("it does not want to")) } else { serializer.serialize_bool(false) }
}

#[test]
fn a_value_that_cannot_go_back_stays_and_its_lock_goes() {
    let node = embedded(|options| options.frame_bytes_max = 64 << 10);
    let runtime = common::runtime();
    let [client, other] = [(), ()].map(|()| runtime.block_on(client(node.address())));
    let mut guard = mutex(&client, "text", String::new()).lock().expect("locks");
    guard.push_str(&"x".repeat(100 << 10));
    let refused = guard.unlock();
    assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::TooLarge { .. }, .. })), "{refused:?}");
    assert_eq!(*mutex(&other, "text", String::new()).lock().expect("it was given back"), "");
    for is_dropped in [false, true] {
        let mut guard = mutex(&client, "m", Stubborn(false)).lock().expect("locks");
        guard.0 = true;
        if is_dropped {
            drop(guard);
        } else {
            assert!(matches!(guard.unlock(), Err(Error::NotSent { .. })));
        }
        assert!(!mutex(&other, "m", Stubborn(false)).lock().expect("it was given back").0);
    }
}

#[test]
fn a_cell_is_read_and_written_whole() {
    let served = Served::start();
    let clients = served.clients(2);
    let (one, other) = (cell(&clients[0], "c", 0_u64), cell(&clients[1], "c", 0_u64));
    one.set(5).expect("sets");
    assert_eq!(other.get(), Ok(5));
    assert_eq!(other.replace(6), Ok(5));
    assert_eq!(one.compare_exchange(&5, 7), Ok(Err(6)), "it is not 5");
    assert_eq!(one.compare_exchange(&6, 7), Ok(Ok(6)));
    assert_eq!(other.get(), Ok(7));
    on_threads(&clients, 4, |client| {
        let cell = cell(&client, "c", 0_u64);
        for _ in 0..10 {
            cell.update(|value| value + 1).expect("updates");
        }
    });
    assert_eq!(one.get(), Ok(87), "no update is lost");
}

#[test]
fn values_of_two_types_or_two_initial_values_do_not_meet_under_one_key() {
    let served = Served::start();
    let client = served.client();
    #[track_caller]
    fn assert_different<T: std::fmt::Debug>(result: Result<T, Error>, of: &str, why: &str) {
        let error = result.expect_err(why);
        assert!(
            matches!(&error, Error::Refused { object, refusal: Refusal::DifferentArguments { made, caller } }
                if object == of && made.starts_with("{shape: ") && made != caller),
            "{why}: {error:?}"
        );
    }
    assert_eq!(cell(&client, "c", 0_u64).get(), Ok(0));
    assert_different(cell(&client, "c", 1_u64).get(), "Cell/c", "another type or value");
    assert_different(cell(&client, "c", String::new()).get(), "Cell/c", "both are one zero byte");
    assert_different(cell(&client, "c", String::new()).set("x".to_owned()), "Cell/c", "another type or value");
    assert_eq!(cell(&client, "c", 0_u64).get(), Ok(0));
    assert_eq!(mutex(&client, "m", 0_u64).is_locked(), Ok(false));
    assert_different(mutex(&client, "m", 0_i64).lock().map(drop), "Mutex/m", "another type or value");
    promise::<u64>(&client, "p").set(1).expect("sets");
    assert_different(promise::<i64>(&client, "p").is_set(), "Promise/p", "another type or value");
    assert_eq!(served.runtime.block_on(parked::<CellObject>(&client, "c")), 0);
}

#[tokio::test]
async fn a_key_names_another_object_in_another_job() {
    let node = embedded(|_| {});
    let of_job = async |name: &str| {
        let settings = Settings { job: Some(JobId::named(name)), ..settings(node.address()) };
        Client::with_settings(settings).await.expect("connects").object(Counter::named("c"))
    };
    let (one, other) = (of_job("one").await, of_job("other").await);
    assert_eq!(one.add_async(5).await, Ok(5));
    assert_eq!(other.add_async(1).await, Ok(1));
    assert_eq!(of_job("one").await.get_async().await, Ok(5));
}

#[tokio::test]
async fn the_objects_of_a_fresh_job_go_when_its_client_closes() {
    let node = embedded(|_| {});
    let fresh = Client::with_settings(Settings { job: None, ..settings(node.address()) }).await.expect("connects");
    let job = fresh.job();
    for key in 0..20 {
        fresh.object(Counter::named(format!("c{key}"))).increment_async().await.expect("adds");
    }
    let n_objects = async || status(node.address()).await.shards.iter().map(|shard| shard.objects).sum::<u64>();
    assert_eq!(n_objects().await, 20);
    let other = client(node.address()).await;
    other.object(Counter::named("stays")).increment_async().await.expect("adds");
    fresh.close().await;
    until("the objects are gone", || async { n_objects().await == 1 }).await;
    let later = Client::with_settings(Settings { job: Some(job), ..settings(node.address()) }).await.expect("connects");
    assert_eq!(later.object(Counter::named("c0")).get_async().await, Ok(0));
    assert_eq!(other.object(Counter::named("stays")).get_async().await, Ok(1));
}

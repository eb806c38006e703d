//! A client's process is killed with all that a process can have of shared objects: the others go on as documented.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::support::{DEADLINE, Running, command, until};
use common::{Processes, client, runtime};
use greenroom::sync::channel::{Channel, TryRecvError};
use greenroom::sync::{Barrier, Mutex, RwLock, Semaphore};
use greenroom::{Client, Error, ObjectHandle, RawHandle};

/// Where the nodes are, in the environment of the process that is killed.
const NODES: &str = "OWNERS_NODES";
/// How long the nodes wait for a client that is not there.
const GRACE: &str = "300";

/// What the others do once the process has been killed; it may not take longer than [`DEADLINE`].
type GoOn = Box<dyn FnOnce()>;

/// Something that a process has of an object when it is killed.
///
/// To add one, write the two functions, and add it to [`stakes`].
struct Stake {
    object: RawHandle,
    /// How many hold something of the object, and how many wait in it, once the process has its stake.
    counts: (usize, usize),
    /// Takes the stake, in the process that is killed. What waits does so on a thread of its own; what is held is kept.
    take: fn(&Client),
    /// What another client prepares, and how it goes on.
    others: fn(Client) -> GoOn,
}

fn stakes(client: &Client) -> Vec<Stake> {
    let stake = |object: &RawHandle, counts, take, others| Stake { object: object.clone(), counts, take, others };
    vec![
        stake(lock(client, "held").object(), (1, 0), hold_a_lock, lock_what_was_held),
        stake(semaphore(client).object(), (1, 0), hold_a_permit, acquire_what_was_held),
        stake(rwlock(client).object(), (1, 0), hold_a_write_lock, read_what_was_written),
        stake(barrier(client).raw(), (0, 1), take_a_seat, pass_the_barrier),
        stake(lock(client, "queue").object(), (1, 1), queue_for_a_lock, lock_behind_the_place),
        stake(lock(client, "condition").object(), (0, 1), wait_for_a_condition, be_notified_behind_the_place),
        stake(channel(client, "full").object(), (2, 1), send_where_there_is_no_room, send_behind_the_place),
        stake(channel(client, "empty").object(), (1, 1), receive_where_nothing_is, receive_behind_the_place),
    ]
}

#[test]
fn a_client_process_that_is_killed_leaves_nothing_behind() {
    let runtime = runtime();
    if let Ok(nodes) = std::env::var(NODES) {
        let client = runtime.block_on(client(&nodes));
        for stake in stakes(&client) {
            (stake.take)(&client);
        }
        loop {
            std::thread::park();
        }
    }
    let nodes = Processes::with(&["--session-grace-ms", GRACE]);
    let others = runtime.block_on(client(&nodes.address(0)));
    let stakes = stakes(&others);
    let go_on: Vec<GoOn> = stakes.iter().map(|stake| (stake.others)(others.clone())).collect();
    let mut process = command(std::env::current_exe().expect("is known"));
    process.args(["--exact", "a_client_process_that_is_killed_leaves_nothing_behind", "--nocapture"]);
    let mut process = Running::start(process.env(NODES, nodes.address(1)));
    for stake in &stakes {
        until("the process has its stake", || {
            assert!(!process.has_ended(), "the process fails at {:?}", stake.object);
            counts(&stake.object) == stake.counts
        });
    }
    process.signal("KILL");
    process.end();
    for go_on in go_on {
        go_on();
    }
    for stake in &stakes {
        until("nothing is left behind", || counts(&stake.object) == (0, 0));
    }
}

/// How many hold something of the object, and how many wait in it.
fn counts(object: &RawHandle) -> (usize, usize) {
    let said = object.describe().expect("describes");
    let count = |list: &str| said[list].as_array().expect("is a list").len();
    (count("holders"), count("parked"))
}

/// Keeps what a process holds until its end.
fn keep<T>(held: T) {
    std::mem::forget(held);
}

/// Waits until so many calls are parked in the object.
fn until_parked(object: &RawHandle, count: usize) {
    until("so many calls are parked", || counts(object).1 == count);
}

fn lock(client: &Client, key: &str) -> Mutex<u64> {
    Mutex::named(key, 0).through(Arc::new(client.clone()))
}

fn hold_a_lock(client: &Client) {
    let mut guard = lock(client, "held").lock().expect("locks");
    *guard = 1;
    keep(guard);
}

fn lock_what_was_held(others: Client) -> GoOn {
    Box::new(move || {
        let guard = lock(&others, "held").lock_timeout(DEADLINE).expect("gets the lock");
        assert_eq!(*guard, 0, "what the process had not sent back is void");
        guard.unlock().expect("unlocks");
    })
}

fn semaphore(client: &Client) -> Semaphore {
    Semaphore::named("permits", 2).through(Arc::new(client.clone()))
}

fn hold_a_permit(client: &Client) {
    keep(semaphore(client).acquire().expect("acquires"));
}

fn acquire_what_was_held(others: Client) -> GoOn {
    Box::new(move || {
        let both = semaphore(&others).acquire_many_timeout(2, DEADLINE).expect("gets both permits");
        both.release().expect("releases");
    })
}

fn rwlock(client: &Client) -> RwLock<u64> {
    RwLock::named("written", 0).through(Arc::new(client.clone()))
}

fn hold_a_write_lock(client: &Client) {
    let mut guard = rwlock(client).write().expect("writes");
    *guard = 1;
    keep(guard);
}

fn read_what_was_written(others: Client) -> GoOn {
    Box::new(move || {
        let guard = rwlock(&others).read_timeout(DEADLINE).expect("gets the lock");
        assert_eq!(*guard, 0, "what the process had not sent back is void");
        guard.unlock().expect("unlocks");
    })
}

fn barrier(client: &Client) -> Barrier {
    client.object(Barrier::named("gate", 2))
}

fn take_a_seat(client: &Client) {
    let barrier = barrier(client);
    std::thread::spawn(move || keep(barrier.wait()));
}

fn pass_the_barrier(others: Client) -> GoOn {
    Box::new(move || {
        let barrier = barrier(&others).with_timeout(DEADLINE);
        until_parked(barrier.raw(), 0);
        let waits = [barrier.clone(), barrier].map(|barrier| std::thread::spawn(move || barrier.wait()));
        let passed = waits.map(|wait| wait.join().expect("does not panic").expect("passes"));
        assert_eq!(passed.map(|passed| passed.generation()), [0, 0], "the free seat was not counted");
    })
}

fn queue_for_a_lock(client: &Client) {
    let lock = lock(client, "queue");
    std::thread::spawn(move || keep(lock.lock()));
}

fn lock_behind_the_place(others: Client) -> GoOn {
    let lock = lock(&others, "queue");
    let guard = lock.lock().expect("locks");
    Box::new(move || {
        let object = lock.object().clone();
        until_parked(&object, 0);
        let behind = std::thread::spawn(move || lock.lock_timeout(DEADLINE));
        until_parked(&object, 1);
        guard.unlock().expect("unlocks");
        drop(behind.join().expect("does not panic").expect("gets the lock"));
    })
}

fn wait_for_a_condition(client: &Client) {
    let lock = lock(client, "condition");
    let guard = lock.lock().expect("locks");
    std::thread::spawn(move || keep(lock.condvar("ready").wait(guard)));
}

fn be_notified_behind_the_place(others: Client) -> GoOn {
    Box::new(move || {
        let lock = lock(&others, "condition");
        let object = lock.object().clone();
        until_parked(&object, 0);
        let waits = lock.clone();
        let behind =
            std::thread::spawn(move || waits.condvar("ready").wait_timeout(waits.lock()?, Duration::from_secs(3_600)));
        until_parked(&object, 1);
        lock.condvar("ready").notify_one().expect("notifies");
        let (guard, waited) = behind.join().expect("does not panic").expect("gets the lock");
        assert!(!waited.timed_out());
        guard.unlock().expect("unlocks");
    })
}

fn channel(client: &Client, key: &str) -> Channel<u64> {
    Channel::bounded(key, 1).through(Arc::new(client.clone()))
}

fn send_where_there_is_no_room(client: &Client) {
    let sender = channel(client, "full").sender().expect("registers");
    std::thread::spawn(move || keep((sender.send(13), sender)));
}

fn send_behind_the_place(others: Client) -> GoOn {
    let channel = channel(&others, "full");
    let sender = channel.sender().expect("registers");
    sender.send(1).expect("there is room");
    Box::new(move || {
        let object = channel.object().clone();
        until("the place and the sender are gone", || counts(&object) == (1, 0));
        let behind = sender.clone();
        let behind = std::thread::spawn(move || behind.send_timeout(2, DEADLINE));
        until_parked(&object, 1);
        let receiver = channel.receiver();
        assert_eq!(
            (receiver.recv(), receiver.recv_timeout(DEADLINE)),
            (Ok(1), Ok(2)),
            "what the process sent is not there"
        );
        assert_eq!(behind.join().expect("does not panic"), Ok(()));
        assert_eq!(receiver.try_recv(), Err(Error::Method(TryRecvError::Empty)));
    })
}

fn receive_where_nothing_is(client: &Client) {
    let receiver = channel(client, "empty").receiver();
    std::thread::spawn(move || keep(receiver.recv()));
}

fn receive_behind_the_place(others: Client) -> GoOn {
    let channel = channel(&others, "empty");
    let sender = channel.sender().expect("registers");
    Box::new(move || {
        let (object, receiver) = (channel.object().clone(), channel.receiver());
        until_parked(&object, 0);
        let behind = std::thread::spawn(move || receiver.recv_timeout(DEADLINE));
        until_parked(&object, 1);
        sender.send(7).expect("sends");
        assert_eq!(behind.join().expect("does not panic"), Ok(7), "it did not go to the process");
    })
}

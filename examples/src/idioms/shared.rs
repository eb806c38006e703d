//! The same idioms on shared objects: only the lines differ that `diff threads.rs shared.rs` shows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use greenroom::Combine;
use greenroom::collections::OrderedMap;
use greenroom::sync::atomic::{AtomicBool, AtomicU64};
use greenroom::sync::channel::{bounded, rendezvous, unbounded};
use greenroom::sync::{Barrier, Mutex, OnceCell, RwLock};

/// Workers that take jobs from one channel, and send results over another.
pub fn worker_pool() -> u64 {
    let (jobs, queue) = unbounded::<u64>("jobs").unwrap();
    let (results, done) = unbounded::<u64>("results").unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (queue, results) = (queue.clone(), results.clone());
            thread::spawn(move || {
                loop {
                    let job = queue.recv();
                    let Ok(job) = job else { break };
                    results.send(job * job).unwrap();
                }
            })
        })
        .collect();
    for job in 1..=100 {
        jobs.send(job).unwrap();
    }
    drop((jobs, results));
    let sum = done.iter().sum::<Result<u64, _>>().unwrap();
    for worker in workers {
        worker.join().unwrap();
    }
    sum
}

/// A queue of one's own: a lock, a condition, and a flag that ends it.
pub fn condvar_queue() -> Vec<u64> {
    let queue = Arc::new(Mutex::named("queue", (VecDeque::new(), false)));
    let not_empty = Arc::new(queue.condvar("not empty"));
    let consumer = thread::spawn({
        let (queue, not_empty) = (Arc::clone(&queue), Arc::clone(&not_empty));
        move || {
            let mut taken = Vec::new();
            loop {
                let mut state = queue.lock().unwrap();
                state = not_empty.wait_while(state, |(items, closed)| items.is_empty() && !*closed).unwrap();
                let Some(item) = state.0.pop_front() else { return taken };
                taken.push(item);
            }
        }
    });
    for item in 0..20 {
        queue.lock().unwrap().0.push_back(item);
        not_empty.notify_one().unwrap();
    }
    queue.lock().unwrap().1 = true;
    not_empty.notify_all().unwrap();
    consumer.join().unwrap()
}

/// Threads that meet after each phase; the leader of each adds up what all have done.
pub fn phased_barrier() -> Vec<u64> {
    let barrier = Arc::new(Barrier::named("phase", 4));
    let parts = Arc::new(Mutex::named("parts", vec![0; 4]));
    let totals = Arc::new(Mutex::named("totals", Vec::new()));
    let threads: Vec<_> = (0..4)
        .map(|part| {
            let (barrier, parts, totals) = (Arc::clone(&barrier), Arc::clone(&parts), Arc::clone(&totals));
            thread::spawn(move || {
                for phase in 1..=3 {
                    parts.lock().unwrap()[part] += phase * (part as u64 + 1);
                    if barrier.wait().unwrap().is_leader() {
                        let total = parts.lock().unwrap().iter().sum();
                        totals.lock().unwrap().push(total);
                    }
                    barrier.wait().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let totals = totals.lock().unwrap();
    totals.clone()
}

/// A cache that many read, and that is filled by whoever misses something.
pub fn reader_writer_cache() -> BTreeMap<u64, u64> {
    let cache = Arc::new(RwLock::named("cache", BTreeMap::new()));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let cache = Arc::clone(&cache);
            thread::spawn(move || {
                for key in 0..10 {
                    if cache.read().unwrap().contains_key(&key) {
                        continue;
                    }
                    cache.write().unwrap().entry(key).or_insert(key * 7);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let cache = cache.read().unwrap();
    cache.clone()
}

/// A value that the first who needs it makes, and nobody else.
pub fn double_checked_once() -> (String, u64) {
    let made = Arc::new(AtomicU64::named("made", 0));
    let config = Arc::new(OnceCell::named("config"));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (made, config) = (Arc::clone(&made), Arc::clone(&config));
            thread::spawn(move || {
                let load = || {
                    made.fetch_add(1).unwrap();
                    "loaded".to_owned()
                };
                config.get_or_init(load).unwrap()
            })
        })
        .collect();
    let mut seen: Vec<String> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    seen.dedup();
    (seen.concat(), made.load().unwrap())
}

/// Threads that search, each in its part, until one of them has found it.
pub fn stop_flag() -> u64 {
    let stop = Arc::new(AtomicBool::named("stop", false));
    let found = Arc::new(AtomicU64::named("found", 0));
    let threads: Vec<_> = (0..3)
        .map(|part| {
            let (stop, found) = (Arc::clone(&stop), Arc::clone(&found));
            thread::spawn(move || {
                for number in (part..101).step_by(3) {
                    if stop.load().unwrap() {
                        break;
                    }
                    if number * number * number % 101 == 79 {
                        found.store(number).unwrap();
                        stop.store(true).unwrap();
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    found.load().unwrap()
}

/// The largest of many numbers, without a lock: whoever finds a larger one exchanges it.
pub fn compare_and_set() -> u64 {
    let largest = Arc::new(AtomicU64::named("largest", 0));
    let threads: Vec<_> = (1..=4)
        .map(|seed: u64| {
            let largest = Arc::clone(&largest);
            thread::spawn(move || {
                for number in (0..20).map(|step| (seed * 7919 + step * 104_729) % 10_007) {
                    let mut known = largest.load().unwrap();
                    while number > known {
                        match largest.compare_exchange(known, number).unwrap() {
                            Ok(_) => break,
                            Err(other) => known = other,
                        }
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    largest.load().unwrap()
}

/// Stages between which at most two items wait: a slow stage slows the ones before it.
pub fn bounded_pipeline() -> Vec<String> {
    let (raw, numbers) = bounded::<u64>("raw", 2).unwrap();
    let (squared, squares) = bounded::<u64>("squared", 2).unwrap();
    let source = thread::spawn(move || (1..=10).for_each(|number| raw.send(number).unwrap()));
    let stage = thread::spawn(move || {
        for number in numbers.iter().map(Result::unwrap) {
            squared.send(number * number).unwrap();
        }
    });
    let texts = squares.iter().map(|square| format!("<{}>", square.unwrap())).collect();
    source.join().unwrap();
    stage.join().unwrap();
    texts
}

/// Two threads that hand a value to and fro; each send waits until it is taken.
pub fn ping_pong() -> u64 {
    let (ping, pings) = rendezvous::<u64>("ping").unwrap();
    let (pong, pongs) = rendezvous::<u64>("pong").unwrap();
    let partner = thread::spawn(move || {
        for value in pings.iter().map(Result::unwrap) {
            pong.send(value + 1).unwrap();
        }
    });
    let mut value = 0;
    for _ in 0..10 {
        ping.send(value).unwrap();
        value = pongs.recv().unwrap();
    }
    drop(ping);
    partner.join().unwrap();
    value
}

/// Philosophers who take the lower fork first, so that nobody waits in a circle.
pub fn ordered_locks() -> Vec<u64> {
    let forks: Vec<_> = (0..5).map(|fork| Arc::new(Mutex::named(format!("fork {fork}"), 0))).collect();
    let philosophers: Vec<_> = (0..5)
        .map(|seat| {
            let (low, high) = (seat.min((seat + 1) % 5), seat.max((seat + 1) % 5));
            let (low, high) = (Arc::clone(&forks[low]), Arc::clone(&forks[high]));
            thread::spawn(move || {
                for _ in 0..10 {
                    let (mut low, mut high) = (low.lock().unwrap(), high.lock().unwrap());
                    *low += 1;
                    *high += 1;
                }
            })
        })
        .collect();
    for philosopher in philosophers {
        philosopher.join().unwrap();
    }
    forks.iter().map(|fork| *fork.lock().unwrap()).collect()
}

/// Threads that all begin at one word, and a main thread that waits until all have begun.
pub fn starting_gate() -> (usize, u64) {
    let state = Mutex::named("gate", (0, false));
    let gate = Arc::new((state.clone(), state.condvar("changed")));
    let threads: Vec<_> = (0..4)
        .map(|runner: u64| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let (state, changed) = &*gate;
                let mut ready = state.lock().unwrap();
                ready.0 += 1;
                changed.notify_all().unwrap();
                let _started = changed.wait_while(ready, |(_, open)| !*open).unwrap();
                runner
            })
        })
        .collect();
    let (state, changed) = &*gate;
    let mut ready = changed.wait_while(state.lock().unwrap(), |(ready, _)| *ready < 4).unwrap();
    let counted = ready.0;
    ready.1 = true;
    changed.notify_all().unwrap();
    drop(ready);
    (counted, threads.into_iter().map(|thread| thread.join().unwrap()).sum())
}

/// Counts words in parallel, all in one map.
pub fn word_count() -> BTreeMap<String, u64> {
    const TEXT: [&str; 3] = ["to be or not to be", "to see or not to see", "that is the question"];
    let counts = Arc::new(OrderedMap::<String, u64>::named("counts"));
    thread::scope(|scope| {
        for line in TEXT {
            let counts = Arc::clone(&counts);
            scope.spawn(move || {
                for word in line.split(' ') {
                    counts.merge(word.to_owned(), 1, Combine::sum()).unwrap();
                }
            });
        }
    });
    counts.to_map().unwrap()
}

/// What is shared by being global: numbers that are given once, and a list of who got which.
pub fn static_state() -> Vec<u64> {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::named("next", 1));
    static GIVEN: LazyLock<Mutex<Vec<u64>>> = LazyLock::new(|| Mutex::named("given", Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let number = NEXT.fetch_add(1).unwrap();
                    GIVEN.lock().unwrap().push(number);
                }
            });
        }
    });
    let mut given = GIVEN.lock().unwrap().clone();
    given.sort_unstable();
    given
}

/// Waiting for something that does not come, with a limit.
pub fn wait_with_a_limit() -> (bool, bool) {
    const LIMIT: Duration = Duration::from_millis(20);
    let (keep, silent) = unbounded::<u64>("silent").unwrap();
    let lock = Mutex::named("lock", false);
    let never = lock.condvar("never");
    let received = silent.recv_timeout(LIMIT).is_ok();
    let (_guard, waited) = never.wait_timeout_while(lock.lock().unwrap(), LIMIT, |come| !*come).unwrap();
    drop(keep);
    (received, waited.timed_out())
}

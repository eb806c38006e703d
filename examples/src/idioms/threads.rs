//! Idioms of `std::sync` and `std::thread`, each a small program that returns what it found.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Barrier, Condvar, Mutex, OnceLock, RwLock};
use std::thread;
use std::time::Duration;

/// Workers that take jobs from one channel, and send results over another.
pub fn worker_pool() -> u64 {
    let (jobs, queue) = channel::<u64>();
    let (results, done) = channel::<u64>();
    let queue = Arc::new(Mutex::new(queue));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (queue, results) = (Arc::clone(&queue), results.clone());
            thread::spawn(move || {
                loop {
                    let job = queue.lock().unwrap().recv();
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
    let sum = done.iter().sum();
    for worker in workers {
        worker.join().unwrap();
    }
    sum
}

/// A queue of one's own: a lock, a condition, and a flag that ends it.
pub fn condvar_queue() -> Vec<u64> {
    let queue = Arc::new(Mutex::new((VecDeque::new(), false)));
    let not_empty = Arc::new(Condvar::new());
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
        not_empty.notify_one();
    }
    queue.lock().unwrap().1 = true;
    not_empty.notify_all();
    consumer.join().unwrap()
}

/// Threads that meet after each phase; the leader of each adds up what all have done.
pub fn phased_barrier() -> Vec<u64> {
    let barrier = Arc::new(Barrier::new(4));
    let parts = Arc::new(Mutex::new(vec![0; 4]));
    let totals = Arc::new(Mutex::new(Vec::new()));
    let threads: Vec<_> = (0..4)
        .map(|part| {
            let (barrier, parts, totals) = (Arc::clone(&barrier), Arc::clone(&parts), Arc::clone(&totals));
            thread::spawn(move || {
                for phase in 1..=3 {
                    parts.lock().unwrap()[part] += phase * (part as u64 + 1);
                    if barrier.wait().is_leader() {
                        let total = parts.lock().unwrap().iter().sum();
                        totals.lock().unwrap().push(total);
                    }
                    barrier.wait();
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
    let cache = Arc::new(RwLock::new(BTreeMap::new()));
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
    let made = Arc::new(AtomicU64::new(0));
    let config = Arc::new(OnceLock::new());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (made, config) = (Arc::clone(&made), Arc::clone(&config));
            thread::spawn(move || {
                let load = || {
                    made.fetch_add(1, Ordering::SeqCst);
                    "loaded".to_owned()
                };
                config.get_or_init(load).clone()
            })
        })
        .collect();
    let mut seen: Vec<String> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    seen.dedup();
    (seen.concat(), made.load(Ordering::SeqCst))
}

/// Threads that search, each in its part, until one of them has found it.
pub fn stop_flag() -> u64 {
    let stop = Arc::new(AtomicBool::new(false));
    let found = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..3)
        .map(|part| {
            let (stop, found) = (Arc::clone(&stop), Arc::clone(&found));
            thread::spawn(move || {
                for number in (part..101).step_by(3) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    if number * number * number % 101 == 79 {
                        found.store(number, Ordering::SeqCst);
                        stop.store(true, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    found.load(Ordering::SeqCst)
}

/// The largest of many numbers, without a lock: whoever finds a larger one exchanges it.
pub fn compare_and_set() -> u64 {
    let largest = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (1..=4)
        .map(|seed: u64| {
            let largest = Arc::clone(&largest);
            thread::spawn(move || {
                for number in (0..20).map(|step| (seed * 7919 + step * 104_729) % 10_007) {
                    let mut known = largest.load(Ordering::SeqCst);
                    while number > known {
                        match largest.compare_exchange(known, number, Ordering::SeqCst, Ordering::SeqCst) {
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
    largest.load(Ordering::SeqCst)
}

/// Stages between which at most two items wait: a slow stage slows the ones before it.
pub fn bounded_pipeline() -> Vec<String> {
    let (raw, numbers) = sync_channel::<u64>(2);
    let (squared, squares) = sync_channel::<u64>(2);
    let source = thread::spawn(move || (1..=10).for_each(|number| raw.send(number).unwrap()));
    let stage = thread::spawn(move || {
        for number in numbers.iter() {
            squared.send(number * number).unwrap();
        }
    });
    let texts = squares.iter().map(|square| format!("<{square}>")).collect();
    source.join().unwrap();
    stage.join().unwrap();
    texts
}

/// Two threads that hand a value to and fro; each send waits until it is taken.
pub fn ping_pong() -> u64 {
    let (ping, pings) = sync_channel::<u64>(0);
    let (pong, pongs) = sync_channel::<u64>(0);
    let partner = thread::spawn(move || {
        for value in pings.iter() {
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
    let forks: Vec<_> = (0..5).map(|_| Arc::new(Mutex::new(0))).collect();
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
    let gate = Arc::new((Mutex::new((0, false)), Condvar::new()));
    let threads: Vec<_> = (0..4)
        .map(|runner: u64| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let (state, changed) = &*gate;
                let mut ready = state.lock().unwrap();
                ready.0 += 1;
                changed.notify_all();
                let _started = changed.wait_while(ready, |(_, open)| !*open).unwrap();
                runner
            })
        })
        .collect();
    let (state, changed) = &*gate;
    let mut ready = changed.wait_while(state.lock().unwrap(), |(ready, _)| *ready < 4).unwrap();
    let counted = ready.0;
    ready.1 = true;
    changed.notify_all();
    drop(ready);
    (counted, threads.into_iter().map(|thread| thread.join().unwrap()).sum())
}

/// Counts words in parallel, all in one map.
pub fn word_count() -> BTreeMap<String, u64> {
    const TEXT: [&str; 3] = ["to be or not to be", "to see or not to see", "that is the question"];
    let counts = Arc::new(Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for line in TEXT {
            let counts = Arc::clone(&counts);
            scope.spawn(move || {
                for word in line.split(' ') {
                    *counts.lock().unwrap().entry(word.to_owned()).or_insert(0) += 1;
                }
            });
        }
    });
    let counts = counts.lock().unwrap();
    counts.clone()
}

/// What is shared by being global: numbers that are given once, and a list of who got which.
pub fn static_state() -> Vec<u64> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    static GIVEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let number = NEXT.fetch_add(1, Ordering::SeqCst);
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
    let (keep, silent) = channel::<u64>();
    let (lock, never) = (Mutex::new(false), Condvar::new());
    let received = silent.recv_timeout(LIMIT).is_ok();
    let (_guard, waited) = never.wait_timeout_while(lock.lock().unwrap(), LIMIT, |come| !*come).unwrap();
    drop(keep);
    (received, waited.timed_out())
}

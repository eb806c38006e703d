//! The dining philosophers: each needs the two forks beside their plate, and everybody shall eat.
//!
//! Two ways to keep them from waiting in a circle: all take the lower fork first, or one of them has no chair yet.

use std::sync::{Arc, Mutex as ThreadMutex};
use std::thread;
use std::time::Instant;

use clap::Parser;
use greenroom::sync::{Mutex, Semaphore};
use greenroom::{Counter, Error};
use serde_json::json;

/// Philosophers dine on locks, on semaphores, and on plain threads.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of philosophers, and of forks.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    philosophers: u32,
    /// Meals of each philosopher.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    meals: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How one dinner went.
struct Dinner {
    name: &'static str,
    seconds: f64,
    /// How often each fork was used.
    used: Vec<u64>,
}

/// The forks at the left and right of a seat.
fn forks_of(seat: u32, seats: u32) -> (u32, u32) {
    (seat, (seat + 1) % seats)
}

/// Each fork is a lock over the number of its uses. Taking the lower one first, nobody waits in a circle.
fn on_locks(seats: u32, meals: u64) -> Result<Dinner, Error> {
    let fork = |number: u32| Mutex::named(format!("fork {number}"), 0_u64);
    for number in 0..seats {
        // An earlier run may have left it, used, in a job that outlived it.
        fork(number).object().force_new()?;
    }
    let started = Instant::now();
    dine(seats, move |seat| {
        let (left, right) = forks_of(seat, seats);
        let (low, high) = (fork(left.min(right)), fork(left.max(right)));
        for _ in 0..meals {
            let (mut low, mut high) = (low.lock()?, high.lock()?);
            *low += 1;
            *high += 1;
            high.unlock()?;
            low.unlock()?;
        }
        Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let used = (0..seats).map(|number| Ok(*fork(number).lock()?)).collect::<Result<_, Error>>()?;
    Ok(Dinner { name: "locks, the lower fork first", seconds, used })
}

/// Each fork is a semaphore of one permit, and the table one of a seat less than there are philosophers: somebody can eat.
fn on_semaphores(seats: u32, meals: u64) -> Result<Dinner, Error> {
    let fork = |number: u32| Semaphore::named(format!("fork {number}"), 1);
    let count = |number: u32| Counter::named(format!("uses of fork {number}"));
    let table = Semaphore::named("table", seats as usize - 1);
    table.object().force_new()?;
    for number in 0..seats {
        fork(number).object().force_new()?;
        count(number).object().force_new()?;
    }
    let started = Instant::now();
    dine(seats, move |seat| {
        let (left, right) = forks_of(seat, seats);
        let (left_used, right_used) = (count(left), count(right));
        let (left, right) = (fork(left), fork(right));
        for _ in 0..meals {
            let _chair = table.acquire()?;
            let (_left, _right) = (left.acquire()?, right.acquire()?);
            left_used.increment()?;
            right_used.increment()?;
        }
        Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let used = (0..seats).map(|number| Ok(count(number).get()?.unsigned_abs())).collect::<Result<_, Error>>()?;
    Ok(Dinner { name: "semaphores, and one chair too few", seconds, used })
}

/// The same on plain threads.
fn on_threads(seats: u32, meals: u64) -> Result<Dinner, Error> {
    let forks: Vec<_> = (0..seats).map(|_| Arc::new(ThreadMutex::new(0_u64))).collect();
    let started = Instant::now();
    dine(seats, {
        let forks = forks.clone();
        move |seat| {
            let (left, right) = forks_of(seat, seats);
            let (low, high) = (&forks[left.min(right) as usize], &forks[left.max(right) as usize]);
            for _ in 0..meals {
                let (mut low, mut high) = (low.lock().expect("nobody panics"), high.lock().expect("nobody panics"));
                *low += 1;
                *high += 1;
            }
            Ok(())
        }
    })?;
    let used = forks.iter().map(|fork| *fork.lock().expect("nobody panics")).collect();
    Ok(Dinner { name: "plain threads, the lower fork first", seconds: started.elapsed().as_secs_f64(), used })
}

/// Seats a thread for each philosopher, and waits until all have eaten.
fn dine(seats: u32, philosopher: impl Fn(u32) -> Result<(), Error> + Clone + Send + 'static) -> Result<(), Error> {
    let threads: Vec<_> = (0..seats)
        .map(|seat| {
            let philosopher = philosopher.clone();
            thread::spawn(move || philosopher(seat))
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("a philosopher does not panic"))
}

#[greenroom::main]
fn main() -> Result<(), Error> {
    let Arguments { philosophers, meals, json } = Arguments::parse();
    let dinners =
        [on_locks(philosophers, meals)?, on_semaphores(philosophers, meals)?, on_threads(philosophers, meals)?];
    // Each fork lies between two philosophers.
    let exact = dinners.iter().all(|dinner| dinner.used.iter().all(|&used| used == 2 * meals));
    if json {
        let dinners = dinners.map(|dinner| {
            let Dinner { name, seconds, used } = dinner;
            json!({ "name": name, "seconds": seconds, "fork_uses": used })
        });
        let report = json!({
            "application": "philosophers", "philosophers": philosophers, "meals": meals, "exact": exact,
            "dinners": dinners,
        });
        println!("{report}");
    } else {
        println!("{philosophers} philosophers, {meals} meals each\n");
        for dinner in &dinners {
            let meals_per_second = f64::from(philosophers) * meals as f64 / dinner.seconds;
            println!("{:<38} {:>8.3} s  {meals_per_second:>10.0} meals/s", dinner.name, dinner.seconds);
        }
        if exact {
            println!("\nat each dinner every fork was used {} times, by one at a time", 2 * meals);
        }
    }
    assert!(exact, "a fork was used by two at a time, or a meal is missing");
    Ok(())
}

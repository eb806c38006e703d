//! A bounded buffer between producers and consumers, thrice: a monitor of one's own, a lock with two conditions, a channel.
//!
//! Under a lock one caller works at a time, and a round trip hands it on; calls of the monitor and of the channel are under
//! way side by side. So the lock costs a multiple of the others.
//!
//! The monitor is a type of this program, so a cluster for it consists of nodes of this program:
//! `boundedbuffer greenroom dev` (or `cargo run --bin boundedbuffer greenroom dev`) starts some here.

use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use clap::Parser;
use greenroom::sync::channel::Channel;
use greenroom::sync::{Condvar, Mutex};
use greenroom::{Error, object};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Items go through a buffer that holds only a few: who puts waits for room, who takes waits for an item.
#[derive(Debug, Parser)]
struct Arguments {
    /// Producers, and as many consumers.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pairs: u64,
    /// Items of each producer.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    items: u64,
    /// Items that the buffer holds.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    capacity: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The monitor: its conditions stand on its methods, and calls wait in the object, in order of arrival.
#[object]
#[derive(Serialize, Deserialize)]
struct Buffer {
    capacity: u32,
    items: VecDeque<u64>,
}

#[object]
impl Buffer {
    pub fn new(capacity: u32) -> Self {
        Self { capacity, items: VecDeque::new() }
    }

    #[when(self.items.len() < self.capacity as usize)]
    pub fn put(&mut self, item: u64) {
        self.items.push_back(item);
    }

    #[when(!self.items.is_empty())]
    pub fn take(&mut self) -> u64 {
        self.items.pop_front().expect("the guard saw one")
    }
}

/// The same by hand: a lock, and two conditions of it.
#[derive(Clone)]
struct Conditions {
    capacity: u32,
    items: Mutex<VecDeque<u64>>,
    not_full: Condvar<VecDeque<u64>>,
    not_empty: Condvar<VecDeque<u64>>,
}

impl Conditions {
    fn named(key: &str, capacity: u32) -> Self {
        let items = Mutex::named(key, VecDeque::new());
        let (not_full, not_empty) = (items.condvar("not full"), items.condvar("not empty"));
        Self { capacity, items, not_full, not_empty }
    }

    fn put(&self, item: u64) -> Result<(), Error> {
        let full = |items: &mut VecDeque<u64>| items.len() >= self.capacity as usize;
        let mut items = self.not_full.wait_while(self.items.lock()?, full)?;
        items.push_back(item);
        items.unlock()?;
        self.not_empty.notify_one()
    }

    fn take(&self) -> Result<u64, Error> {
        let mut items = self.not_empty.wait_while(self.items.lock()?, |items| items.is_empty())?;
        let item = items.pop_front().expect("the condition saw one");
        items.unlock()?;
        self.not_full.notify_one()?;
        Ok(item)
    }
}

/// Lets every producer put its items and as many consumers take them; returns the seconds and the sum of what was taken.
fn run<P, T>(arguments: &Arguments, put: P, take: T) -> Result<(f64, u64), Error>
where
    P: Fn(u64) -> Result<(), Error> + Clone + Send + 'static,
    T: Fn() -> Result<u64, Error> + Clone + Send + 'static,
{
    let (pairs, items) = (arguments.pairs, arguments.items);
    let started = Instant::now();
    let producers: Vec<_> = (0..pairs)
        .map(|producer| {
            let put = put.clone();
            thread::spawn(move || (0..items).try_for_each(|item| put(producer * items + item)))
        })
        .collect();
    let consumers: Vec<_> = (0..pairs)
        .map(|_| {
            let take = take.clone();
            thread::spawn(move || (0..items).try_fold(0, |sum, _| Ok::<_, Error>(sum + take()?)))
        })
        .collect();
    for producer in producers {
        producer.join().expect("a producer does not panic")?;
    }
    let mut sum = 0;
    for consumer in consumers {
        sum += consumer.join().expect("a consumer does not panic")?;
    }
    Ok((started.elapsed().as_secs_f64(), sum))
}

#[greenroom::main]
fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    let capacity = arguments.capacity;

    // Each is made anew, whatever an earlier run left in a job that outlived it.
    let monitor = Buffer::named("buffer", capacity);
    monitor.object().force_new()?;
    let (puts, takes) = (monitor.clone(), monitor);
    let of_monitor = run(&arguments, move |item| puts.put(item), move || takes.take())?;

    let conditions = Conditions::named("buffer", capacity);
    conditions.items.object().force_new()?;
    let (puts, takes) = (conditions.clone(), conditions);
    let of_conditions = run(&arguments, move |item| puts.put(item), move || takes.take())?;

    let channel = Channel::bounded("buffer", capacity as usize);
    channel.object().force_new()?;
    let (sender, receiver) = (channel.sender()?, channel.receiver());
    let of_channel = run(&arguments, move |item| Ok(sender.send(item)?), move || Ok(receiver.recv()?))?;

    let total = arguments.pairs * arguments.items;
    let expected = total * (total - 1) / 2;
    let runs = [("monitor", of_monitor), ("lock and conditions", of_conditions), ("channel", of_channel)];
    let exact = runs.iter().all(|(_, (_, sum))| *sum == expected);
    if arguments.json {
        let runs = runs.map(|(name, (seconds, sum))| json!({ "name": name, "seconds": seconds, "sum": sum }));
        let report = json!({
            "application": "boundedbuffer", "items": total, "capacity": capacity, "exact": exact, "runs": runs,
        });
        println!("{report}");
    } else {
        println!("{total} items, {0} producers, {0} consumers, a buffer of {capacity}\n", arguments.pairs);
        for (name, (seconds, _)) in &runs {
            println!("{name:<20} {seconds:>8.3} s  {:>10.0} items/s", total as f64 / seconds);
        }
        if exact {
            println!("\nevery item went through once");
        }
    }
    assert!(exact, "an item was lost, or taken twice");
    Ok(())
}

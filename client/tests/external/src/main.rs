//! Threads that pass numbers through a shared bounded buffer.

use std::collections::VecDeque;
use std::fmt;
use std::thread::spawn;

use greenroom::{Error, object};
use serde::{Deserialize, Serialize};

const THREADS: u64 = 4;
const ITEMS_EACH: u64 = 50;

/// What has passed.
#[object]
#[derive(Default, Serialize, Deserialize)]
struct Tally {
    count: u64,
    sum: u64,
}

#[object]
impl Tally {
    pub fn add(&mut self, item: u64) {
        self.count += 1;
        self.sum += item;
    }

    pub fn totals(&self) -> (u64, u64) {
        (self.count, self.sum)
    }
}

/// A monitor: who puts waits for room, who takes waits for an item.
#[object]
#[derive(Serialize, Deserialize)]
struct Buffer {
    capacity: usize,
    items: VecDeque<u64>,
}

/// A capacity that cannot be.
#[derive(Debug, Serialize, Deserialize)]
struct TooSmall {
    least: usize,
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a buffer needs room for {}", self.least)
    }
}

#[object]
impl Buffer {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, items: VecDeque::new() }
    }

    #[when(self.items.len() < self.capacity)]
    pub fn put(&mut self, item: u64) {
        self.items.push_back(item);
    }

    #[when(!self.items.is_empty())]
    pub fn take(&mut self) -> u64 {
        self.items.pop_front().expect("the guard saw one")
    }

    pub fn resize(&mut self, capacity: usize) -> Result<usize, TooSmall> {
        let least = self.items.len().max(1);
        if capacity < least {
            return Err(TooSmall { least });
        }
        Ok(std::mem::replace(&mut self.capacity, capacity))
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }
}

#[greenroom::main]
fn main() -> Result<(), Error> {
    if std::env::args().nth(1).is_some_and(|word| word == "fail") {
        Buffer::named("tiny", 1).resize(0)?;
    }
    let producers = (0..THREADS).map(|thread| {
        spawn(move || {
            let buffer = Buffer::named("between", 2);
            (0..ITEMS_EACH).try_for_each(|item| buffer.put(thread * ITEMS_EACH + item))
        })
    });
    let consumers = (0..THREADS).map(|_| {
        spawn(|| {
            let (buffer, tally) = (Buffer::named("between", 2), Tally::named("passed"));
            (0..ITEMS_EACH).try_for_each(|_| tally.add(buffer.take()?))
        })
    });
    let threads: Vec<_> = producers.chain(consumers).collect();
    for thread in threads {
        thread.join().expect("no thread panics")?;
    }
    let (count, sum) = Tally::named("passed").totals()?;
    println!("{count} items passed, their sum is {sum}");
    Buffer::named("left", 2).put(7)?;
    Ok(())
}

//! The shares of a parallel `for`: which numbers a worker loops over.

use std::ops::Range;

use greenroom_actors::Error;
use serde::{Deserialize, Serialize};

use crate::Counter;

/// How the numbers of a parallel `for` are shared by its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Each has one stretch of (nearly) the same length, known from the beginning: no calls, for work that is even.
    Static,
    /// Whoever is free takes the next `chunk` numbers, at least one: a call each, for work that is uneven.
    Dynamic {
        /// How many numbers are taken at once.
        chunk: u64,
    },
    /// Whoever is free takes a part of what is left, long ones first, and at last `min` numbers, at least one: fewer calls than
    /// with short chunks, and as even an end.
    Guided {
        /// The shortest stretch.
        min: u64,
    },
}

/// The numbers that one worker of [`Executor::for_each_index`](super::Executor::for_each_index) is to loop over: an iterator, which
/// travels to it as an argument.
///
/// With the schedules `Dynamic` and `Guided` a stretch of numbers is taken by one call of a shared counter, so an item may be an
/// error. A stretch that was taken by a thread that then is lost is run by nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indices {
    /// What has been taken and is not used yet.
    taken: Range<u64>,
    rest: Rest,
}

/// What may be taken later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Rest {
    Nothing,
    Dynamic {
        counter: String,
        range: Range<u64>,
        chunk: u64,
    },
    Guided {
        counter: String,
        min: u64,
        workers: u64,
        /// What had not been taken before the stretch of that number.
        left: Range<u64>,
        number: i64,
    },
}

impl Indices {
    /// The shares of so many workers, at least one.
    pub(super) fn shares(range: Range<u64>, schedule: Schedule, workers: u32) -> impl Iterator<Item = Self> {
        let (workers, length) = (u64::from(workers.max(1)), range.end.saturating_sub(range.start));
        let counter = format!("cloud/indices/{:x}", rand::random::<u64>());
        (0..workers).map(move |worker| {
            let none = range.start..range.start;
            match schedule {
                Schedule::Static => {
                    let begin = |worker: u64| {
                        let part = u128::from(length) * u128::from(worker) / u128::from(workers);
                        // A part of a length of 64 bits.
                        range.start + u64::try_from(part).unwrap_or(length)
                    };
                    Self { taken: begin(worker)..begin(worker + 1), rest: Rest::Nothing }
                }
                Schedule::Dynamic { chunk } => {
                    let (counter, range, chunk) = (counter.clone(), range.clone(), chunk.max(1));
                    Self { taken: none, rest: Rest::Dynamic { counter, range, chunk } }
                }
                Schedule::Guided { min } => {
                    let (counter, left) = (counter.clone(), range.clone());
                    let rest = Rest::Guided { counter, min: min.max(1), workers, left, number: 0 };
                    Self { taken: none, rest }
                }
            }
        })
    }

    /// The next number, for async code; `None` when there are no more.
    ///
    /// # Errors
    /// As every call's.
    pub async fn next_async(&mut self) -> Option<Result<u64, Error>> {
        if self.taken.is_empty()
            && let Some(counter) = self.counter()
        {
            match counter.increment_async().await {
                Ok(count) => self.take(count),
                Err(error) => return Some(self.give_up(error)),
            }
        }
        self.taken.next().map(Ok)
    }

    /// Counts the stretches that were taken, by all workers.
    fn counter(&self) -> Option<Counter> {
        match &self.rest {
            Rest::Nothing => None,
            Rest::Dynamic { counter, .. } | Rest::Guided { counter, .. } => Some(Counter::named(counter.clone())),
        }
    }

    /// Takes the stretch of that number, from 1. How long each is follows from its number alone.
    fn take(&mut self, count: i64) {
        match &mut self.rest {
            Rest::Nothing => {}
            Rest::Dynamic { range, chunk, .. } => {
                let before = u64::try_from(count - 1).unwrap_or(u64::MAX).saturating_mul(*chunk);
                let start = range.start.saturating_add(before).min(range.end);
                self.taken = start..start.saturating_add(*chunk).min(range.end);
            }
            Rest::Guided { min, workers, left, number, .. } => {
                while *number < count && !left.is_empty() {
                    let length = (left.end - left.start).div_ceil(2 * *workers).max(*min);
                    let end = left.start.saturating_add(length).min(left.end);
                    self.taken = left.start..end;
                    (left.start, *number) = (end, *number + 1);
                }
                if *number < count {
                    self.taken = left.end..left.end;
                }
            }
        }
        if self.taken.is_empty() {
            self.rest = Rest::Nothing;
        }
    }

    fn give_up(&mut self, error: Error) -> Result<u64, Error> {
        self.rest = Rest::Nothing;
        Err(error)
    }
}

/// An iterator that blocks. After an error it has no more items.
impl Iterator for Indices {
    type Item = Result<u64, Error>;

    fn next(&mut self) -> Option<Result<u64, Error>> {
        if self.taken.is_empty()
            && let Some(counter) = self.counter()
        {
            match counter.increment() {
                Ok(count) => self.take(count),
                Err(error) => return Some(self.give_up(error)),
            }
        }
        self.taken.next().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stretches of numbers that are taken in turn, whoever takes them.
    fn stretches(range: Range<u64>, schedule: Schedule, workers: u32) -> Vec<Range<u64>> {
        let mut shares: Vec<Indices> = Indices::shares(range, schedule, workers).collect();
        let (mut taken, n_shares) = (Vec::new(), shares.len());
        for count in 1.. {
            // Not each in turn: one may come much later than the others.
            let share = &mut shares[(count * count) % n_shares];
            share.take(i64::try_from(count).expect("a small number"));
            if share.taken.is_empty() {
                break;
            }
            taken.push(share.taken.clone());
        }
        taken
    }

    #[test]
    fn every_number_is_in_one_stretch() {
        for (range, workers) in [(0..100, 4), (5..6, 8), (7..7, 3), (10..1_003, 7), (u64::MAX - 9..u64::MAX, 2)] {
            let fixed: Vec<u64> =
                Indices::shares(range.clone(), Schedule::Static, workers).flat_map(|share| share.taken).collect();
            assert_eq!(fixed, range.clone().collect::<Vec<_>>());
            for schedule in
                [Schedule::Dynamic { chunk: 3 }, Schedule::Dynamic { chunk: 0 }, Schedule::Guided { min: 2 }]
            {
                let taken: Vec<u64> = stretches(range.clone(), schedule, workers).into_iter().flatten().collect();
                assert_eq!(taken, range.clone().collect::<Vec<_>>(), "{schedule:?}, {workers}");
            }
        }
    }

    #[test]
    fn guided_stretches_become_shorter_down_to_the_shortest() {
        let taken = stretches(0..1_000, Schedule::Guided { min: 10 }, 5);
        let lengths: Vec<u64> = taken.iter().map(|stretch| stretch.end - stretch.start).collect();
        assert!(lengths.is_sorted_by(|one, next| one >= next), "{lengths:?}");
        assert_eq!((lengths[0], lengths.len() < 100), (100, true), "{lengths:?}");
        assert!(lengths[..lengths.len() - 1].iter().all(|length| *length >= 10), "{lengths:?}");
    }
}

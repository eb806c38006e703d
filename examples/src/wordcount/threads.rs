//! Counting words on plain threads.

use std::sync::Mutex;
use std::thread;

use super::{Counts, Failure, Part};

/// Counts the words of all parts, on so many threads.
///
/// # Errors
/// When a part cannot be counted.
///
/// # Panics
/// When a thread does.
pub fn run(parts: &[Part], workers: usize) -> Result<Counts, Failure> {
    let (parts, words) = (Mutex::new(parts.iter()), Mutex::new(Counts::new()));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(|| work(&parts, &words))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a worker does not panic"))
    })?;
    Ok(words.into_inner().expect("no worker panics"))
}

fn work<'a>(parts: &Mutex<impl Iterator<Item = &'a Part>>, words: &Mutex<Counts>) -> Result<(), Failure> {
    loop {
        let part = parts.lock().expect("no worker panics").next();
        let Some(part) = part else { return Ok(()) };
        let counts = part.count()?;
        let mut words = words.lock().expect("no worker panics");
        for (word, count) in counts {
            *words.entry(word).or_default() += count;
        }
    }
}

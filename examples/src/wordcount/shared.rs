//! Counting words with cloud threads.

use greenroom::cloud::Executor;
use greenroom::collections::OrderedMap;
use greenroom::{Combine, cloud};

use super::{Counts, Failure, Part};
use crate::fresh;

/// Counts the words of all parts, so many parts at once.
///
/// # Errors
/// When a part cannot be counted: parts that have not begun by then are not counted.
pub fn run(parts: &[Part], workers: usize) -> Result<Counts, Failure> {
    let words = fresh(OrderedMap::named("words"))?;
    let calls = parts.iter().map(|part| count::call(part.clone(), words.clone()));
    for counted in Executor::new().map(calls).in_flight(workers).unordered() {
        counted?;
    }
    Ok(words.to_map()?)
}

/// Counts the words of one part, and merges the counts into those of all: one call for each MiB of them.
///
/// What it merges is added, so a lost attempt must not be tried again, and it is not: that has to be asked for.
#[cloud]
fn count(part: Part, words: OrderedMap<String, u64>) -> Result<(), Failure> {
    words.merge_all(part.count()?, Combine::sum())?;
    Ok(())
}

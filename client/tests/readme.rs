//! The code that the README shows compiles, and is what it shows.

// begin
use greenroom::collections::Map;
use greenroom::sync::{Barrier, Mutex, Semaphore, channel};
use greenroom::{Cell, Combine, Counter, Error};

static HITS: Counter = Counter::shared("hits");

fn meet() -> Result<(), Error> {
    HITS.increment()?;

    let best = Cell::named("best", f64::MAX);
    best.merge(0.5, Combine::min())?; // combined where the value is: one round trip

    let words = Map::<String, u64>::named("words");
    words.merge("green".to_owned(), 1, Combine::sum())?;

    let log = Mutex::named("log", Vec::<String>::new());
    let mut guard = log.lock()?; // brings the value
    guard.push("one was here".to_owned());
    guard.unlock()?; // sends it back; so does a drop, without waiting

    let _permit = Semaphore::named("at most 8", 8).acquire()?;
    let (jobs, queue) = channel::bounded::<u64>("jobs", 100)?;
    jobs.send(7)?;
    assert_eq!(queue.recv()?, 7);

    if Barrier::named("phase", 4).wait()?.is_leader() {
        println!("all are here");
    }
    Ok(())
}
// end

#[greenroom::combine]
fn widen(range: &mut (f64, f64), other: (f64, f64)) {
    *range = (range.0.min(other.0), range.1.max(other.1));
}

#[test]
fn the_readme_shows_this_code() {
    let (source, readme) = (include_str!("readme.rs"), include_str!("../../README.md"));
    let begun = source.split_once("// begin\n").expect("has a beginning").1;
    let shown = begun.split_once("// end").expect("has an end").0;
    assert!(readme.contains(shown), "the README shows other code");
    let combine = source.split_once("#[greenroom::combine]").expect("has a function").1.split_once("\n\n");
    assert!(readme.contains(combine.expect("ends").0), "the README shows another combine function");
}

#[test]
fn the_readmes_code_runs() {
    // Each takes one of the four places at the barrier, and a value of its own from the channel.
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(meet)).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("does not panic"), Ok(()));
        }
    });
    assert_eq!(HITS.get(), Ok(4));
    let words = Map::<String, u64>::named("words");
    assert_eq!(words.get("green"), Ok(Some(4)));
    let ranges = Map::<String, (f64, f64)>::named("ranges");
    for value in [21.5, 19.0, 20.0] {
        ranges.merge("temperature".to_owned(), (value, value), widen::combine()).expect("merges");
    }
    assert_eq!(ranges.get("temperature"), Ok(Some((19.0, 21.5))));
}

//! A run follows from its seed alone, and finds nothing where nothing is planted.

#![allow(missing_docs, reason = "a test")]

use greenroom_sim::world::{Settings, run};

#[test]
fn a_seed_plays_the_same_run_again() {
    let settings = Settings { trace: true, ..Settings::default() };
    for seed in 0..3 {
        let (first, second) = (run(seed, settings), run(seed, settings));
        let differs = first.trace.iter().zip(&second.trace).position(|(one, other)| one != other);
        assert_eq!(differs.map(|line| (&first.trace[line], &second.trace[line])), None, "seed {seed}");
        assert_eq!((first.trace.len(), first.fingerprint), (second.trace.len(), second.fingerprint), "seed {seed}");
    }
}

#[test]
fn a_few_seeds_find_nothing() {
    for seed in 0..10 {
        assert_eq!(run(seed, Settings::default()).violation, None, "seed {seed}");
    }
}

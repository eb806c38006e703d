//! Runs simulated clusters, one a seed, and says what they found.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use greenroom_sim::world::{Outcome, Settings, run};

/// What was asked for.
#[derive(Clone, Copy, Debug)]
struct Options {
    seeds: u64,
    first: u64,
    seed: Option<u64>,
    trace: bool,
    mutations: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seeds: 100, first: 0, seed: None, trace: false, mutations: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number =
            || words.next().and_then(|text| text.parse().ok()).ok_or_else(|| format!("{word} needs a number"));
        match word.as_str() {
            "--seeds" => options.seeds = number()?,
            "--first" => options.first = number()?,
            "--seed" => options.seed = Some(number()?),
            "--trace" => options.trace = true,
            "--mutations" => options.mutations = true,
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(options)
}

#[derive(Debug, Default)]
struct Totals {
    n_bad: u64,
    n_steps: u64,
    n_calls: usize,
    n_returned: usize,
    n_epochs: u64,
    n_histories: usize,
    n_unchecked: usize,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.n_bad += u64::from(outcome.violation.is_some());
        self.n_steps += outcome.n_steps;
        self.n_calls += outcome.n_calls;
        self.n_returned += outcome.n_returned;
        self.n_epochs += outcome.n_epochs;
        self.n_histories += outcome.n_histories;
        self.n_unchecked += outcome.n_unchecked;
    }
}

fn run_many(options: Options) -> Totals {
    let next = AtomicU64::new(options.first);
    let totals = Mutex::new(Totals::default());
    let end = options.first + options.seeds;
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let outcome = run(seed, Settings::default());
            if let Some(violation) = &outcome.violation {
                println!("seed {seed}: {violation}");
            }
            totals.lock().unwrap_or_else(PoisonError::into_inner).add(&outcome);
        }
    };
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(work);
        }
    });
    totals.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Plants each bug, and runs seeds until one finds it.
#[cfg(feature = "mutations")]
fn run_mutations(options: Options) -> ExitCode {
    use greenroom_actors::Mutation;
    let mut n_missed = 0;
    println!("| planted bug | found at seed | by |\n|---|---|---|");
    for mutation in Mutation::ALL {
        Mutation::plant(Some(mutation));
        let found = (options.first..options.first + options.seeds).find_map(|seed| {
            let violation = run(seed, Settings::default()).violation?;
            Some((seed, violation.split(':').next().unwrap_or_default().to_owned()))
        });
        Mutation::plant(None);
        match found {
            Some((seed, by)) => println!("| {mutation:?} | {seed} | {by} |"),
            None => {
                n_missed += 1;
                println!("| {mutation:?} | not in {} seeds | - |", options.seeds);
            }
        }
    }
    if n_missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(feature = "mutations"))]
fn run_mutations(_options: Options) -> ExitCode {
    eprintln!("the bugs are only planted with `--features mutations`");
    ExitCode::FAILURE
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\nusage: simulate [--seeds N] [--first S] [--seed S [--trace]]");
            return ExitCode::FAILURE;
        }
    };
    if let Some(seed) = options.seed {
        println!("seed {seed}");
        let outcome = run(seed, Settings { trace: options.trace, ..Settings::default() });
        outcome.trace.iter().for_each(|line| println!("{line}"));
        let Outcome { n_steps, n_calls, n_returned, .. } = outcome;
        println!("{n_steps} steps, {n_calls} calls, {n_returned} returned");
        println!("{}", outcome.violation.as_deref().unwrap_or("nothing was found"));
        return if outcome.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    if options.mutations {
        return run_mutations(options);
    }
    println!("seeds {} to {}", options.first, options.first + options.seeds - 1);
    let totals = run_many(options);
    let Totals { n_bad, n_steps, n_calls, n_returned, n_epochs, n_histories, n_unchecked } = totals;
    println!(
        "{n_bad} of {} seeds are bad; {n_steps} steps, {n_calls} calls, {n_returned} returned, {n_epochs} epochs",
        options.seeds
    );
    println!("{n_histories} histories were searched for an order; {n_unchecked} of them were too much work");
    if n_bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! π by Monte Carlo: the share of random points of the unit square that lie in the quarter circle is π / 4.

use std::f64::consts::{FRAC_PI_4, PI};
use std::time::Instant;

use clap::Parser;
use greenroom::{Counter, Error, cloud};
use greenroom_examples::{Progress, fresh};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How often each worker reports: often enough for a progress bar.
const CHUNKS: u64 = 20;

/// Estimates π from random points; the workers add their hits to one shared counter.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of workers.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    workers: u64,
    /// Number of points, of all workers together.
    #[arg(long, default_value_t = 100_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    points: u64,
    /// Seed of the random numbers; the same seed, workers and points give the same result.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Draws `points` points from stream `part` of the random numbers and adds the hits to `hits`; returns its calls.
#[cloud]
fn draw(part: u64, points: u64, seed: u64, hits: Counter) -> Result<u64, Error> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(part);
    let mut calls = 0;
    for chunk in 0..CHUNKS {
        let mut inside = 0;
        for _ in 0..share(points, chunk, CHUNKS) {
            let (x, y): (f64, f64) = random.random();
            inside += i64::from(x * x + y * y <= 1.0);
        }
        hits.add(inside)?;
        calls += 1;
    }
    Ok(calls)
}

/// Part `part` of `total`, divided into `parts` as evenly as whole numbers can be.
fn share(total: u64, part: u64, parts: u64) -> u64 {
    total / parts + u64::from(part < total % parts)
}

#[greenroom::main]
fn main() -> Result<(), Error> {
    let Arguments { workers, points, seed, json } = Arguments::parse();
    let start = Instant::now();
    let hits = fresh(Counter::named("hits"))?;
    let threads: Vec<_> =
        (0..workers).map(|part| draw::spawn(part, share(points, part, workers), seed, hits.clone())).collect();
    // Of the points, π / 4 will be hits: about 11 / 14.
    let progress = Progress::watch(points / 14 * 11, "expected hits", {
        let hits = hits.clone();
        move || hits.get().ok()
    });
    let mut calls = 0;
    for thread in threads {
        calls += thread.join()?;
    }
    drop(progress);
    let hits = hits.get()?;
    let seconds = start.elapsed().as_secs_f64();

    let pi = 4.0 * hits as f64 / points as f64;
    let error = (pi - PI).abs();
    let standard_error = 4.0 * (FRAC_PI_4 * (1.0 - FRAC_PI_4) / points as f64).sqrt();
    let points_per_second = points as f64 / seconds;
    if json {
        let report = serde_json::json!({
            "application": "montecarlo", "workers": workers, "points": points, "seed": seed, "hits": hits, "pi": pi,
            "error": error, "standard_error": standard_error, "seconds": seconds,
            "points_per_second": points_per_second, "calls": calls,
        });
        println!("{report}");
    } else {
        println!("π ≈ {pi:.6}, off by {error:.6} (standard error {standard_error:.6})");
        println!("{points} points, {workers} workers, {seconds:.2} s: {:.1} million points/s", points_per_second / 1e6);
        println!("{calls} calls of the workers to {}", Counter::named("hits").object().name());
    }
    Ok(())
}

//! k-means: groups points around means; each centroid is an object, and the workers meet at a barrier.

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use greenroom_examples::kmeans::{Data, Failure, Job, Outcome, Quality, Source, shared, threads};
use serde_json::{Value, json};

/// What rounding may make of sums that are added in another order, relative to the largest coordinate.
const ROUNDING: f64 = 1e-9;

/// Finds clusters of points on shared objects, and beside it on plain threads; the results must agree.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rows of comma-separated numbers, the last of which is the label; handwritten digits if not given.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Number of workers.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    workers: u32,
    /// The most iterations.
    #[arg(long, default_value_t = 20)]
    iterations: u32,
    /// Number of clusters.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clusters: u32,
    /// Seed of the choice of the first means.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop when the centroids together move no farther than this in an iteration.
    #[arg(long, default_value_t = 1e-5)]
    tolerance: f64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One of the two computations, done.
struct Run {
    outcome: Outcome,
    quality: Quality,
    seconds: f64,
}

impl Run {
    fn of(data: &Data, compute: impl FnOnce() -> Result<Outcome, Failure>) -> Result<Self, Failure> {
        let start = Instant::now();
        let outcome = compute()?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Self { quality: Quality::of(data, &outcome.means), outcome, seconds })
    }

    fn json(&self) -> Value {
        let Quality { inertia, purity } = self.quality;
        json!({ "converged": self.outcome.converged, "inertia": inertia, "purity": purity, "seconds": self.seconds })
    }

    fn converged(&self) -> String {
        self.outcome.converged.map_or_else(|| "not yet".to_owned(), |iteration| iteration.to_string())
    }
}

#[greenroom::main]
fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let source = arguments.data.clone().map_or(Source::Digits, Source::File);
    let data = source.all()?;
    let means = data.points.choose_means(arguments.clusters as usize, arguments.seed)?;
    let Arguments { workers, iterations, tolerance, .. } = arguments;
    let job = Job { source, workers, iterations, tolerance };

    let objects = Run::of(&data, || shared::run(&job, means.clone()))?;
    let plain = Run::of(&data, || threads::run(&job, means))?;
    if arguments.json {
        let difference = objects.outcome.difference(&plain.outcome);
        let report = json!({
            "application": "kmeans", "data": job.source.to_string(), "points": data.labels.len(),
            "dimensions": data.points.dimensions(), "clusters": arguments.clusters, "workers": workers,
            "seed": arguments.seed, "greenroom": objects.json(), "threads": plain.json(), "difference": difference,
            "exact": objects.outcome == plain.outcome,
        });
        println!("{report}");
    } else {
        print(&arguments, &data, &objects, &plain);
    }
    agree(&data, &objects.outcome, &plain.outcome)
}

fn print(arguments: &Arguments, data: &Data, objects: &Run, plain: &Run) {
    let Arguments { clusters, workers, seed, .. } = arguments;
    let (points, dimensions) = (data.labels.len(), data.points.dimensions());
    println!("{points} points of {dimensions} dimensions, {clusters} clusters, {workers} workers, seed {seed}\n");
    println!("{:<24}{:>14}{:>14}", "", "greenroom", "threads");
    println!("{:<24}{:>14}{:>14}", "stood still in iteration", objects.converged(), plain.converged());
    println!("{:<24}{:>14.1}{:>14.1}", "inertia", objects.quality.inertia, plain.quality.inertia);
    println!("{:<24}{:>14.4}{:>14.4}", "purity", objects.quality.purity, plain.quality.purity);
    println!("{:<24}{:>14.3}{:>14.3}\n", "time, s", objects.seconds, plain.seconds);
    if objects.outcome == plain.outcome {
        println!("the results agree exactly");
    } else {
        let difference = objects.outcome.difference(&plain.outcome);
        println!("the largest difference between two coordinates is {difference:e}");
    }
}

/// Sums of whole numbers are exact in any order; other sums are rounded, in the order in which the workers come.
fn agree(data: &Data, objects: &Outcome, plain: &Outcome) -> Result<(), Failure> {
    let coordinates = || data.points.iter().flatten();
    let whole = coordinates().all(|coordinate| coordinate.fract() == 0.0);
    let largest = coordinates().fold(0.0, |largest: f64, coordinate| largest.max(coordinate.abs()));
    let difference = objects.difference(plain);
    let difference_max = if whole { 0.0 } else { ROUNDING * largest };
    let agree = if whole { objects == plain } else { difference <= difference_max };
    if agree { Ok(()) } else { Err(Failure::Disagreement { difference, difference_max }) }
}

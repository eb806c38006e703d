//! k-means on plain threads.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use super::{Failure, Job, Outcome};
use crate::Progress;

/// A mean in rounds: what `greenroom::Average` is to processes.
#[derive(Debug)]
struct Average {
    mean: Vec<f64>,
    sum: Vec<f64>,
    count: u64,
}

impl Average {
    fn new(mean: Vec<f64>) -> Self {
        Self { sum: vec![0.0; mean.len()], mean, count: 0 }
    }

    fn add(&mut self, sum: &[f64], count: u64) {
        for (total, part) in self.sum.iter_mut().zip(sum) {
            *total += part;
        }
        self.count += count;
    }

    /// Makes the round's mean the mean; returns how far that is from the last one.
    fn advance(&mut self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let mut square = 0.0;
        for (mean, sum) in self.mean.iter_mut().zip(&mut self.sum) {
            let new = std::mem::take(sum) / self.count as f64;
            square += (new - *mean) * (new - *mean);
            *mean = new;
        }
        self.count = 0;
        square.sqrt()
    }
}

/// What the workers share.
#[derive(Debug)]
struct Shared {
    centroids: Vec<Mutex<Average>>,
    /// All workers meet here twice an iteration: before the means move, and after.
    phase: Barrier,
    /// How many iterations have moved the means.
    steps: AtomicI64,
}

/// Runs the job from these means on.
///
/// # Errors
/// When a worker cannot do its part.
///
/// # Panics
/// When a worker does.
pub fn run(job: &Job, means: Vec<Vec<f64>>) -> Result<Outcome, Failure> {
    let shared = Arc::new(Shared {
        centroids: means.into_iter().map(|mean| Mutex::new(Average::new(mean))).collect(),
        phase: Barrier::new(job.workers as usize),
        steps: AtomicI64::new(0),
    });
    let threads: Vec<_> = (0..job.workers)
        .map(|part| {
            let (job, shared) = (job.clone(), shared.clone());
            thread::spawn(move || work(part, &job, &shared))
        })
        .collect();
    let progress = Progress::watch(job.iterations.into(), "iterations", {
        let shared = shared.clone();
        move || Some(shared.steps.load(SeqCst))
    });
    let mut converged = None;
    for thread in threads {
        converged = thread.join().expect("a worker does not panic")?;
    }
    drop(progress);
    Ok(Outcome { means: read_means(&shared), converged })
}

/// Assigns one part of the points to their clusters, again and again; returns when the means stood still.
fn work(part: u32, job: &Job, shared: &Shared) -> Result<Option<u32>, Failure> {
    let points = job.source.part(part, job.workers)?.points;
    for iteration in 1..=job.iterations {
        let sums = points.assign(&read_means(shared));
        for (centroid, sum) in shared.centroids.iter().zip(sums) {
            centroid.lock().expect("no worker panics").add(&sum.total, sum.count);
        }
        if shared.phase.wait().is_leader() {
            let mut moved = 0.0;
            for centroid in &shared.centroids {
                moved += centroid.lock().expect("no worker panics").advance();
            }
            if moved > job.tolerance {
                shared.steps.fetch_add(1, SeqCst);
            }
        }
        shared.phase.wait();
        if shared.steps.load(SeqCst) < iteration.into() {
            return Ok(Some(iteration));
        }
    }
    Ok(None)
}

fn read_means(shared: &Shared) -> Vec<Vec<f64>> {
    shared.centroids.iter().map(|centroid| centroid.lock().expect("no worker panics").mean.clone()).collect()
}

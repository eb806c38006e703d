//! k-means on shared objects.

use greenroom::sync::Barrier;
use greenroom::{Average, Counter, cloud};
use serde::{Deserialize, Serialize};

use super::{Failure, Job, Outcome};
use crate::{Progress, fresh};

/// What the workers share.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shared {
    centroids: Vec<Average>,
    /// All workers meet here twice an iteration: before the means move, and after.
    phase: Barrier,
    /// How many iterations have moved the means.
    steps: Counter,
}

/// Runs the job from these means on.
///
/// # Errors
/// When a worker cannot do its part, or panics.
pub fn run(job: &Job, means: Vec<Vec<f64>>) -> Result<Outcome, Failure> {
    let shared = Shared {
        centroids: (0..)
            .zip(means)
            .map(|(i, mean)| fresh(Average::named(format!("centroid/{i}"), mean)))
            .collect::<Result<_, _>>()?,
        phase: fresh(Barrier::named("phase", job.workers as usize))?,
        steps: fresh(Counter::named("steps"))?,
    };
    let threads: Vec<_> = (0..job.workers).map(|part| work::spawn(part, job.clone(), shared.clone())).collect();
    let progress = Progress::watch(job.iterations.into(), "iterations", {
        let shared = shared.clone();
        move || shared.steps.get().ok()
    });
    let mut converged = None;
    for thread in threads {
        converged = thread.join()?;
    }
    drop(progress);
    Ok(Outcome { means: read_means(&shared)?, converged })
}

/// Assigns one part of the points to their clusters, again and again; returns when the means stood still.
#[cloud]
fn work(part: u32, job: Job, shared: Shared) -> Result<Option<u32>, Failure> {
    let points = job.source.part(part, job.workers)?.points;
    for iteration in 1..=job.iterations {
        let sums = points.assign(&read_means(&shared)?);
        for (centroid, sum) in shared.centroids.iter().zip(sums) {
            centroid.add(sum.total, sum.count)?;
        }
        if shared.phase.wait()?.is_leader() {
            let mut moved = 0.0;
            for centroid in &shared.centroids {
                moved += centroid.advance()?;
            }
            if moved > job.tolerance {
                shared.steps.increment()?;
            }
        }
        shared.phase.wait()?;
        if shared.steps.get()? < iteration.into() {
            return Ok(Some(iteration));
        }
    }
    Ok(None)
}

fn read_means(shared: &Shared) -> Result<Vec<Vec<f64>>, Failure> {
    shared.centroids.iter().map(|centroid| Ok(centroid.mean()?)).collect()
}

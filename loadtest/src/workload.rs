//! Closed loops: callers that each make one call after the other.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What a round measured.
pub(crate) struct Round {
    /// Calls per second.
    pub(crate) throughput: f64,
    /// Latencies in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Round {
    /// The median latency in microseconds.
    pub(crate) fn p50_us(&self) -> f64 {
        self.latency.value_at_quantile(0.5) as f64 / 1000.0
    }
}

/// Runs the callers side by side for that long; each makes calls by `call`, one after the other.
pub(crate) async fn closed_loop<C, F, R>(callers: Vec<C>, time: Duration, call: F) -> anyhow::Result<Round>
where
    C: Send + 'static,
    F: Fn(&mut C) -> R + Clone + Send + 'static,
    R: Future<Output = anyhow::Result<()>> + Send,
{
    let started = Instant::now();
    let end = started + time;
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|mut caller| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut latency = Histogram::<u64>::new(3)?;
                let mut before = Instant::now();
                while before < end {
                    call(&mut caller).await?;
                    let after = Instant::now();
                    latency.record(u64::try_from((after - before).as_nanos())?)?;
                    before = after;
                }
                anyhow::Ok(latency)
            })
        })
        .collect();
    let mut latency = Histogram::<u64>::new(3)?;
    for task in tasks {
        latency.add(task.await??)?;
    }
    Ok(Round { throughput: latency.len() as f64 / started.elapsed().as_secs_f64(), latency })
}

/// Runs the callers side by side for that long, each on a thread of its own, by blocking calls.
pub(crate) async fn closed_loop_of_threads<C>(
    callers: &[Arc<Mutex<C>>],
    time: Duration,
    call: impl Fn(&mut C) -> anyhow::Result<()> + Clone + Send + 'static,
) -> anyhow::Result<Round>
where
    C: Send + 'static,
{
    let started = Instant::now();
    let end = started + time;
    let threads: Vec<_> = callers
        .iter()
        .map(|caller| {
            let (caller, call) = (Arc::clone(caller), call.clone());
            tokio::task::spawn_blocking(move || {
                let mut caller = caller.lock().unwrap_or_else(PoisonError::into_inner);
                let mut latency = Histogram::<u64>::new(3)?;
                let mut before = Instant::now();
                while before < end {
                    call(&mut caller)?;
                    let after = Instant::now();
                    latency.record(u64::try_from((after - before).as_nanos())?)?;
                    before = after;
                }
                anyhow::Ok(latency)
            })
        })
        .collect();
    let mut latency = Histogram::<u64>::new(3)?;
    for thread in threads {
        latency.add(thread.await??)?;
    }
    Ok(Round { throughput: latency.len() as f64 / started.elapsed().as_secs_f64(), latency })
}

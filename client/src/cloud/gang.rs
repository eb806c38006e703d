//! Gangs: threads that wait for each other, of which all run or none.

use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::{Error, ReplyBody, ThreadFailure};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::unbounded_channel;

use super::attempt::Attempt;
use super::executor::{Executor, check_may_block};
use super::expand::Outcome;
use super::function::Call;
use super::handle::JoinHandle;
use super::running::Running;
use crate::sync::{Latch, Promise};

/// How long the threads of a gang may take to start, unless it is said.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not all threads of a gang have started. None of their functions has run, and none will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only {started} of the {needed} threads of the gang have started; none of them has run")]
pub struct NotEnoughConcurrency {
    /// How many have started.
    pub started: usize,
    /// How many there are in the gang.
    pub needed: usize,
}

impl Executor {
    /// Begins threads that wait for each other, as at a barrier: none of them runs before all have started. If they do not all
    /// start within a minute none runs, where begun one by one they would wait for those that cannot come.
    ///
    /// It costs two calls of shared objects a thread.
    ///
    /// ```no_run
    /// use greenroom::cloud::{Executor, NotEnoughConcurrency};
    /// use greenroom::sync::Barrier;
    /// use greenroom::{Error, cloud};
    ///
    /// #[cloud]
    /// fn meet() -> Result<(), Error> {
    ///     Barrier::named("all 80", 80).wait()?;
    ///     Ok(())
    /// }
    ///
    /// match Executor::new().gang((0..80).map(|_| meet::call())) {
    ///     Ok(threads) => println!("{} have met", threads.into_iter().filter_map(|thread| thread.join().ok()).count()),
    ///     Err(Error::Method(NotEnoughConcurrency { started, .. })) => println!("there is room for {started}"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NotEnoughConcurrency`], with how many have started, as soon as each has or cannot; [`Error::Blocking`] on a thread that
    /// runs async tasks, where nothing is begun; and as every call's: then the threads are cancelled, and none has run unless
    /// the call is [`Error::Unknown`].
    pub fn gang<T, E: ReplyBody<T>>(
        &self,
        calls: impl IntoIterator<Item = Call<T, E>>,
    ) -> Result<Vec<JoinHandle<T, E>>, Error<NotEnoughConcurrency>> {
        self.gang_timeout(calls, PATIENCE)
    }

    /// [`gang`](Self::gang), with at most that long for all to start.
    ///
    /// # Errors
    /// As [`gang`](Self::gang).
    pub fn gang_timeout<T, E: ReplyBody<T>>(
        &self,
        calls: impl IntoIterator<Item = Call<T, E>>,
        timeout: Duration,
    ) -> Result<Vec<JoinHandle<T, E>>, Error<NotEnoughConcurrency>> {
        check_may_block("gang")?;
        pollster::block_on(self.gang_timeout_async(calls, timeout))
    }

    /// The twin of [`gang`](Self::gang) for async code. Dropping the future cancels the threads.
    ///
    /// # Errors
    /// As [`gang`](Self::gang).
    pub async fn gang_async<T, E: ReplyBody<T>>(
        &self,
        calls: impl IntoIterator<Item = Call<T, E>>,
    ) -> Result<Vec<JoinHandle<T, E>>, Error<NotEnoughConcurrency>> {
        self.gang_timeout_async(calls, PATIENCE).await
    }

    /// The twin of [`gang_timeout`](Self::gang_timeout) for async code. Dropping the future cancels the threads.
    ///
    /// # Errors
    /// As [`gang`](Self::gang).
    pub async fn gang_timeout_async<T, E: ReplyBody<T>>(
        &self,
        calls: impl IntoIterator<Item = Call<T, E>>,
        timeout: Duration,
    ) -> Result<Vec<JoinHandle<T, E>>, Error<NotEnoughConcurrency>> {
        let calls: Vec<_> = calls.into_iter().collect();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let gate = Gate::new(calls.len());
        let mut gang = self.clone();
        gang.settings.gate = Some(gate.clone());
        let threads: Vec<_> = calls.into_iter().map(|call| gang.spawn(call)).collect();
        let held = Held(threads.iter().map(|thread| Arc::clone(&thread.running)).collect());
        gate.open(held, timeout).await?;
        Ok(threads)
    }
}

/// What holds each thread of a gang until it is known whether all of them have started: objects of the driver's job, since the
/// threads may run anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gate {
    key: String,
    threads: usize,
}

impl Gate {
    pub(super) fn new(threads: usize) -> Self {
        Self { key: format!("cloud/gang/{:x}", rand::random::<u64>()), threads }
    }

    /// Counts those that have neither started nor failed to.
    fn awaited(&self) -> Latch {
        Latch::named(format!("{}/awaited", self.key), self.threads as u64)
    }

    /// Whether all run.
    fn decision(&self) -> Promise<bool> {
        Promise::named(format!("{}/decision", self.key))
    }

    /// Says that the attempt's thread has started, and waits until it may run.
    ///
    /// # Errors
    /// When it may not: nothing of its function is to run then.
    pub(super) async fn pass(&self, attempt: &Arc<Attempt>) -> Result<(), ThreadFailure> {
        let passed = attempt.around(async {
            // A later attempt comes after one that has been counted, and finds the gate as it was decided.
            if attempt.number() == 1 {
                self.awaited().count_down_async().await?;
            }
            Ok::<_, Error>(self.decision().get_async().await?)
        });
        match passed.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ThreadFailure::NotStarted { why: "others of its gang have not started".to_owned() }),
            Err(Error::Cancelled { .. }) => Err(ThreadFailure::Cancelled),
            Err(error) => {
                let why = format!("whether all of its gang have started is not known: {error}");
                Err(ThreadFailure::NotStarted { why })
            }
        }
    }

    /// Waits until each thread has started, or cannot, at most that long, and lets all run, or none.
    async fn open(&self, threads: Held, timeout: Duration) -> Result<(), Error<NotEnoughConcurrency>> {
        let (fails, mut failed) = unbounded_channel();
        for thread in &threads.0 {
            let fails = fails.clone();
            thread.when_ended(move |outcome| {
                if has_not_run(outcome) {
                    // Nobody may be waiting for it any more.
                    let _ = fails.send(());
                }
            });
        }
        let awaited = self.awaited();
        let mut all_known = std::pin::pin!(awaited.wait_timeout_async(timeout));
        let known = loop {
            tokio::select! {
                known = &mut all_known => break known,
                Some(()) = failed.recv() => {
                    awaited.count_down_async().await.map_err(Error::widen)?;
                }
            }
        };
        let late = match known {
            Ok(()) => 0,
            Err(Error::TimedOut { .. }) => awaited.count_async().await.map_err(Error::widen)?,
            Err(error) => return Err(error.widen()),
        };
        let late = usize::try_from(late).unwrap_or(self.threads);
        let started = self.threads.saturating_sub(late + threads.failures());
        let all_run = started == self.threads;
        self.decide(all_run).await?;
        if all_run {
            threads.let_go();
            return Ok(());
        }
        Err(Error::Method(NotEnoughConcurrency { started, needed: self.threads }))
    }

    /// Lets all run, or none. It is done once.
    pub(super) async fn decide(&self, all_run: bool) -> Result<(), Error<NotEnoughConcurrency>> {
        self.decision().set_async(all_run).await.map_err(Error::widen)
    }
}

/// The threads of a gang, which are cancelled if they are dropped before they were let go.
struct Held(Vec<Arc<Running>>);

impl Held {
    fn failures(&self) -> usize {
        self.0.iter().filter(|thread| thread.outcome().is_some_and(has_not_run)).count()
    }

    fn let_go(mut self) {
        self.0.clear();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.iter().for_each(|thread| thread.cancel());
    }
}

fn has_not_run(outcome: &Outcome) -> bool {
    matches!(outcome, Err(failure) if failure.has_run() == Some(false))
}

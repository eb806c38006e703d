//! Executors: many cloud threads begun, awaited and ended together.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_actors::{Erased, Error, ReplyBody, ThreadFailure, ThreadId};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::builder::Builder;
use super::function::Call;
use super::handle::JoinHandle;
use super::indices::{Indices, Schedule};
use super::map::{Map, Order};
use super::running::Running;
use crate::client::must_not_block;

/// How many threads of one [`Executor::map`] run at once, unless it is said.
const IN_FLIGHT: usize = 256;

/// Begins cloud threads, and knows all that it has begun: they can be awaited, cancelled and ended together.
///
/// Of each method that waits there is a twin for async code. An executor that is dropped leaves its threads to themselves;
/// [`scope`](super::scope()) does not.
///
/// ```no_run
/// use greenroom::cloud::Executor;
/// use greenroom::{Error, cloud};
///
/// #[cloud]
/// fn square(number: u64) -> u64 {
///     number * number
/// }
///
/// # fn main() -> Result<(), Error> {
/// let executor = Executor::new();
/// let sum = executor.map((0..1_000).map(square::call)).in_flight(50).sum::<Result<u64, Error>>()?;
/// assert_eq!(sum, 332_833_500);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Executor {
    shared: Arc<Shared>,
    pub(super) settings: Builder,
}

/// What the clones of an executor share.
#[derive(Default)]
struct Shared {
    pool: Mutex<Pool>,
    /// Tells that a thread has ended, or the executor was closed.
    changed: Notify,
}

#[derive(Default)]
struct Pool {
    is_closed: bool,
    running: BTreeMap<ThreadId, Arc<Running>>,
}

impl Executor {
    /// An executor whose threads have the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// An executor whose threads have these settings.
    pub fn with(settings: Builder) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Begins a run at once. After [`close`](Self::close) it is not begun, and says so when it is joined.
    pub fn spawn<T, E: ReplyBody<T>>(&self, call: Call<T, E>) -> JoinHandle<T, E> {
        JoinHandle::new(self.begin(call))
    }

    fn begin<T, E: ReplyBody<T>>(&self, call: Call<T, E>) -> Arc<Running> {
        // Begun under the lock: `abort` cancels it, or it is not begun.
        let mut pool = self.shared.pool();
        if pool.is_closed {
            return Running::refused(call.function, "its executor is closed".to_owned());
        }
        let running = Running::begin(self.settings.clone(), call.function, call.arguments);
        pool.running.insert(running.thread(), Arc::clone(&running));
        drop(pool);
        let (shared, thread) = (Arc::clone(&self.shared), running.thread());
        running.when_ended(move |_| {
            shared.pool().running.remove(&thread);
            shared.changed.notify_waiters();
        });
        running
    }

    /// Runs each of these calls, a bounded number at once, and iterates over what they return, in their order or, by
    /// [`Map::unordered`], as it comes. They are begun as the iterator is asked for more: see [`Map`].
    pub fn map<T, E, I>(&self, calls: I) -> Map<I::IntoIter, T, E>
    where
        E: ReplyBody<T>,
        I: IntoIterator<Item = Call<T, E>>,
    {
        Map::new(self.clone(), calls.into_iter(), IN_FLIGHT)
    }

    /// Runs all of these calls at once, and returns what they return, in their order. If one fails the others are cancelled,
    /// and once all have ended the first failure is returned.
    ///
    /// # Errors
    /// That of the call that failed first; [`Error::Blocking`] on a thread that runs async tasks, where nothing is begun.
    pub fn join_all<T, E>(&self, calls: impl IntoIterator<Item = Call<T, E>>) -> Result<Vec<T>, Error<E>>
    where
        E: ReplyBody<T, Body: DeserializeOwned>,
    {
        check_may_block("join_all")?;
        pollster::block_on(self.join_all_async(calls))
    }

    /// The twin of [`join_all`](Self::join_all) for async code.
    ///
    /// # Errors
    /// As [`join_all`](Self::join_all).
    pub async fn join_all_async<T, E>(&self, calls: impl IntoIterator<Item = Call<T, E>>) -> Result<Vec<T>, Error<E>>
    where
        E: ReplyBody<T, Body: DeserializeOwned>,
    {
        let mut all = self.all_at_once(calls);
        let (mut returned, mut failed) = (BTreeMap::new(), None);
        while let Some((number, joined)) = all.next_numbered().await {
            match joined {
                Ok(value) => drop(returned.insert(number, value)),
                Err(error) if failed.is_none() => {
                    all.cancel();
                    failed = Some(error);
                }
                // It was cancelled, or it does not matter any more.
                Err(_) => {}
            }
        }
        failed.map_or_else(|| Ok(returned.into_values().collect()), Err)
    }

    /// Runs all of these calls at once, and returns what the first one returns that does not fail; the others are cancelled,
    /// and not waited for.
    ///
    /// # Errors
    /// If all fail, that of the last one; [`Error::Thread`] if there is none; [`Error::Blocking`] on a thread that runs async
    /// tasks, where nothing is begun.
    pub fn race<T, E>(&self, calls: impl IntoIterator<Item = Call<T, E>>) -> Result<T, Error<E>>
    where
        E: ReplyBody<T, Body: DeserializeOwned>,
    {
        check_may_block("race")?;
        pollster::block_on(self.race_async(calls))
    }

    /// The twin of [`race`](Self::race) for async code.
    ///
    /// # Errors
    /// As [`race`](Self::race).
    pub async fn race_async<T, E>(&self, calls: impl IntoIterator<Item = Call<T, E>>) -> Result<T, Error<E>>
    where
        E: ReplyBody<T, Body: DeserializeOwned>,
    {
        let failure = ThreadFailure::NotStarted { why: "there is none in the race".to_owned() };
        let mut last = Err(Error::Thread { thread: "none".to_owned(), failure });
        // What still runs when it is dropped is cancelled.
        let mut all = self.all_at_once(calls);
        while let Some((_, joined)) = all.next_numbered().await {
            last = joined;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    fn all_at_once<T, E, I>(&self, calls: I) -> Map<I::IntoIter, T, E>
    where
        E: ReplyBody<T>,
        I: IntoIterator<Item = Call<T, E>>,
    {
        let mut all = Map::new(self.clone(), calls.into_iter(), usize::MAX).ordered(Order::AsTheyCome);
        all.fill();
        all
    }

    /// A parallel `for`: `workers` threads share the numbers of `range`, as the schedule says, and each loops over its part.
    ///
    /// `worker` makes the call of one worker from its share, [`Indices`], which travels as an argument. What the worker's function
    /// does after its loop is done once a worker, such as to merge what it has summed up; what the functions return is returned,
    /// in the order of the workers. If one fails the others are cancelled.
    ///
    /// ```no_run
    /// use greenroom::cloud::{Executor, Indices, Schedule};
    /// use greenroom::{Counter, Error, cloud};
    ///
    /// #[cloud]
    /// fn sum_of_squares(indices: Indices) -> Result<(), Error> {
    ///     let mut sum = 0;
    ///     for index in indices {
    ///         sum += (index? as i64).pow(2);
    ///     }
    ///     // Once a worker: one call in place of one an index.
    ///     Counter::named("squares").add(sum)?;
    ///     Ok(())
    /// }
    ///
    /// # fn main() -> Result<(), Error> {
    /// Executor::new().for_each_index(0..1_000_000, Schedule::Guided { min: 100 }, 16, sum_of_squares::call)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`join_all`](Self::join_all)'s.
    pub fn for_each_index<T, E>(
        &self,
        range: Range<u64>,
        schedule: Schedule,
        workers: u32,
        worker: impl FnMut(Indices) -> Call<T, E>,
    ) -> Result<Vec<T>, Error<E>>
    where
        E: ReplyBody<T, Body: DeserializeOwned>,
    {
        self.join_all(Indices::shares(range, schedule, workers).map(worker))
    }

    /// The twin of [`for_each_index`](Self::for_each_index) for async code.
    ///
    /// # Errors
    /// As [`for_each_index`](Self::for_each_index).
    pub async fn for_each_index_async<T, E>(
        &self,
        range: Range<u64>,
        schedule: Schedule,
        workers: u32,
        worker: impl FnMut(Indices) -> Call<T, E>,
    ) -> Result<Vec<T>, Error<E>>
    where
        E: ReplyBody<T, Body: DeserializeOwned>,
    {
        self.join_all_async(Indices::shares(range, schedule, workers).map(worker)).await
    }

    /// How many of its threads have not ended.
    pub fn running(&self) -> usize {
        self.shared.pool().running.len()
    }

    /// Begins no more threads, and waits until those that run have ended.
    ///
    /// # Errors
    /// [`Error::Blocking`] on a thread that runs async tasks: no more threads are begun, but nothing was waited for.
    pub fn close(&self) -> Result<(), Error> {
        self.stop();
        check_may_block::<Erased>("close")?;
        pollster::block_on(self.closed());
        Ok(())
    }

    /// The twin of [`close`](Self::close) for async code.
    pub async fn close_async(&self) {
        self.stop();
        self.closed().await;
    }

    /// Begins no more threads, and cancels those that run; await [`closed`](Self::closed) to see them end.
    pub fn abort(&self) {
        let running = self.stop();
        running.iter().for_each(|running| running.cancel());
    }

    /// Waits until the executor was closed or aborted, and all of its threads have ended.
    pub async fn closed(&self) {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            // From here on nothing is missed.
            changed.as_mut().enable();
            if self.shared.pool().is_over() {
                return;
            }
            changed.await;
        }
    }

    /// Begins no more threads; returns those that run.
    fn stop(&self) -> Vec<Arc<Running>> {
        let mut pool = self.shared.pool();
        pool.is_closed = true;
        let running = pool.running.values().cloned().collect();
        drop(pool);
        self.shared.changed.notify_waiters();
        running
    }
}

impl Shared {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn is_over(&self) -> bool {
        self.is_closed && self.running.is_empty()
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("running", &self.running()).finish_non_exhaustive()
    }
}

/// # Errors
/// [`Error::Blocking`] on a thread that runs async tasks.
pub(super) fn check_may_block<E>(what: &str) -> Result<(), Error<E>> {
    match must_not_block() {
        true => Err(Error::Blocking { object: format!("Executor/{what}"), given_back: false }),
        false => Ok(()),
    }
}

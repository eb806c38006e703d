//! The processes of one function: which of them is idle, and which an invocation gets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::FunctionConfig;
use crate::instance::Instance;

/// The processes of one function.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) function: Arc<FunctionConfig>,
    /// The function's own limit, if it has one.
    pub(crate) permits: Option<Arc<Semaphore>>,
    state: Mutex<State>,
    idle_changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// All of them, in the order of their starts.
    instances: Vec<Arc<Instance>>,
    /// Those that wait for an event, and since when; the one used last is at the end.
    idle: Vec<(Instant, Arc<Instance>)>,
    n_finishing: usize,
    waiting: VecDeque<oneshot::Sender<Arc<Instance>>>,
    n_started: u64,
    /// How many of the next invocations are delivered twice.
    n_duplicates: u32,
}

/// Where an invocation looks for a process.
enum Found {
    Idle(Arc<Instance>),
    Soon(oneshot::Receiver<Arc<Instance>>),
    None,
}

impl Pool {
    /// No process yet.
    pub(crate) fn new(function: FunctionConfig) -> Self {
        let permits = function.concurrency_max.map(|n| Arc::new(Semaphore::new(n)));
        Self { function: Arc::new(function), permits, state: Mutex::default(), idle_changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All processes that have not ended.
    pub(crate) fn instances(&self) -> Vec<Arc<Instance>> {
        self.state().instances.clone()
    }

    /// A name for the next process.
    pub(crate) fn next_name(&self) -> String {
        let mut state = self.state();
        state.n_started += 1;
        format!("{}/{}", self.function.name, state.n_started)
    }

    /// A process has been started.
    pub(crate) fn add(&self, instance: Arc<Instance>) {
        self.state().instances.push(instance);
    }

    /// A process has ended.
    pub(crate) fn remove(&self, instance: &Arc<Instance>) {
        let mut state = self.state();
        state.instances.retain(|other| !Arc::ptr_eq(other, instance));
        state.idle.retain(|(_, other)| !Arc::ptr_eq(other, instance));
    }

    /// The process that was used last of those that wait, or one that will wait in a moment.
    pub(crate) async fn take(&self, finishing_wait: Duration) -> Option<Arc<Instance>> {
        let soon = match self.find() {
            Found::Idle(instance) => return Some(instance),
            Found::None => return None,
            Found::Soon(soon) => soon,
        };
        tokio::select! {
            // In this order, or a process that came at the last moment would be lost.
            biased;
            instance = soon => instance.ok(),
            () = sleep(finishing_wait) => None,
        }
    }

    fn find(&self) -> Found {
        let mut state = self.state();
        if let Some((_, instance)) = state.idle.pop() {
            return Found::Idle(instance);
        }
        state.waiting.retain(|waiter| !waiter.is_closed());
        if state.n_finishing <= state.waiting.len() {
            return Found::None;
        }
        let (sender, soon) = oneshot::channel();
        state.waiting.push_back(sender);
        Found::Soon(soon)
    }

    /// A process has answered, and will ask for its next event.
    pub(crate) fn begin_finishing(&self) {
        self.state().n_finishing += 1;
    }

    /// It has asked: an invocation that waits has it, or it rests.
    pub(crate) fn finish(&self, mut instance: Arc<Instance>) {
        let mut state = self.state();
        state.n_finishing -= 1;
        while let Some(waiter) = state.waiting.pop_front() {
            match waiter.send(instance) {
                Ok(()) => return,
                Err(back) => instance = back,
            }
        }
        instance.rest();
        state.idle.push((Instant::now(), instance));
        drop(state);
        self.idle_changed.notify_one();
    }

    /// It has ended instead: an invocation that waits for it need not wait any longer.
    pub(crate) fn finish_without(&self) {
        let mut state = self.state();
        state.n_finishing -= 1;
        state.waiting.pop_front();
    }

    /// Has the next invocation delivered twice.
    pub(crate) fn duplicate_next(&self) {
        self.state().n_duplicates += 1;
    }

    /// Whether this invocation is one that is to be delivered twice.
    pub(crate) fn take_duplicate(&self) -> bool {
        let mut state = self.state();
        let duplicate = state.n_duplicates > 0;
        state.n_duplicates = state.n_duplicates.saturating_sub(1);
        duplicate
    }

    /// Ends processes that have been idle for too long, for ever.
    pub(crate) async fn end_idle(&self, idle_timeout: Duration) {
        loop {
            let oldest = self.state().idle.first().map(|(since, _)| *since + idle_timeout);
            match oldest {
                Some(at) => sleep_until(at).await,
                None => self.idle_changed.notified().await,
            }
            let now = Instant::now();
            let mut state = self.state();
            let n_expired = state.idle.partition_point(|(since, _)| *since + idle_timeout <= now);
            for (_, instance) in state.idle.drain(..n_expired) {
                instance.kill();
            }
        }
    }
}

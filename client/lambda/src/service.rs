//! What all parts of a local Lambda share: the functions, the limits, what is drawn by chance, and the log.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot, watch};

use crate::completion::Outcome;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::faults::Fate;
use crate::pool::Pool;
use crate::process::Leash;

/// The source of lines that no process printed.
const OWN_LINES: &str = "lambda";

/// What all parts of a local Lambda share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) leash: Leash,
    pub(crate) pools: BTreeMap<String, Arc<Pool>>,
    /// Said whenever a process begins or ends something.
    pub(crate) changed: watch::Sender<()>,
    /// How many asynchronous events wait or run.
    pub(crate) n_events: AtomicUsize,
    /// Set before the processes are killed: none is started any more, and no event is tried again.
    pub(crate) is_stopping: AtomicBool,
    permits: Arc<Semaphore>,
    rng: Mutex<SmallRng>,
}

/// What an invocation holds of the limits while it runs.
#[derive(Debug)]
pub(crate) struct Permits {
    _of_function: Option<OwnedSemaphorePermit>,
    _of_account: OwnedSemaphorePermit,
}

/// Which limit an invocation would exceed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Throttled {
    Function,
    Account,
}

impl Service {
    /// The functions of these settings, none of which has a process yet.
    pub(crate) fn new(mut config: Config) -> Self {
        let functions = std::mem::take(&mut config.functions);
        let pools = functions.into_iter().map(|function| (function.name.clone(), Arc::new(Pool::new(function))));
        Self {
            leash: Leash::find(),
            pools: pools.collect(),
            changed: watch::Sender::new(()),
            n_events: AtomicUsize::new(0),
            is_stopping: AtomicBool::new(false),
            permits: Arc::new(Semaphore::new(config.concurrency_max)),
            rng: Mutex::new(SmallRng::seed_from_u64(config.seed)),
            config,
        }
    }

    /// Writes a line of its own into the log.
    pub(crate) fn say(&self, line: &str) {
        self.config.log.line(OWN_LINES, line);
    }

    /// Room for one more invocation, if there is.
    pub(crate) fn permits(&self, pool: &Pool) -> Result<Permits, Throttled> {
        let full = |throttled| move |_: TryAcquireError| throttled;
        let of_function = pool.permits.clone().map(Semaphore::try_acquire_owned).transpose();
        let of_function = of_function.map_err(full(Throttled::Function))?;
        let of_account = self.permits.clone().try_acquire_owned().map_err(full(Throttled::Account))?;
        Ok(Permits { _of_function: of_function, _of_account: of_account })
    }

    /// Room for one more invocation, when there is.
    pub(crate) async fn permits_in_turn(&self, pool: &Pool) -> Permits {
        const OPEN: &str = "the limits are never closed";
        let of_function = match &pool.permits {
            Some(permits) => Some(permits.clone().acquire_owned().await.expect(OPEN)),
            None => None,
        };
        let of_account = self.permits.clone().acquire_owned().await.expect(OPEN);
        Permits { _of_function: of_function, _of_account: of_account }
    }

    /// Runs an invocation to its end, whether or not anybody waits for it; says how it ended.
    pub(crate) fn begin(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        delivery: &Arc<Delivery>,
        permits: Permits,
    ) -> oneshot::Receiver<Outcome> {
        let mut fate = self.config.faults.fate(&mut self.rng());
        fate.duplicate |= pool.take_duplicate();
        let outcome = self.run(pool, delivery, Some(permits), fate);
        if fate.duplicate {
            self.say(&format!("{} is delivered twice", delivery.request_id));
            // Nobody takes the outcome of the second delivery.
            drop(self.run(pool, delivery, None, Fate { duplicate: false, freeze: None, kill: None }));
        }
        outcome
    }

    fn run(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        delivery: &Arc<Delivery>,
        permits: Option<Permits>,
        fate: Fate,
    ) -> oneshot::Receiver<Outcome> {
        let (tell, outcome) = oneshot::channel();
        let (service, pool, delivery) = (self.clone(), pool.clone(), delivery.clone());
        tokio::spawn(async move { service.carry_out(&pool, &delivery, permits, fate, tell).await });
        outcome
    }

    /// Draws how long the start of a process is held up.
    pub(crate) fn start_delay(&self) -> Duration {
        let mut rng = self.rng();
        let cold = self.config.cold_start;
        cold.fixed + cold.jitter.mul_f64(rng.random()) + self.config.faults.start_delay(&mut rng)
    }

    fn rng(&self) -> MutexGuard<'_, SmallRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

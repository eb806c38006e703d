//! Asynchronous events: accepted at once, tried again when they fail, and written to a file in the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::sleep;

use crate::completion::{Outcome, Verdict};
use crate::dead_letter;
use crate::delivery::Delivery;
use crate::pool::Pool;
use crate::service::Service;

/// As many events wait or run as may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueFull;

impl Service {
    /// Accepts an event. It waits for room under the limits, before each of its tries.
    pub(crate) fn enqueue(self: &Arc<Self>, pool: &Arc<Pool>, delivery: Delivery) -> Result<(), QueueFull> {
        if self.n_events.load(Ordering::Relaxed) >= self.config.event_queue_max {
            return Err(QueueFull);
        }
        self.n_events.fetch_add(1, Ordering::Relaxed);
        let (service, pool) = (self.clone(), pool.clone());
        tokio::spawn(async move {
            service.try_event(&pool, &Arc::new(delivery)).await;
            service.n_events.fetch_sub(1, Ordering::Relaxed);
            service.changed.send_replace(());
        });
        Ok(())
    }

    async fn try_event(self: &Arc<Self>, pool: &Arc<Pool>, delivery: &Arc<Delivery>) {
        let delays = &self.config.retry_delays;
        for n_tries in 1.. {
            let permits = self.permits_in_turn(pool).await;
            let Ok(outcome) = self.begin(pool, delivery, permits).await else { return };
            if outcome.verdict == Verdict::Succeeded || self.is_stopping.load(Ordering::Relaxed) {
                return;
            }
            match delays.get(n_tries - 1) {
                Some(&delay) => sleep(delay).await,
                None => return self.bury(delivery, n_tries, &outcome),
            }
        }
    }

    fn bury(&self, delivery: &Delivery, n_tries: usize, outcome: &Outcome) {
        self.say(&format!("{} is given up after {n_tries} tries", delivery.request_id));
        let Some(file) = &self.config.dead_letters else { return };
        if let Err(error) = dead_letter::append(file, delivery, n_tries, outcome) {
            self.say(&format!("cannot write to {}: {error}", file.display()));
        }
    }
}

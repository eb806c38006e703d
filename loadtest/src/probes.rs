//! Probes: one object on each slot, called all the time, to see for how long there was no service.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use greenroom::{Client, Counter, Object as _};
use greenroom_actors::objects::CounterObject;
use greenroom_actors::{SlotId, SlotTable, hash_object};
use tokio::task::JoinHandle;

/// The shortest time without an answer that is kept.
const KEPT_FROM: Duration = Duration::from_millis(10);

/// A time in which a probe asked and had no answer.
#[derive(Clone, Copy, Debug)]
struct Silence {
    slot: SlotId,
    from: Instant,
    until: Instant,
}

#[derive(Debug)]
struct Seen {
    silences: Mutex<Vec<Silence>>,
    /// Since when each probe waits, if it does.
    waiting: Vec<Mutex<Option<Instant>>>,
    stop: AtomicBool,
}

/// Probes that run.
#[derive(Debug)]
pub(crate) struct Probes {
    seen: Arc<Seen>,
    tasks: Vec<JoinHandle<()>>,
    pause: Duration,
}

impl Probes {
    /// Starts a probe on each slot, which asks again after `pause`.
    pub(crate) fn start(client: &Client, table: &SlotTable, pause: Duration) -> Self {
        Self::start_some(client, table, pause, 1)
    }

    /// [`start`](Self::start), on one of so many slots.
    pub(crate) fn start_some(client: &Client, table: &SlotTable, pause: Duration, one_of: usize) -> Self {
        let seen = Arc::new(Seen {
            silences: Mutex::default(),
            waiting: table.slots.iter().map(|_| Mutex::default()).collect(),
            stop: AtomicBool::new(false),
        });
        let keys = one_on_each(client, table).into_iter().enumerate().step_by(one_of);
        let tasks = keys.map(|(slot, key)| {
            let counter = client.object(Counter::named(key));
            tokio::spawn(probe(Arc::clone(&seen), slot, counter, pause))
        });
        Self { tasks: tasks.collect(), seen, pause }
    }

    /// The longest time, from `since` at the earliest, for which one of those slots did not answer.
    pub(crate) fn longest_silence(&self, since: Instant, slots: impl Fn(SlotId) -> bool) -> Duration {
        let silences = self.seen.silences.lock().unwrap_or_else(PoisonError::into_inner);
        let over = silences.iter().copied().filter(|silence| silence.until > since && slots(silence.slot));
        let longest = over.map(|silence| silence.until - silence.from.max(since)).max().unwrap_or_default();
        let waiting = (0..).map(SlotId).zip(&self.seen.waiting).filter(|(slot, _)| slots(*slot));
        let now = Instant::now();
        let still = waiting.filter_map(|(_, since)| *since.lock().unwrap_or_else(PoisonError::into_inner));
        still.map(|from| now - from.max(since)).max().unwrap_or_default().max(longest)
    }

    /// Waits until no probe of those slots waits that was waiting at `since` or began within a pause after it.
    pub(crate) async fn all_answer(&self, since: Instant, patience: Duration, slots: impl Fn(SlotId) -> bool) {
        let deadline = since + patience;
        // By then each has asked.
        tokio::time::sleep_until((since + self.pause * 2).into()).await;
        let began_by = since + self.pause * 2;
        let waits = |(slot, waiting): (SlotId, &Mutex<Option<Instant>>)| {
            let from = *waiting.lock().unwrap_or_else(PoisonError::into_inner);
            slots(slot) && from.is_some_and(|from| from <= began_by)
        };
        while (0..).map(SlotId).zip(&self.seen.waiting).any(waits) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends them; they are in the middle of nothing then.
    pub(crate) async fn stop(self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            // A probe that panicked asks no more; its silence has shown.
            let _ = task.await;
        }
    }
}

async fn probe(seen: Arc<Seen>, slot: usize, counter: Counter, pause: Duration) {
    let mut number = 0_u64;
    while !seen.stop.load(Ordering::Relaxed) {
        let from = Instant::now();
        *seen.waiting[slot].lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
        // Reads and writes in turn; an error is no answer.
        while !seen.stop.load(Ordering::Relaxed) {
            let answered =
                if number.is_multiple_of(2) { counter.add_async(1).await } else { counter.get_async().await };
            if answered.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        number += 1;
        let until = Instant::now();
        if until - from >= KEPT_FROM
            && let Ok(slot) = u16::try_from(slot)
        {
            let silence = Silence { slot: SlotId(slot), from, until };
            seen.silences.lock().unwrap_or_else(PoisonError::into_inner).push(silence);
        }
        *seen.waiting[slot].lock().unwrap_or_else(PoisonError::into_inner) = None;
        tokio::time::sleep(pause).await;
    }
}

/// A key of a counter for each slot, in the order of the slots.
pub(crate) fn one_on_each(client: &Client, table: &SlotTable) -> Vec<String> {
    let mut keys: Vec<Option<String>> = vec![None; table.slots.len()];
    let mut missing = keys.len();
    for number in 0_u64.. {
        let key = format!("probe {number}");
        let slot = table.slot_of(hash_object(client.job(), CounterObject::NAME, &key));
        let place = &mut keys[usize::from(slot.0)];
        if place.is_none() {
            *place = Some(key);
            missing -= 1;
        }
        if missing == 0 {
            break;
        }
    }
    keys.into_iter().flatten().collect()
}

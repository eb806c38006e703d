//! The end of an attempt, told to the nodes: what it holds is released, and what it says later is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_actors::wire::{AttemptEnd, Request, parts};
use greenroom_actors::{Lane, Sequence, SessionId, SlotId, SlotPlace, ThreadId};
#[cfg(feature = "lambda")]
use greenroom_actors::{RawHandle, hash_object, slot_of};
use tokio::sync::oneshot;

use super::attempt::Attempt;
use crate::client::{Client, Shared};
use crate::pending::{Event, NotSent};
use crate::time::{BACKOFF_FIRST, BACKOFF_MAX, jitter};

/// How long one node is given to confirm an end, before it is looked for another one.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl Attempt {
    /// Ends the attempt on the nodes: once this returns `Ok`, it holds nothing any more, and its later calls are refused.
    ///
    /// What it has sent without waiting, such as the changes of guards that were dropped, arrives before that. An attempt
    /// that has called nothing ends without a word.
    ///
    /// # Errors
    /// When a node cannot be reached for the client's patience: then what it holds there is released after its deadline, or
    /// with the session of its process.
    pub(crate) async fn end(&self) -> Result<(), String> {
        self.end_in_order(None).await
    }

    /// Ends the attempt as [`end`](Self::end) does, where that object is after everywhere else.
    ///
    /// # Errors
    /// As [`end`](Self::end).
    #[cfg(feature = "lambda")]
    pub(crate) async fn end_last_at(&self, object: &RawHandle) -> Result<(), String> {
        let Some(shared) = self.client() else { return Ok(()) };
        let n_slots = shared.directory.table_size().unwrap_or(1);
        let job = self.job().unwrap_or_else(|| shared.job());
        self.end_in_order(Some(slot_of(hash_object(job, object.object_type().name, object.key()), n_slots))).await
    }

    async fn end_in_order(&self, last: Option<SlotId>) -> Result<(), String> {
        let Some(shared) = self.client() else { return Ok(()) };
        let ended = self.end_at_used(&shared, last).await;
        // It may be known for long to whoever has its handle: nodes need not be told that it is run still.
        shared.forget_attempt(self.session());
        ended
    }

    async fn end_at_used(&self, shared: &Arc<Shared>, last: Option<SlotId>) -> Result<(), String> {
        let (last, first) = self.used().into_iter().partition::<Vec<_>, _>(|slot| Some(*slot) == last);
        if first.is_empty() && last.is_empty() {
            return Ok(());
        }
        let patience = shared.settings.patience;
        tokio::select! {
            () = self.casts_over() => {}
            _ = shared.pause(patience) => {}
        }
        let end = AttemptEnd { session: self.session(), ends_ms: self.ends_ms(), fence: false };
        let ended = end_at(shared, first, end).await;
        end_at(shared, last, end).await.and(ended)
    }

    /// Ends an attempt from outside, at every slot: none of its calls is applied from then on, wherever it runs.
    ///
    /// # Errors
    /// When a node cannot be reached for the client's patience: then its calls may still be applied there, until its deadline.
    #[cfg_attr(
        not(any(test, feature = "lambda")),
        expect(dead_code, reason = "for attempts that run elsewhere; those of this process end themselves")
    )]
    pub(crate) async fn fence(
        client: &Client,
        thread: ThreadId,
        attempt: u8,
        ends_ms: Option<u64>,
    ) -> Result<(), String> {
        let shared = client.shared();
        let table = shared.table().await?;
        // What is lost has forgotten what the attempt held.
        let is_there = |slot: &SlotId| table.place(*slot).is_some_and(|place| !SlotPlace::is_lost(place));
        let slots = (0..).map(SlotId).take(table.slots.len()).filter(is_there).collect();
        end_at(shared, slots, AttemptEnd { session: SessionId::of_attempt(thread, attempt), ends_ms, fence: true })
            .await
    }
}

/// Ends an attempt at those slots, all side by side.
async fn end_at(shared: &Arc<Shared>, slots: Vec<SlotId>, end: AttemptEnd) -> Result<(), String> {
    let mut ends = Vec::with_capacity(slots.len());
    for slot in slots {
        let (tell, told) = oneshot::channel();
        let client = Arc::clone(shared);
        shared.spawn(async move {
            // Whoever asked may have gone.
            let _ = tell.send(end_at_slot(&client, slot, end).await);
        });
        ends.push(told);
    }
    let mut ended = Ok(());
    for told in ends {
        let told = told.await.unwrap_or_else(|_| Err("the client is shutting down".to_owned()));
        ended = ended.and(told);
    }
    ended
}

async fn end_at_slot(shared: &Arc<Shared>, slot: SlotId, end: AttemptEnd) -> Result<(), String> {
    let (lane, sequence) = shared.take_lane(slot);
    let give_up = Instant::now() + shared.settings.patience;
    let mut backoff = BACKOFF_FIRST;
    loop {
        let why = match tell(shared, slot, (lane, sequence), end).await {
            Ok(()) => {
                shared.give_back(slot, lane, sequence);
                return Ok(());
            }
            Err(why) => why,
        };
        if Instant::now() + backoff >= give_up || !shared.pause(jitter(backoff)).await {
            return Err(why);
        }
        if shared.directory.table().is_some_and(|table| !table.fixed) {
            shared.refresh().await;
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Tells whoever serves the slot, and waits for the confirmation.
async fn tell(
    shared: &Arc<Shared>,
    slot: SlotId,
    (lane, sequence): (Lane, Sequence),
    end: AttemptEnd,
) -> Result<(), String> {
    let route = shared.directory.ensure_route(slot).await?;
    route.connection.ensure_open(shared).await?;
    let request = Request {
        flags: parts::END,
        lane,
        sequence,
        slot,
        epoch: route.epoch,
        session: Some(shared.session()),
        arguments: end.encode(),
        ..Request::default()
    };
    let told = match route.connection.send(shared, request, Some(Instant::now() + ANSWER_WITHIN)) {
        Ok(told) => told,
        Err(NotSent::Opening(_)) => return Err("the stream is closing".to_owned()),
        Err(NotSent::Gone(why)) => {
            let target = route.connection.target();
            shared.directory.forget(target.node, target.incarnation);
            return Err(why);
        }
        Err(NotSent::TooLarge { .. }) => return Err("the node takes only small frames".to_owned()),
    };
    match told.await {
        Ok(Event::Answered(Ok(_))) => Ok(()),
        Ok(Event::Answered(Err(fault))) => Err(format!("the node refuses to end the attempt: {fault:?}")),
        Ok(Event::Broken(why) | Event::Gone(why)) => Err(why),
        Ok(Event::Expired) => Err(format!("{} does not answer", route.connection.target().address)),
        Err(_) => Err("the client is shutting down".to_owned()),
    }
}

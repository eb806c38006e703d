//! The life of a call on the client's side: one id, as many tries as its deadline allows, one outcome.

mod answers;
mod requests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use greenroom_actors::{
    CallId, Epoch, Error, JobId, NodeId, OutgoingCall, Refusal, SessionId, SlotId, SlotPlace, TableVersion, check_key,
    hash_object, slot_of,
};
use tokio::sync::oneshot;

use crate::client::Shared;
use crate::cloud::attempt::Attempt;
use crate::connection::Connection;
use crate::directory::Route;
use crate::pending::{Event, NotSent};
use crate::time::{BACKOFF_FIRST, BACKOFF_MAX, Effort, clock_ms, jitter, left, millis, time_for_word, time_to_reach};

/// A reply above this size is acknowledged at once, so that the node need not keep it.
const ACK_ABOVE_BYTES: usize = 1024;

/// Makes a call, until it is answered or its time is over.
///
/// The usual way (sent at once, answered at once) needs little memory; everything else is in a box of its own.
pub(crate) async fn make_call(shared: Arc<Shared>, outgoing: OutgoingCall, effort: Effort) -> Result<Bytes, Error> {
    if let Err(error) = check_key(outgoing.key.as_str()) {
        return Err(outgoing.refused(error.into()));
    }
    if shared.has_lost_job(outgoing.job) {
        return Err(Error::ObjectLost { object: outgoing.object() });
    }
    let Some(attempt) = Attempt::current_of(&shared) else { return go(shared, outgoing, effort, None).await };
    // What it gives back is taken back anyway.
    if effort == Effort::Cast {
        return go(shared, outgoing, effort, Some(attempt)).await;
    }
    let cancelled = || Error::Cancelled { object: outgoing.object() };
    if attempt.refuses_calls() {
        return Err(cancelled());
    }
    if !outgoing.parks {
        return go(shared, outgoing, effort, Some(attempt)).await;
    }
    tokio::select! {
        biased;
        () = attempt.cancelled() => Err(cancelled()),
        made = go(shared, outgoing.clone(), effort, Some(Arc::clone(&attempt))) => made,
    }
}

async fn go(
    shared: Arc<Shared>,
    outgoing: OutgoingCall,
    effort: Effort,
    attempt: Option<Arc<Attempt>>,
) -> Result<Bytes, Error> {
    let started = Instant::now();
    let table = match shared.directory.table_size() {
        Some(n_slots) => n_slots,
        None => Box::pin(ensure_table(&shared, &outgoing, started)).await?,
    };
    let mut call = Call::new(shared, outgoing, effort, attempt, (table, started));
    let next = match call.start() {
        Some(event) => match call.outcome(event.await) {
            Ok(body) => {
                call.end();
                return Ok(body);
            }
            Err(next) => Some(next),
        },
        None => None,
    };
    Box::pin(call.run(next)).await
}

/// Asks for the slot table for as long as the call may take; returns the number of slots.
async fn ensure_table(shared: &Arc<Shared>, outgoing: &OutgoingCall, started: Instant) -> Result<usize, Error> {
    let limit = outgoing.timeout.unwrap_or(shared.settings.timeout);
    let deadline = started.checked_add(time_to_reach(limit, outgoing.parks));
    let mut backoff = BACKOFF_FIRST;
    loop {
        let asked = tokio::select! {
            table = shared.table() => table,
            _ = shared.pause(left(deadline)) => Err(shared.directory.silence()),
        };
        let why = match asked {
            Ok(table) => return Ok(table.slots.len()),
            Err(why) => why,
        };
        if left(deadline) <= backoff || !shared.pause(jitter(backoff)).await {
            return Err(Error::NotSent { object: outgoing.object(), why });
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// A call under way.
struct Call {
    id: CallId,
    /// The attempt of a cloud thread that makes it.
    attempt: Option<Arc<Attempt>>,
    shared: Arc<Shared>,
    outgoing: OutgoingCall,
    effort: Effort,
    job: JobId,
    slot: SlotId,
    /// Until when the node has to be reached.
    deadline: Option<Instant>,
    /// Until when the call may take there, or wait if it is one that waits.
    deadline_ms: Option<u64>,
    /// Whether the node has asked for the constructor's arguments.
    with_arguments: bool,
    /// Whether the call has been sent before, and that try was not simply refused.
    sent: bool,
    /// Whether the call may have been applied without an answer.
    in_doubt: bool,
    /// The connection on which it was sent last, until its outcome is known.
    out: Option<Arc<Connection>>,
    /// The generation of the slot's data at the first try.
    generation: Option<u32>,
    /// Who served the slot when the call was tried last, and in which epoch.
    tried: Option<(NodeId, Epoch)>,
}

/// What to do after a try.
enum Next {
    /// Answered: the lane is free.
    Return(Result<Bytes, Error>),
    /// Nobody knows what became of the call: its lane is never used again.
    Lost(Error),
    /// Try again after a pause.
    Again(String),
    AgainAtOnce,
}

impl Call {
    fn new(
        shared: Arc<Shared>,
        outgoing: OutgoingCall,
        effort: Effort,
        attempt: Option<Arc<Attempt>>,
        (n_slots, started): (usize, Instant),
    ) -> Self {
        let has_limit = effort == Effort::Call && !outgoing.parks;
        let limit = outgoing.timeout.or_else(|| has_limit.then_some(shared.settings.timeout));
        let of_attempt = attempt.as_ref().and_then(|attempt| attempt.job());
        let job = outgoing.job.or(of_attempt).unwrap_or_else(|| shared.job());
        let hash = hash_object(job, outgoing.object_type.name, outgoing.key.as_str());
        let slot = slot_of(hash, n_slots);
        let (session, (lane, sequence)) = match &attempt {
            Some(attempt) => (attempt.session(), shared.take_lane_of(attempt, slot)),
            None => (shared.session(), shared.take_lane(slot)),
        };
        let deadline = limit.and_then(|limit| started.checked_add(time_to_reach(limit, outgoing.parks)));
        Self {
            id: CallId { session, lane, sequence },
            attempt,
            job,
            slot,
            deadline,
            // A time that no clock reaches is no limit.
            deadline_ms: limit.filter(|_| deadline.is_some()).map(|limit| clock_ms().saturating_add(millis(limit))),
            with_arguments: false,
            sent: false,
            in_doubt: false,
            out: None,
            generation: None,
            tried: None,
            shared,
            outgoing,
            effort,
        }
    }

    /// The call has been answered: its lane is free.
    fn end(&self) {
        match &self.attempt {
            Some(attempt) => attempt.give_back(self.slot, self.id.lane, self.id.sequence),
            None => self.shared.give_back(self.slot, self.id.lane, self.id.sequence),
        }
    }

    /// Goes on with a call that was not answered at once.
    async fn run(mut self, first: Option<Next>) -> Result<Bytes, Error> {
        let mut next = first;
        let mut backoff = BACKOFF_FIRST;
        let mut trouble_since: Option<Instant> = None;
        loop {
            let why = match next.take() {
                Some(Next::Return(result)) => {
                    self.out = None;
                    self.end();
                    return result;
                }
                Some(Next::Lost(error)) => {
                    self.out = None;
                    return Err(error);
                }
                Some(Next::AgainAtOnce) | None => {
                    let began = Instant::now();
                    next = Some(self.attempt().await);
                    if began.elapsed() >= self.shared.settings.patience {
                        // It was parked all that time: an earlier trouble is over.
                        (trouble_since, backoff) = (None, BACKOFF_FIRST);
                    }
                    continue;
                }
                Some(Next::Again(why)) => why,
            };
            let since = *trouble_since.get_or_insert_with(Instant::now);
            let end = match self.effort {
                Effort::Call => self.deadline.or_else(|| since.checked_add(self.shared.settings.patience)),
                Effort::Cast => None,
            };
            let pause = jitter(backoff);
            let is_over = end.is_some_and(|end| Instant::now() + pause >= end);
            if is_over || !self.rest(pause).await {
                if self.out.is_none() {
                    // It was never accepted anywhere: the lane is free.
                    self.end();
                }
                self.abandon();
                return Err(self.give_up(why));
            }
            backoff = if self.is_placed_otherwise() { BACKOFF_FIRST } else { (backoff * 2).min(BACKOFF_MAX) };
        }
    }

    /// Sends the call if that can be done at once.
    fn start(&mut self) -> Option<oneshot::Receiver<Event>> {
        self.tried = self.shared.directory.place(self.slot);
        let route = self.shared.directory.route(self.slot)?;
        self.send(&route).ok()
    }

    fn send(&mut self, route: &Route) -> Result<oneshot::Receiver<Event>, NotSent> {
        let more = time_for_word(self.outgoing.timeout, self.outgoing.parks);
        let expires = self.deadline.and_then(|deadline| deadline.checked_add(more));
        let event = route.connection.send(&self.shared, self.request(route), expires)?;
        self.generation.get_or_insert(route.generation);
        self.sent = true;
        self.out = Some(Arc::clone(&route.connection));
        Ok(event)
    }

    async fn attempt(&mut self) -> Next {
        if self.in_doubt && !self.is_fixed() {
            self.shared.check_frozen();
        }
        let session = self.session();
        if self.attempt.as_ref().is_some_and(|attempt| attempt.is_over(&self.shared)) {
            return match self.in_doubt {
                true => Next::Lost(self.unknown("the attempt has ended with its process's session".to_owned())),
                false => Next::Return(Err(self.outgoing.refused(Refusal::AttemptEnded))),
            };
        }
        if !self.in_doubt && self.shared.has_lost_job(Some(self.job)) {
            return Next::Return(Err(Error::ObjectLost { object: self.outgoing.object() }));
        }
        if self.id.session != session && self.effort == Effort::Cast {
            return Next::Lost(self.unknown("what it gives back has ended with its session".to_owned()));
        }
        if !self.in_doubt && self.id.session != session {
            // Another id, which no node has seen.
            (self.id.session, self.sent) = (session, false);
        }
        let tried = self.shared.directory.version();
        self.tried = self.shared.directory.place(self.slot);
        let route = match self.shared.directory.route(self.slot) {
            Some(route) => route,
            None if self.is_lost().await => {
                return match self.in_doubt {
                    true => Next::Lost(self.unknown("all nodes that had the object are gone".to_owned())),
                    false => Next::Return(Err(self.outgoing.refused(Refusal::DataLost))),
                };
            }
            None => match self.within(self.shared.directory.ensure_route(self.slot)).await {
                Some(Ok(route)) => route,
                Some(Err(why)) => return self.look_around(why, tried).await,
                None => return Next::Again("the node does not answer".to_owned()),
            },
        };
        if self.in_doubt && self.generation.is_some_and(|generation| generation != route.generation) {
            return Next::Lost(self.unknown("all nodes that had the object are gone".to_owned()));
        }
        let moved = self.out.as_ref().is_some_and(|out| {
            out.target().node == route.connection.target().node
                && out.target().incarnation != route.connection.target().incarnation
        });
        if self.in_doubt && moved {
            let why = "the node was started anew, and what only it held is gone".to_owned();
            return Next::Lost(self.unknown(why));
        }
        match self.send(&route) {
            Ok(event) => {
                let event = event.await;
                self.outcome(event).map_or_else(|next| next, |body| Next::Return(Ok(body)))
            }
            Err(NotSent::Opening(told)) => match self.within(told).await {
                Some(Ok(Ok(()))) => Next::AgainAtOnce,
                Some(Ok(Err(why))) => self.look_around(why, tried).await,
                Some(Err(_)) => Next::Again("the client is shutting down".to_owned()),
                None => Next::Again(format!("{} does not answer", route.connection.target().address)),
            },
            Err(NotSent::Gone(why)) => {
                self.forget(&route.connection);
                if self.in_doubt && self.is_fixed() {
                    return Next::Lost(self.unknown(why));
                }
                self.look_around(why, tried).await
            }
            Err(NotSent::TooLarge { bytes, bytes_max }) => {
                let refusal = Refusal::TooLarge { bytes: bytes as u64, bytes_max: bytes_max as u64 };
                Next::Return(Err(self.outgoing.refused(refusal)))
            }
        }
    }

    /// Whether the cluster's members never change, so that a process that is gone took with it what it held.
    fn is_fixed(&self) -> bool {
        self.shared.directory.table().is_none_or(|table| table.fixed)
    }

    /// Whether all copies of the slot are gone, by the newest table that is to be had.
    async fn is_lost(&self) -> bool {
        let directory = &self.shared.directory;
        let is_lost = || directory.table().and_then(|table| table.place(self.slot).map(SlotPlace::is_lost));
        if is_lost() == Some(true) {
            // An operator may have accepted the loss since.
            let _ = self.within(self.shared.refresh()).await;
        }
        is_lost() == Some(true)
    }

    /// Whether the slot is served by another node, or in another epoch, than when the call was tried last.
    fn is_placed_otherwise(&self) -> bool {
        self.shared.directory.place(self.slot) != self.tried
    }

    /// Waits before the next try, at most until the slot is served otherwise; not if the runtime shuts down, then `false`.
    async fn rest(&self, pause: Duration) -> bool {
        let mut versions = self.shared.directory.versions();
        let mut pause = std::pin::pin!(self.shared.pause(pause));
        while !self.is_placed_otherwise() {
            tokio::select! {
                rested = &mut pause => return rested,
                // The sender lives as long as this call's client.
                _ = versions.changed() => {}
            }
        }
        true
    }

    /// The node that should serve the slot cannot be reached: others may know who does now.
    async fn look_around(&self, why: String, tried: Option<TableVersion>) -> Next {
        if self.shared.directory.version() != tried {
            // Somebody has found out meanwhile.
            return Next::AgainAtOnce;
        }
        if !self.is_fixed() {
            let _ = self.within(self.shared.refresh()).await;
        }
        Next::Again(why)
    }

    /// What `wait` brings, if that is before the call's time is over.
    async fn within<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        let left = self.deadline.map_or(self.shared.settings.patience, |_| left(self.deadline));
        tokio::select! {
            outcome = wait => Some(outcome),
            _ = self.shared.pause(left) => None,
        }
    }

    /// The session in which the call would be made now.
    fn session(&self) -> SessionId {
        self.attempt.as_ref().map_or_else(|| self.shared.session(), |attempt| attempt.session())
    }
}

//! The life of a call on the client's side: one id, as many tries as its deadline allows, one outcome.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use greenroom_actors::wire::{Request, parts};
use greenroom_actors::{
    CallId, Erased, Error, Fault, JobId, OutgoingCall, Refusal, SlotId, check_key,
    hash_object,
};

use crate::client::Shared;
use crate::connection::{Connection, Event, NotSent};
use crate::directory::Route;

/// The first pause after a failed try; it doubles up to the longest one, and each is drawn at random around its length.
const BACKOFF_FIRST: Duration = Duration::from_millis(2);
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// How much longer than a parked call's deadline its caller waits for the node's own word on it.
const WORD_OF_NODE: Duration = Duration::from_secs(2);

/// Makes a call, until it is answered or its time is over.
pub(crate) async fn make_call(shared: Arc<Shared>, outgoing: OutgoingCall) -> Result<Bytes, Error> {
    if let Err(error) = check_key(outgoing.key.as_str()) {
        return Err(refused(&outgoing, error.into()));
    }
    let started = Instant::now();
    let limit = outgoing.timeout.or_else(|| (!outgoing.parks).then_some(shared.settings.timeout));
    let patience = limit.unwrap_or(shared.settings.patience);
    let table = match shared.directory.table() {
        Some(table) => table,
        None => ensure_table(&shared, &outgoing, started + patience).await?,
    };
    let job = outgoing.job.unwrap_or(shared.job());
    let hash = hash_object(job, outgoing.object_type.name, outgoing.key.as_str());
    let slot = table.slot_of(hash);
    let (lane, sequence) = shared.take_lane(slot);
    let call = Call {
        id: CallId { session: shared.session(), lane, sequence },
        shared,
        outgoing,
        job,
        slot,
        deadline: limit.map(|limit| started + limit),
        deadline_ms: limit.map(|limit| clock_ms().saturating_add(millis(limit))),
        patience,
        with_arguments: false,
        sent: false,
        out: None,
    };
    call.run().await
}

async fn ensure_table(
    shared: &Arc<Shared>,
    outgoing: &OutgoingCall,
    deadline: Instant,
) -> Result<Arc<greenroom_actors::SlotTable>, Error> {
    let mut backoff = BACKOFF_FIRST;
    loop {
        match shared.table().await {
            Ok(table) => return Ok(table),
            Err(why) if Instant::now() + backoff >= deadline => {
                return Err(Error::NotSent { object: outgoing.object(), why });
            }
            Err(_) => {}
        }
        shared.pause(jitter(backoff)).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// A call under way.
struct Call {
    id: CallId,
    shared: Arc<Shared>,
    outgoing: OutgoingCall,
    job: JobId,
    slot: SlotId,
    deadline: Option<Instant>,
    deadline_ms: Option<u64>,
    patience: Duration,
    /// Whether the node has asked for the constructor's arguments.
    with_arguments: bool,
    /// Whether the call may have reached a node.
    sent: bool,
    /// The connection on which its answer is awaited.
    out: Option<Arc<Connection>>,
}

/// What to do after a try.
enum Next {
    Return(Result<Bytes, Error>),
    Again(String),
    AgainAtOnce,
}

impl Call {
    async fn run(mut self) -> Result<Bytes, Error> {
        let mut backoff = BACKOFF_FIRST;
        let mut trouble_since: Option<Instant> = None;
        loop {
            let why = match self.attempt().await {
                Next::Return(result) => {
                    self.shared.give_back(self.slot, self.id.lane, self.id.sequence);
                    return result;
                }
                Next::AgainAtOnce => continue,
                Next::Again(why) => why,
            };
            let since = *trouble_since.get_or_insert_with(Instant::now);
            let end = self.deadline.unwrap_or(since + self.patience);
            let pause = jitter(backoff);
            if Instant::now() + pause >= end {
                return Err(self.give_up(why));
            }
            self.shared.pause(pause).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn attempt(&mut self) -> Next {
        let route = match self.shared.directory.route(self.slot) {
            Some(route) => route,
            None => match self.shared.directory.ensure_route(self.slot).await {
                Ok(route) => route,
                Err(why) => return Next::Again(why),
            },
        };
        let expires = self.deadline.map(|deadline| if self.outgoing.parks { deadline + WORD_OF_NODE } else { deadline });
        let sent = route.connection.send(&self.shared, self.request(&route), expires);
        match sent {
            Ok(event) => {
                self.sent = true;
                self.out = Some(Arc::clone(&route.connection));
                let event = event.await.unwrap_or(Event::Broken("the client is shutting down".to_owned()));
                self.out = None;
                self.judge(event, &route)
            }
            Err(NotSent::Opening(told)) => match told.await {
                Ok(Ok(())) => Next::AgainAtOnce,
                Ok(Err(why)) => Next::Again(why),
                Err(_) => Next::Again("the client is shutting down".to_owned()),
            },
            Err(NotSent::Gone(why)) => {
                self.forget(&route);
                if self.sent && !self.outgoing.read { Next::Return(Err(self.unknown(why))) } else { Next::Again(why) }
            }
            Err(NotSent::TooLarge { bytes, bytes_max }) => {
                let refusal = Refusal::TooLarge { bytes: bytes as u64, bytes_max: bytes_max as u64 };
                Next::Return(Err(refused(&self.outgoing, refusal)))
            }
        }
    }

    fn judge(&mut self, event: Event, route: &Route) -> Next {
        match event {
            Event::Answered(Ok(body)) => Next::Return(Ok(body)),
            Event::Answered(Err(Fault::Refused(refusal))) => self.judge_refusal(refusal),
            Event::Answered(Err(fault)) => Next::Return(Err(fault.into_error(self.outgoing.object(), self.id))),
            Event::Broken(why) if self.id.session == self.shared.session() || self.outgoing.read => Next::Again(why),
            Event::Broken(why) => Next::Return(Err(self.unknown(why))),
            Event::Gone(why) => {
                self.forget(route);
                if self.outgoing.read { Next::Again(why) } else { Next::Return(Err(self.unknown(why))) }
            }
            Event::Expired => Next::Return(Err(self.unknown("no answer before the deadline".to_owned()))),
        }
    }

    fn judge_refusal(&mut self, refusal: Refusal) -> Next {
        match refusal {
            Refusal::NotCreated if self.outgoing.construction.is_some() && !self.with_arguments => {
                self.with_arguments = true;
                Next::AgainAtOnce
            }
            Refusal::WrongPlace | Refusal::Stopping | Refusal::Overloaded { .. } | Refusal::Unavailable(_) => {
                Next::Again(refusal.to_string())
            }
            // Only the retry of a call can be stale: the first try was applied, and its reply is gone.
            Refusal::Stale | Refusal::SessionEnded if self.sent => {
                Next::Return(Err(self.unknown(refusal.to_string())))
            }
            Refusal::Shape { node, .. } => {
                let caller = self.outgoing.object_type.shape().to_owned();
                Next::Return(Err(refused(&self.outgoing, Refusal::Shape { caller, node })))
            }
            other => Next::Return(Err(refused(&self.outgoing, other))),
        }
    }

    fn request(&self, route: &Route) -> Request<'_> {
        let made = self.outgoing.construction.as_deref();
        // Small arguments travel at once; of large ones only the hash, until the node asks.
        let arguments = made.filter(|made| self.with_arguments || made.arguments.len() <= 64);
        Request {
            flags: if self.outgoing.read { parts::READ } else { 0 } | if self.sent { parts::RETRY } else { 0 },
            epoch: route.epoch,
            method: self.outgoing.method,
            deadline_ms: self.deadline_ms,
            construction: made.map(|made| made.hash),
            construction_arguments: arguments.map(|made| made.arguments.clone()),
            arguments: self.outgoing.arguments.clone(),
            ..self.name()
        }
    }

    /// The parts of a request that name the call and its object.
    fn name(&self) -> Request<'_> {
        Request {
            lane: self.id.lane,
            sequence: self.id.sequence,
            slot: self.slot,
            fingerprint: self.outgoing.object_type.fingerprint(),
            type_name: self.outgoing.object_type.name,
            key: self.outgoing.key.as_str(),
            job: self.job,
            session: Some(self.id.session),
            ..Request::default()
        }
    }

    fn forget(&self, route: &Route) {
        let target = route.connection.target();
        self.shared.directory.forget(target.node, target.incarnation);
    }

    fn give_up(&self, why: String) -> Error {
        if self.sent && !self.outgoing.read {
            return self.unknown(why);
        }
        Error::NotSent { object: self.outgoing.object(), why }
    }

    fn unknown(&self, why: String) -> Error {
        Error::Unknown { object: self.outgoing.object(), call: self.id, why }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // The future was dropped while its answer was awaited.
        let Some(connection) = self.out.take() else { return };
        let epoch = self.shared.directory.route(self.slot).map(|route| route.epoch).unwrap_or_default();
        let cancel = Request { flags: parts::CANCEL, epoch, ..self.name() };
        connection.abandon(self.id.lane, self.outgoing.parks.then_some(cancel));
    }
}

fn refused(outgoing: &OutgoingCall, refusal: Refusal) -> Error<Erased> {
    Error::Refused { object: outgoing.object(), refusal }
}

/// A time around `mean`, so that many callers do not come back at once.
fn jitter(mean: Duration) -> Duration {
    mean.mul_f64(0.5 + rand::random::<f64>())
}

fn clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}


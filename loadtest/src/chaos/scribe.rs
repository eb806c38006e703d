//! Writes down every call and what came of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use greenroom::Error;
use greenroom_actors::MethodError;
use greenroom_sim::{Call, ClientId, History, ObjectIndex, ObjectType, Recorder, Reply};

/// Kinds of errors that are told apart; the rest counts as one.
const ERRORS_MAX: usize = 64;
/// Characters of an error by which its kind is known.
const ERROR_CHARS: usize = 110;

/// What all tasks write into.
#[derive(Debug)]
pub(crate) struct Book {
    recorder: Recorder,
    started: Instant,
    errors: Mutex<BTreeMap<String, u64>>,
    stop: AtomicBool,
    next_client: AtomicU64,
    next_value: AtomicI64,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            recorder: Recorder::with_capacity(1_000_000),
            started: Instant::now(),
            errors: Mutex::default(),
            stop: AtomicBool::new(false),
            next_client: AtomicU64::new(1),
            next_value: AtomicI64::new(1),
        }
    }

    /// Nanoseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A value that nobody else has.
    pub(crate) fn fresh_value(&self) -> i64 {
        self.next_value.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn object(&self, key: &str, object_type: ObjectType) -> ObjectIndex {
        self.recorder.object(key, object_type)
    }

    /// Tells the tasks to end after the call that they are in.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Errors that calls ended with, each with how many times.
    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn history(&self) -> History {
        self.recorder.snapshot()
    }

    fn count<E: MethodError>(&self, error: &Error<E>) {
        let text: String = error.to_string().chars().take(ERROR_CHARS).collect();
        // Numbers in it (ids, ports, fences) do not make another kind of error.
        let kind: String = text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = if errors.len() < ERRORS_MAX { kind } else { "others".to_owned() };
        *errors.entry(kind).or_default() += 1;
    }
}

/// One client of the history, which makes one call after the other.
#[derive(Clone, Debug)]
pub(crate) struct Scribe {
    pub(crate) book: std::sync::Arc<Book>,
    client: ClientId,
}

impl Scribe {
    pub(crate) fn new(book: &std::sync::Arc<Book>) -> Self {
        let client = ClientId(book.next_client.fetch_add(1, Ordering::Relaxed));
        Self { book: std::sync::Arc::clone(book), client }
    }

    /// The session of this client is about to end: what it holds of the object is given to others from now on.
    pub(crate) fn end_owner(&self, of: ObjectIndex) {
        self.book.recorder.invoke(self.client, of, Call::OwnerEnded(self.client), self.book.now());
    }

    /// Makes a call and writes it down; `reply` is what it was told, if it was told something that an object says.
    pub(crate) async fn call<T, E: MethodError>(
        &self,
        on: ObjectIndex,
        call: Call,
        make: impl Future<Output = Result<T, Error<E>>>,
        reply: impl FnOnce(&Result<T, Error<E>>) -> Option<Reply>,
    ) -> Result<T, Error<E>> {
        let operation = self.book.recorder.invoke(self.client, on, call, self.book.now());
        let result = make.await;
        let at = self.book.now();
        match (reply(&result), &result) {
            (Some(reply), _) => self.book.recorder.returned(operation, reply, at),
            (None, Err(error)) if error.applied() == Some(false) => self.book.recorder.not_applied(operation, at),
            (None, _) => self.book.recorder.unknown(operation, at),
        }
        if let Err(error) = &result
            && !matches!(error, Error::Method(_) | Error::TimedOut { .. })
        {
            self.book.count(error);
        }
        result
    }
}

/// A reply of a call that ends well, made of its value.
pub(crate) fn ok<T, E>(result: &Result<T, Error<E>>, reply: impl FnOnce(&T) -> Reply) -> Option<Reply> {
    result.as_ref().ok().map(reply)
}

/// Waits for a time of that mean.
pub(crate) async fn think(random: &mut rand::rngs::SmallRng, mean: Duration) {
    use rand::Rng as _;
    tokio::time::sleep(mean.mul_f64(2.0 * random.random::<f64>())).await;
}

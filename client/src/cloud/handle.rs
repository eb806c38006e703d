//! The handle of a cloud thread.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use greenroom_actors::{Erased, Error, ReplyBody, ThreadFailure, ThreadId};
use serde::de::DeserializeOwned;

use super::expand::Outcome;
use super::local::Running;
use crate::client::must_not_block;

/// A cloud thread that was begun, to be joined as with `std::thread::JoinHandle`.
///
/// `E` is the function's own error. A handle that is dropped leaves the thread to itself.
pub struct JoinHandle<T, E = Erased> {
    pub(super) running: Arc<Running>,
    returns: PhantomData<fn() -> (T, E)>,
}

impl<T, E: ReplyBody<T>> JoinHandle<T, E> {
    pub(super) fn new(running: Arc<Running>) -> Self {
        Self { running, returns: PhantomData }
    }

    /// The thread's id.
    pub fn id(&self) -> ThreadId {
        self.running.thread()
    }

    /// The name that its [`Builder`](super::Builder) gave it.
    pub fn name(&self) -> Option<&str> {
        self.running.name()
    }

    /// Asks the thread to end: its calls that wait in shared objects fail with [`Error::Cancelled`], and so does each call
    /// that it makes from now on. What it returns then is what `join` returns.
    ///
    /// On one that has ended it does nothing.
    pub fn cancel(&self) {
        self.running.cancel();
    }

    /// Whether the thread has ended: then `join` does not wait.
    pub fn is_finished(&self) -> bool {
        self.running.outcome().is_some()
    }
}

impl<T, E: ReplyBody<T, Body: DeserializeOwned>> JoinHandle<T, E> {
    /// Waits until the thread has ended, and returns what its function returned.
    ///
    /// What the thread held of shared objects is released by then, and what it sent has arrived.
    ///
    /// # Errors
    /// [`Error::Method`] with the function's own error. [`Error::Thread`] when there is no result: its function panicked, or
    /// it could not be begun. [`Error::Blocking`] on a thread that runs async tasks.
    pub fn join(self) -> Result<T, Error<E>> {
        if must_not_block() {
            return Err(Error::Blocking { object: self.running.to_string(), given_back: false });
        }
        pollster::block_on(self.join_async())
    }

    /// As [`join`](Self::join), for async code.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_async(self) -> Result<T, Error<E>> {
        self.result(self.running.finished().await)
    }

    /// What the thread's function returned, if it has ended; else the handle.
    ///
    /// # Errors
    /// The handle, if the thread has not ended.
    pub fn try_join(self) -> Result<Result<T, Error<E>>, Self> {
        match self.running.outcome() {
            Some(outcome) => Ok(self.result(outcome)),
            None => Err(self),
        }
    }

    fn result(&self, outcome: &Outcome) -> Result<T, Error<E>> {
        let body = match outcome {
            Ok(encoded) => postcard::from_bytes::<E::Body>(encoded)
                .map_err(|error| ThreadFailure::Result { why: error.to_string() }),
            Err(failure) => Err(failure.clone()),
        };
        let body = body.map_err(|failure| Error::Thread { thread: self.running.to_string(), failure })?;
        E::split(body)
    }
}

impl<T, E> fmt::Debug for JoinHandle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("thread", &self.running.to_string()).finish_non_exhaustive()
    }
}

//! The handle of a cloud thread.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use greenroom_actors::{Erased, Error, ReplyBody, ThreadFailure, ThreadId};
use serde::de::DeserializeOwned;

use super::expand::Outcome;
use super::running::Running;
use crate::client::must_not_block;

/// A cloud thread that was begun, to be joined as with `std::thread::JoinHandle`.
///
/// `E` is the function's own error. A handle that is dropped leaves the thread to itself. A thread is joined once, for the
/// handle is used up by it; what can be asked and done before and after that is also in its [`Thread`].
pub struct JoinHandle<T, E = Erased> {
    pub(super) running: Arc<Running>,
    returns: PhantomData<fn() -> (T, E)>,
}

impl<T, E: ReplyBody<T>> JoinHandle<T, E> {
    pub(super) fn new(running: Arc<Running>) -> Self {
        Self { running, returns: PhantomData }
    }

    /// The thread, for whoever wants to know of it, or to cancel it, also after it was joined.
    pub fn thread(&self) -> Thread {
        Thread(Arc::clone(&self.running))
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

    /// The last 64 KiB of what the thread has logged: see [`Thread::logs`].
    ///
    /// # Errors
    /// As [`Thread::logs`].
    pub fn logs(&self) -> Result<String, Error> {
        self.thread().logs()
    }

    /// The twin of [`logs`](Self::logs) for async code.
    ///
    /// # Errors
    /// As [`Thread::logs`].
    pub fn logs_async(&self) -> impl Future<Output = Result<String, Error>> + Send + use<T, E> {
        self.thread().logs_async()
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

/// A cloud thread that was begun: what `std::thread::Thread` is there. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Thread(Arc<Running>);

impl Thread {
    /// The thread's id.
    pub fn id(&self) -> ThreadId {
        self.0.thread()
    }

    /// The name that its [`Builder`](super::Builder) gave it.
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// The name of its function in its program.
    pub fn function(&self) -> &'static str {
        self.0.function()
    }

    /// As [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.0.outcome().is_some()
    }

    /// The last 64 KiB of what it has logged by [`log_writer`](super::log_writer), also while it runs where it is a thread of this
    /// process. Bytes that are no text are shown as `\u{FFFD}`.
    ///
    /// # Errors
    /// [`Error::Blocking`] on a thread that runs async tasks; where the logs are elsewhere, those of a call.
    pub fn logs(&self) -> Result<String, Error> {
        if must_not_block() {
            return Err(Error::Blocking { object: self.0.to_string(), given_back: false });
        }
        pollster::block_on(self.logs_async())
    }

    /// The twin of [`logs`](Self::logs) for async code.
    ///
    /// # Errors
    /// As [`logs`](Self::logs).
    pub fn logs_async(&self) -> impl Future<Output = Result<String, Error>> + Send + use<> {
        let logs = self.0.started().map(|started| started.logs());
        async move {
            let bytes = match logs {
                Some(logs) => logs.await?,
                None => Bytes::new(),
            };
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

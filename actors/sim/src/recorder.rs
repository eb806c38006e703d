//! A history that many threads write.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::{Call, ObjectType, Reply};
use crate::history::{ClientId, History, ObjectIndex, OperationId};

/// A [`History`] that is shared by threads; put it into an `Arc`.
///
/// One lock guards it all: it is held for the time of an append, and some thousand calls a second leave it idle.
/// A call's times are to be read outside of it, before `invoke` and before `returned`: then the recorded interval covers the true one
/// on the side of the beginning, and the end is read right after the reply came.
#[derive(Debug, Default)]
pub struct Recorder {
    history: Mutex<History>,
}

impl Recorder {
    /// An empty history with room for so many operations, so that no append has to move what was recorded.
    pub fn with_capacity(operations: usize) -> Self {
        Self { history: Mutex::new(History::with_capacity(operations)) }
    }

    /// See [`History::object`].
    pub fn object(&self, key: impl Into<String>, object_type: ObjectType) -> ObjectIndex {
        self.lock().object(key, object_type)
    }

    /// See [`History::invoke`].
    pub fn invoke(&self, client: ClientId, object: ObjectIndex, call: Call, at: u64) -> OperationId {
        self.lock().invoke(client, object, call, at)
    }

    /// See [`History::returned`].
    pub fn returned(&self, operation: OperationId, reply: Reply, at: u64) {
        self.lock().returned(operation, reply, at);
    }

    /// See [`History::not_applied`].
    pub fn not_applied(&self, operation: OperationId, at: u64) {
        self.lock().not_applied(operation, at);
    }

    /// See [`History::unknown`].
    pub fn unknown(&self, operation: OperationId, at: u64) {
        self.lock().unknown(operation, at);
    }

    /// See [`History::owner_ended`].
    pub fn owner_ended(&self, owner: ClientId, at: u64) {
        self.lock().owner_ended(owner, at);
    }

    /// Ends the recording; calls without an outcome stay open.
    pub fn finish(self) -> History {
        self.history.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was recorded so far.
    pub fn snapshot(&self) -> History {
        self.lock().clone()
    }

    /// An append either happened or did not, so what a panicking thread left is whole.
    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What a function can ask about the run that it is part of.

use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::ThreadId;

use super::attempt::Attempt;
use crate::time::clock_ms;

/// The run of a cloud thread that this code is part of; `None` outside of one.
///
/// Threads and tasks that the function starts itself are no part of it.
pub fn current() -> Option<Current> {
    Attempt::current().map(Current)
}

/// A run of a cloud thread, as the code in it knows it. Cloning it is cheap, and it may be handed to other threads, which can
/// then ask whether the run is cancelled.
#[derive(Clone, Debug)]
pub struct Current(Arc<Attempt>);

impl Current {
    /// The thread's id.
    pub fn id(&self) -> ThreadId {
        self.0.thread()
    }

    /// Which attempt of the thread this is, from 1.
    pub fn attempt(&self) -> u8 {
        self.0.number()
    }

    /// When it is cancelled by itself, in milliseconds since the Unix epoch, if it has a timeout.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.0.ends_ms()
    }

    /// How long it is until then.
    pub fn remaining(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.0.ends_ms()?.saturating_sub(clock_ms())))
    }

    /// Whether it was asked to end: what it calls then fails with [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is asked to end.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }
}

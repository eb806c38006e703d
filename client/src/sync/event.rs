//! `Event`: a flag that callers wait for.

use std::time::Duration;

use greenroom_actors::Error;
use greenroom_actors::objects::EventObject;
use greenroom_macros::twins;

use crate::face::face;

face! {
    /// A flag that callers wait for, which is set and cleared by hand.
    ///
    /// It begins cleared. [`set`](Self::set) lets all come through who wait, and all who come, until [`clear`](Self::clear).
    /// Who waited when it was set comes through, even if it is cleared at once. It is Python's `threading.Event` and what
    /// Windows calls a manual-reset event; std has none. To wake one caller, use [`Notify`](super::Notify).
    ///
    /// Each call is one round trip of some 60 bytes each way; all who wait are told in the turn that sets the flag. A wait
    /// that times out, or is given up, leaves nothing behind.
    ///
    /// ```no_run
    /// use greenroom::sync::Event;
    ///
    /// let may_go_on = Event::named("may go on");
    /// may_go_on.set()?; // one caller
    /// may_go_on.wait()?; // the others
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Event(EventObject);
}

impl Event {
    /// The event of that key, made if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(EventObject::named(key))
    }

    /// The event of that key, for a `static`.
    pub const fn shared(key: &'static str) -> Self {
        Self::of(EventObject::shared(key))
    }
}

#[twins]
impl Event {
    /// Sets the flag, and lets everybody come through who waits for it. Doing so twice means nothing.
    ///
    /// # Errors
    /// As every call's.
    pub async fn set(&self) -> Result<(), Error> {
        self.handle.set_async().await
    }

    /// Clears the flag: who comes has to wait. Doing so twice means nothing.
    ///
    /// # Errors
    /// As every call's.
    pub async fn clear(&self) -> Result<(), Error> {
        self.handle.clear_async().await
    }

    /// Whether the flag is set; it may have changed when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_set(&self) -> Result<bool, Error> {
        self.handle.is_set_async().await
    }

    /// Waits until the flag is set; dropping the future leaves the queue.
    ///
    /// # Errors
    /// As every call's.
    pub async fn wait(&self) -> Result<(), Error> {
        self.handle.wait_async().await
    }

    /// Waits until the flag is set, at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it was not; and as every call's.
    pub async fn wait_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.handle.with_timeout(timeout).wait_async().await
    }
}

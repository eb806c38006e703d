//! `Notify`: wakes callers, one or all.

use std::time::Duration;

use greenroom_actors::Error;
use greenroom_actors::objects::NotifyObject;
use greenroom_macros::twins;

use crate::face::face;

face! {
    /// Wakes callers, one or all, and remembers one wake-up that came too early.
    ///
    /// * [`notify_one`](Self::notify_one) wakes who has waited longest. If nobody waits, one permit is kept, never more, and
    ///   the next who comes takes it without waiting.
    /// * [`notify_waiters`](Self::notify_waiters) wakes all who wait now, and keeps nothing for those who come.
    /// * Who was woken by `notify_one` and gave up before it took its answer (its future was dropped) passes the notification
    ///   on to the next in order, or leaves it as the permit: it is not lost.
    ///
    /// It carries no value and means no more than "look again": the state that it tells about is in some other object. To
    /// change state and wake in one step, use a condition of a [`Mutex`](super::Mutex), or an object type of your own.
    ///
    /// Each call is one round trip of some 60 bytes each way. A wait that times out, or is given up, leaves nothing behind.
    ///
    /// # Different from `tokio::sync::Notify`
    /// A caller waits from when its call reaches the object, which is after `notified_async()` was made and first polled:
    /// there is no `enable`. So `notify_waiters` may come before it; use it only where that is no loss. A session that ends
    /// with a notification that it was sent has had it, whether it acted on it or not.
    ///
    /// ```no_run
    /// use greenroom::sync::Notify;
    ///
    /// let work = Notify::named("work");
    /// work.notify_one()?; // whoever brings work
    /// work.notified()?; // whoever does it
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Notify(NotifyObject);
}

impl Notify {
    /// The `Notify` of that key, made if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(NotifyObject::named(key))
    }

    /// The object of that key, for a `static`.
    pub const fn shared(key: &'static str) -> Self {
        Self::of(NotifyObject::shared(key))
    }
}

#[twins]
impl Notify {
    /// Wakes who has waited longest; if nobody waits, the next who comes need not wait.
    ///
    /// # Errors
    /// As every call's.
    pub async fn notify_one(&self) -> Result<(), Error> {
        self.handle.notify_one_async().await
    }

    /// Wakes everybody who waits now.
    ///
    /// # Errors
    /// As every call's.
    pub async fn notify_waiters(&self) -> Result<(), Error> {
        self.handle.notify_waiters_async().await
    }

    /// Waits for a notification, or takes the permit; dropping the future leaves the queue, or passes the notification on.
    ///
    /// # Errors
    /// As every call's.
    pub async fn notified(&self) -> Result<(), Error> {
        self.handle.notified_async().await.map(drop)
    }

    /// Waits for a notification, at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when there was none: none was taken. And as every call's.
    pub async fn notified_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.handle.with_timeout(timeout).notified_async().await.map(drop)
    }

    /// Takes the permit, if there is one, and returns whether there was: it waits for nothing, and overtakes nobody, since
    /// none is kept while somebody waits. Dropping the future leaves the permit, or passes the notification on.
    ///
    /// # Errors
    /// As every call's.
    pub async fn try_notified(&self) -> Result<bool, Error> {
        self.handle.try_notified_async().await
    }
}

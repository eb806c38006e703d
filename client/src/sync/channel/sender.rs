//! The end of a channel at which values go in.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::objects::{ChannelClosed, ChannelObject, RegisteredSender};
use greenroom_actors::{Caller, Error, Handle, ObjectHandle, RawHandle};
use greenroom_macros::twins;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::OnceCell;

use super::{SendError, TrySendError, calls};
use crate::sync::guard::existing;
use crate::value::Value;

/// Sends values into a channel. Its clones are one sender; when the last of them is dropped, it has gone.
///
/// The channel closes when its last sender has gone. See the [module](super) for what a channel guarantees and costs.
///
/// A sender that is sent to another process, or made over another caller ([`through`](Self::through)), is a new one: it
/// registers at its first use, which then is one round trip more. The [module](super#who-is-a-sender) tells of the trap in that.
/// If its session ends, it has gone, and its calls are told [`Error::Superseded`]: make a new one.
///
/// ```no_run
/// use greenroom::sync::channel::Channel;
///
/// let sender = Channel::bounded("jobs", 100).sender()?;
/// sender.send("one".to_owned())?;
/// sender.send_all((0..1_000).map(|job| job.to_string()))?;
/// # Ok::<(), greenroom::Error>(())
/// ```
pub struct Sender<T> {
    handle: Handle<ChannelObject>,
    registration: Arc<Registration>,
    value: PhantomData<fn() -> T>,
}

/// A sender's place among those of its channel, once it has one; it leaves when it is dropped, if the channel is there still.
struct Registration {
    handle: Handle<ChannelObject>,
    sender: OnceCell<RegisteredSender>,
}

impl Registration {
    fn none(handle: &Handle<ChannelObject>) -> Arc<Self> {
        Arc::new(Self { handle: existing(handle), sender: OnceCell::new() })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.get() {
            self.handle.raw().cast("leave", &(sender.grant,));
        }
    }
}

impl<T> Sender<T> {
    /// A sender that is not registered yet.
    pub(crate) fn of(handle: Handle<ChannelObject>) -> Self {
        Self { registration: Registration::none(&handle), handle, value: PhantomData }
    }

    /// The untyped handle: the object's name, and what every object can be asked.
    pub fn object(&self) -> &RawHandle {
        self.handle.raw()
    }

    /// A new sender of the same channel, which registers through `caller`.
    #[must_use]
    pub fn through(&self, caller: Arc<dyn Caller>) -> Self {
        Self::of(self.handle.through(caller))
    }

    /// The same sender; each call takes at most `timeout`, also one that waits in the channel.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let registration = Arc::clone(&self.registration);
        Self { handle: self.handle.with_timeout(timeout), registration, value: PhantomData }
    }

    /// The channel knows that this sender has gone: nobody has to say so.
    pub(crate) fn forget(self) {
        if let Some(mut registration) = Arc::into_inner(self.registration) {
            registration.sender.take();
        }
    }

    async fn registered(&self) -> Result<RegisteredSender, Error<ChannelClosed>> {
        self.registration.sender.get_or_try_init(|| self.handle.register_async()).await.copied()
    }
}

#[twins]
impl<T: Value> Sender<T> {
    /// Registers this sender now, if it is not: the channel stays open for it. One round trip.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ChannelClosed`] when the channel has ended; and as every call's.
    pub async fn register(&self) -> Result<(), Error<ChannelClosed>> {
        self.registered().await.map(drop)
    }

    /// Sends a value; waits while the channel is full, behind those who came before.
    ///
    /// Dropping the future takes the value back, if it was not taken in yet.
    ///
    /// # Errors
    /// [`Error::Method`] with [`SendError`], which gives the value back, when the channel is closed. [`Error::TimedOut`] at the
    /// end of the handle's timeout, if it has one: the value is not in. [`Error::Superseded`] when this sender has gone with its
    /// session. And as every call's.
    pub async fn send(&self, value: T) -> Result<(), Error<SendError<T>>> {
        match self.registered().await {
            Ok(sender) => calls::send(&self.handle, Some(sender), value).await,
            Err(error) => Err(error.map_method(|ChannelClosed| SendError(value))),
        }
    }

    /// Sends a value, if there is room and nobody waits for it; in a rendezvous, if a receiver waits.
    ///
    /// # Errors
    /// [`Error::Method`] with [`TrySendError`], which gives the value back, when the channel is full or closed. And as
    /// [`send`](Self::send)'s.
    pub async fn try_send(&self, value: T) -> Result<(), Error<TrySendError<T>>> {
        match self.registered().await {
            Ok(sender) => calls::try_send(&self.handle, Some(sender), value).await,
            Err(error) => Err(error.map_method(|ChannelClosed| TrySendError::Closed(value))),
        }
    }

    /// Sends a value; waits for room at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when there was none: the value is not in, and is dropped here. And as [`send`](Self::send)'s.
    pub async fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), Error<SendError<T>>> {
        // Who is not registered yet registers in its own time: only the wait for room has a limit.
        match self.registered().await {
            Ok(sender) => calls::send(&self.handle.with_timeout(timeout), Some(sender), value).await,
            Err(error) => Err(error.map_method(|ChannelClosed| SendError(value))),
        }
    }

    /// Sends values in order, which must come to an end. About 1 MiB of them travel in one round trip, and go in one after the
    /// other as there is room; those of other senders may come between two round trips.
    ///
    /// # Errors
    /// [`Error::Method`] with [`SendError`], which gives back those values that are not in, when the channel is closed.
    /// After any other error, and when the future is dropped, the first of the values may be in. And as [`send`](Self::send)'s.
    pub async fn send_all(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error<SendError<Vec<T>>>> {
        match self.registered().await {
            Ok(sender) => calls::send_all(&self.handle, Some(sender), values).await,
            Err(error) => Err(error.map_method(|ChannelClosed| SendError(values.into_iter().collect()))),
        }
    }

    /// Closes the channel for all: sends are refused, and what is in it can still be received. Returns whether it was open.
    ///
    /// # Errors
    /// As every call's.
    pub async fn close(&self) -> Result<bool, Error> {
        self.handle.close_async().await
    }

    /// Whether the channel refuses sends.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_closed(&self) -> Result<bool, Error> {
        self.handle.is_closed_async().await
    }

    /// How many values are in the channel; it may have changed when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub async fn len(&self) -> Result<u64, Error> {
        self.handle.len_async().await
    }

    /// Whether no values are in the channel.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        self.handle.is_empty_async().await
    }

    /// How many values may be in the channel; `None` is any number.
    ///
    /// # Errors
    /// As every call's.
    pub async fn capacity(&self) -> Result<Option<u64>, Error> {
        self.handle.capacity_async().await
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let registration = Arc::clone(&self.registration);
        Self { handle: self.handle.clone(), registration, value: PhantomData }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object().fmt(f)
    }
}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.handle.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self::of)
    }
}

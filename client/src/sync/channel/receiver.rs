//! The end of a channel at which values come out.

use std::time::Duration;

use greenroom_actors::objects::{ChannelObject, RecvError, TryRecvError};
use greenroom_actors::{Error, Handle};
use greenroom_macros::twins;

use super::calls;
use crate::face::face;
use crate::value::Value;

face! {
    /// Receives the values of a channel; any number of receivers share them, each value is for one.
    ///
    /// A receiver is a name and no more: it makes no call before the first, may be cloned and sent to other processes, and to
    /// drop it closes nothing. See the [module](super) for what a channel guarantees and costs.
    ///
    /// A call that is given up (its future is dropped, its time is over) takes nothing: a value that was on its way to it goes
    /// back to its place. So [`recv_async`](Self::recv_async) may stand in a `tokio::select!`.
    ///
    /// ```no_run
    /// use greenroom::sync::channel::Channel;
    ///
    /// let receiver = Channel::<String>::bounded("jobs", 100).receiver();
    /// for job in &receiver {
    ///     println!("{}", job?);
    /// }
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Receiver<T>(ChannelObject);
}

impl<T> Receiver<T> {
    /// A receiver of that channel.
    pub(super) fn from_handle(handle: Handle<ChannelObject>) -> Self {
        Self::of(handle)
    }
}

#[twins]
impl<T: Value> Receiver<T> {
    /// The next value; waits for one.
    ///
    /// # Errors
    /// [`Error::Method`] with [`RecvError`] at the channel's end. [`Error::TimedOut`] at the end of the handle's timeout, if it
    /// has one. [`Error::Reply`] when the value does not decode: it is gone. And as every call's.
    pub async fn recv(&self) -> Result<T, Error<RecvError>> {
        calls::recv(&self.handle).await
    }

    /// The next value, if one is there and nobody waits for it.
    ///
    /// # Errors
    /// [`Error::Method`] with [`TryRecvError`] when none is there, or none will be. And as [`recv`](Self::recv)'s.
    pub async fn try_recv(&self) -> Result<T, Error<TryRecvError>> {
        calls::try_recv(&self.handle).await
    }

    /// The next value; waits for it at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when none came: nothing was taken. And as [`recv`](Self::recv)'s.
    pub async fn recv_timeout(&self, timeout: Duration) -> Result<T, Error<RecvError>> {
        calls::recv(&self.handle.with_timeout(timeout)).await
    }

    /// The next values: waits for one, and takes what is there with it, at most `max` and about 1 MiB. One round trip.
    ///
    /// Of a rendezvous it is one. If `max` is 0 it is none, at once.
    ///
    /// # Errors
    /// As [`recv`](Self::recv)'s; if one of the values does not decode, all of them are gone.
    pub async fn recv_many(&self, max: usize) -> Result<Vec<T>, Error<RecvError>> {
        calls::recv_many(&self.handle, max).await
    }

    /// The values that are there, at most `max` and about 1 MiB. One round trip.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv)'s.
    pub async fn try_recv_many(&self, max: usize) -> Result<Vec<T>, Error<TryRecvError>> {
        calls::try_recv_many(&self.handle, max).await
    }

    /// Closes the channel: sends are refused, and what is in it can still be received. Returns whether it was open.
    ///
    /// # Errors
    /// As every call's.
    pub async fn close(&self) -> Result<bool, Error> {
        self.handle.close_async().await
    }

    /// Whether the channel refuses sends; values may still be in it.
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

    /// How many senders are registered; the clones of one count once.
    ///
    /// # Errors
    /// As every call's.
    pub async fn sender_count(&self) -> Result<u64, Error> {
        self.handle.sender_count_async().await
    }
}

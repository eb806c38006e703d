//! `Queue<T>`: values in order, first in, first out.

use std::time::Duration;

use greenroom_actors::Error;
use greenroom_actors::objects::ChannelObject;
use greenroom_macros::twins;

use crate::face::face;
use crate::sync::channel::{ChannelKind, RecvError, SendError, TryRecvError, TrySendError, calls};
use crate::value::{Value, decode, shape};

face! {
    /// A queue that any number of callers push to and pop from: Java's `BlockingQueue`, crossbeam's `SegQueue` and `ArrayQueue`.
    ///
    /// It is a face of a [channel](crate::sync::channel) without senders that come and go: it never closes by itself. Its type
    /// in the tool is `Channel`, and a `Channel<T>` of its key and capacity is the same object; if that is closed, a push is
    /// refused with [`SendError`], and what would wait for a value ends with [`RecvError`].
    ///
    /// Values come out in the order in which they went in; who waits is served in the order of arrival. A caller that gives up
    /// while it waits has pushed nothing, and loses nothing that was on its way to it. Unlike a `VecDeque` it has one end for each.
    ///
    /// Each call is one round trip and carries the values that it moves once; `push_all` moves about 1 MiB in one, and others
    /// may come between two. A value has at most some 32 MiB. A queue with 256 MiB in it is full, whatever its capacity.
    ///
    /// ```no_run
    /// use greenroom::collections::Queue;
    ///
    /// let queue = Queue::named("urls");
    /// queue.push("a".to_owned())?;
    /// queue.push_all(["b", "c"].map(str::to_owned))?;
    /// assert_eq!(queue.pop()?.as_deref(), Some("a")); // what is there
    /// assert_eq!(queue.take()?, "b"); // waits for one
    /// assert_eq!(queue.drain(10)?, ["c"]);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Queue<T>(ChannelObject);
}

impl<T: Value> Queue<T> {
    /// The queue of that key, for any number of values.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(ChannelObject::named(key, shape::<T>(), ChannelKind::Unbounded))
    }

    /// The queue of that key, for at most `capacity` values; of 0, each goes from one who waits to push to one who takes.
    ///
    /// Everybody must name the same capacity: the others are refused with `DifferentArguments`.
    pub fn bounded(key: impl Into<String>, capacity: usize) -> Self {
        Self::of(ChannelObject::named(key, shape::<T>(), ChannelKind::Bounded(capacity as u64)))
    }
}

#[twins]
impl<T: Value> Queue<T> {
    /// Adds a value at the end; waits while the queue is full. Java's `put`.
    ///
    /// # Errors
    /// [`Error::TimedOut`] at the end of the handle's timeout, if it has one: the value is not in. [`Error::Method`] with
    /// [`SendError`] if the queue was closed as a channel. And as every call's.
    pub async fn push(&self, value: T) -> Result<(), Error<SendError<T>>> {
        calls::send(&self.handle, None, value).await
    }

    /// Adds a value at the end, if there is room and nobody waits for it. Java's `offer`.
    ///
    /// # Errors
    /// [`Error::Method`] with [`TrySendError`], which gives the value back, when there is none. And as every call's.
    pub async fn try_push(&self, value: T) -> Result<(), Error<TrySendError<T>>> {
        calls::try_send(&self.handle, None, value).await
    }

    /// Adds a value at the end; waits for room at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when there was none: the value is not in, and is dropped here. And as [`push`](Self::push)'s.
    pub async fn push_timeout(&self, value: T, timeout: Duration) -> Result<(), Error<SendError<T>>> {
        calls::send(&self.handle.with_timeout(timeout), None, value).await
    }

    /// Adds values at the end, in order, each as soon as there is room for it; they must come to an end.
    ///
    /// # Errors
    /// As [`push`](Self::push)'s; the first of the values may then be in.
    pub async fn push_all(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error<SendError<Vec<T>>>> {
        calls::send_all(&self.handle, None, values).await
    }

    /// The first value, if one is there and nobody waits for it. Java's `poll`.
    ///
    /// # Errors
    /// [`Error::Reply`] when it does not decode: it is gone. And as every call's.
    pub async fn pop(&self) -> Result<Option<T>, Error> {
        match calls::try_recv(&self.handle).await {
            Ok(value) => Ok(Some(value)),
            Err(Error::Method(TryRecvError::Empty | TryRecvError::Disconnected)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The first value; waits for one.
    ///
    /// # Errors
    /// [`Error::TimedOut`] at the end of the handle's timeout, if it has one. [`Error::Method`] with [`RecvError`] if the queue
    /// was closed as a channel. And as [`pop`](Self::pop)'s.
    pub async fn take(&self) -> Result<T, Error<RecvError>> {
        calls::recv(&self.handle).await
    }

    /// The first value; waits for one at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when none came: nothing was taken. And as [`take`](Self::take)'s.
    pub async fn take_timeout(&self, timeout: Duration) -> Result<T, Error<RecvError>> {
        calls::recv(&self.handle.with_timeout(timeout)).await
    }

    /// A copy of the first value, if one is there: another may have it when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub async fn peek(&self) -> Result<Option<T>, Error> {
        self.handle.peek_async().await?.map(|bytes| decode(&bytes, self.object())).transpose()
    }

    /// Takes values that are there, from the first: at most `max`, and about 1 MiB of them, in one round trip.
    ///
    /// That is none only if none is there; for more, call it until then. Dropping the future leaves or returns all of them.
    ///
    /// # Errors
    /// As [`pop`](Self::pop)'s; if one of the values does not decode, all that came with it are gone.
    pub async fn drain(&self, max: usize) -> Result<Vec<T>, Error> {
        match calls::try_recv_many(&self.handle, max).await {
            Ok(values) => Ok(values),
            Err(Error::Method(TryRecvError::Empty | TryRecvError::Disconnected)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many values are in the queue; it may have changed when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub async fn len(&self) -> Result<u64, Error> {
        self.handle.len_async().await
    }

    /// Whether no values are in the queue.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        self.handle.is_empty_async().await
    }

    /// How many values may be in the queue; `None` is any number.
    ///
    /// # Errors
    /// As every call's.
    pub async fn capacity(&self) -> Result<Option<u64>, Error> {
        self.handle.capacity_async().await
    }

    /// Drops the values that are in the queue; who waits to push goes on. Returns how many there were.
    ///
    /// # Errors
    /// As every call's.
    pub async fn clear(&self) -> Result<u64, Error> {
        self.handle.clear_async().await
    }
}

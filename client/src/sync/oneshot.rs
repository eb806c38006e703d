//! Oneshots: one value, from one who has it to one who waits for it.
//!
//! Like `tokio::sync::oneshot`, with a key. It is a channel of one value, which closes behind it; see
//! [channels](super::channel) for order, the end, and what a call costs: each is one round trip.
//!
//! The receiver gets the value once, or [`RecvError`] if the sender went without sending: it was dropped, or its session ended.
//! A oneshot has one life: delete it (`object().delete()`) to use its key again.
//!
//! A [`Sender`] does not travel, because its owner might drop it before it arrives. Send the [`Oneshot`] instead, and make the
//! sender of it there: a oneshot that never had one is open.
//!
//! ```no_run
//! use greenroom::sync::oneshot::{self, Oneshot};
//!
//! let (sender, receiver) = oneshot::channel::<u64>("answer")?;
//! sender.send(42)?;
//! assert_eq!(receiver.recv()?, 42);
//!
//! // Across processes:
//! let receiver = Oneshot::<u64>::named("result").receiver(); // here
//! Oneshot::named("result").sender()?.send(7_u64)?; // there
//! assert_eq!(receiver.recv()?, 7);
//! # Ok::<(), greenroom::Error>(())
//! ```

use std::pin::Pin;
use std::time::Duration;

use greenroom_actors::objects::ChannelObject;
use greenroom_actors::{Error, RawHandle};
use greenroom_macros::twins;

use super::channel::{self, TrySendError, calls};
use crate::face::face;
use crate::value::{Value, shape};

pub use super::channel::{ChannelClosed, ChannelKind, RecvError, SendError, TryRecvError};

face! {
    /// A oneshot by its name: where its sender and its receiver come from.
    ///
    /// To name it makes no call. It can be sent to other processes. See the [module](self).
    pub struct Oneshot<T>(ChannelObject);

    /// Receives the value of a oneshot.
    ///
    /// It is a name and no more: to drop it closes nothing ([`close`](Self::close) does), and of two that wait one gets the
    /// value. A wait that is given up takes nothing: the value is there for the next. It can be awaited: `receiver.await`.
    pub struct Receiver<T>(ChannelObject);
}

/// Sends the value of a oneshot. If it is dropped without that, the receiver is told.
///
/// Of two senders of one oneshot, the first to send is heard.
#[derive(Debug)]
pub struct Sender<T> {
    sender: channel::Sender<T>,
}

impl<T: Value> Oneshot<T> {
    /// The oneshot of that key.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(ChannelObject::named(key, shape::<T>(), ChannelKind::Oneshot))
    }

    /// The receiver. Nothing is sent.
    pub fn receiver(&self) -> Receiver<T> {
        Receiver::of(self.handle.clone())
    }

    /// A sender, registered: one round trip. Blocks until it is done; [`sender_async`](Self::sender_async) does not.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ChannelClosed`] when the oneshot has ended; and as every call's.
    pub fn sender(&self) -> Result<Sender<T>, Error<ChannelClosed>> {
        let sender = channel::Sender::of(self.handle.clone());
        sender.register().map(|()| Sender { sender })
    }

    /// A sender, registered: one round trip. If the future is dropped, it is as if it never had been.
    ///
    /// # Errors
    /// As [`sender`](Self::sender).
    pub async fn sender_async(&self) -> Result<Sender<T>, Error<ChannelClosed>> {
        let sender = channel::Sender::of(self.handle.clone());
        sender.register_async().await.map(|()| Sender { sender })
    }
}

/// The registered sender and the receiver of the oneshot of that key. One round trip, which blocks; [`channel_async`] does not.
///
/// # Errors
/// [`Error::Method`] with [`ChannelClosed`] when the oneshot has ended; and as every call's.
pub fn channel<T: Value>(key: impl Into<String>) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
    let oneshot = Oneshot::named(key);
    Ok((oneshot.sender()?, oneshot.receiver()))
}

/// The twin of [`channel`](channel()) for async code.
///
/// # Errors
/// As [`channel`](channel())'s.
pub async fn channel_async<T: Value>(key: impl Into<String>) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
    let oneshot = Oneshot::named(key);
    Ok((oneshot.sender_async().await?, oneshot.receiver()))
}

impl<T> Sender<T> {
    /// The untyped handle: the object's name, and what every object can be asked.
    pub fn object(&self) -> &RawHandle {
        self.sender.object()
    }
}

#[twins]
impl<T: Value> Sender<T> {
    /// Sends the value; it never waits for the receiver.
    ///
    /// # Errors
    /// [`Error::Method`] with [`SendError`], which gives the value back, when the receiver has closed the oneshot, or another
    /// sender was first. [`Error::Superseded`] when this sender has gone with its session. And as every call's.
    pub async fn send(self, value: T) -> Result<(), Error<SendError<T>>> {
        let sent = self.sender.try_send_async(value).await;
        if sent.is_ok() {
            self.sender.forget();
        }
        sent.map_err(|error| error.map_method(|error: TrySendError<T>| SendError(error.into_inner())))
    }

    /// Whether the receiver has closed the oneshot, or another sender was first.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_closed(&self) -> Result<bool, Error> {
        self.sender.is_closed_async().await
    }
}

#[twins]
impl<T: Value> Receiver<T> {
    /// The value; waits for it.
    ///
    /// # Errors
    /// [`Error::Method`] with [`RecvError`] when the sender went without sending, or the value has been received.
    /// [`Error::TimedOut`] at the end of the handle's timeout, if it has one. And as every call's.
    pub async fn recv(&self) -> Result<T, Error<RecvError>> {
        calls::recv(&self.handle).await
    }

    /// The value; waits for it at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it did not come: it still may. And as [`recv`](Self::recv)'s.
    pub async fn recv_timeout(&self, timeout: Duration) -> Result<T, Error<RecvError>> {
        calls::recv(&self.handle.with_timeout(timeout)).await
    }

    /// The value, if it is there.
    ///
    /// # Errors
    /// [`Error::Method`] with [`TryRecvError`] when it is not there, or will not be. And as every call's.
    pub async fn try_recv(&self) -> Result<T, Error<TryRecvError>> {
        calls::try_recv(&self.handle).await
    }

    /// Refuses the value, if it has not been sent. Returns whether the oneshot was open.
    ///
    /// # Errors
    /// As every call's.
    pub async fn close(&self) -> Result<bool, Error> {
        self.handle.close_async().await
    }
}

impl<T: Value> IntoFuture for Receiver<T> {
    type Output = Result<T, Error<RecvError>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.recv_async().await })
    }
}

//! Channels: values in order, from any number of senders to any number of receivers, on any number of machines.
//!
//! A channel has a key, a type of values, and a capacity: [`bounded`] (a send waits while it is full), [`unbounded`], or a
//! [`rendezvous`] (a send waits until a receiver takes; a bounded channel of capacity 0). Everybody who names it says the same
//! of all three; others are refused with `DifferentArguments`. One that names another type of values is, too.
//!
//! ```no_run
//! use greenroom::sync::channel::{self, Channel};
//!
//! let (sender, receiver) = channel::bounded::<String>("jobs", 100)?;
//! sender.send("one".to_owned())?;
//! // In another process, which only sends:
//! let another = Channel::bounded("jobs", 100).sender()?;
//! another.send_all(["two", "three"].map(str::to_owned))?;
//! drop((sender, another)); // the last sender goes, and so the channel closes behind what is in it
//! for job in &receiver {
//!     println!("{}", job?);
//! }
//! # Ok::<(), greenroom::Error>(())
//! ```
//!
//! # What it guarantees
//! - **Order.** Values are received in the order in which they were taken in; who waits to send or to receive is served in the
//!   order of arrival, and newcomers do not overtake, also not by `try_send` or `try_recv`.
//! - **Each value once.** A receiver that gives up (its future is dropped, as `tokio::select!` does, or its time is over) before
//!   it has the value that was on its way to it gives it back: to its old place, for the next receiver. A send that timed out or
//!   was cancelled while it waited has put nothing in. A value that was taken in cannot be called back.
//! - **The end.** When the last registered sender has gone, or at `close`, sends are refused, also those that wait; receivers
//!   get what is in the channel and then [`RecvError`]. That is told when nothing is in the channel; a value that is given back
//!   after that is for whoever asks again. A channel has one life: after its end, delete it (`object().delete()`) to use its key
//!   again.
//! - What a process has received is its own: if it dies with it, the value is gone, as a thread's would be.
//!
//! # Who is a sender
//! A [`Sender`] is registered for its process's session. Its clones share that; when the last of them is dropped, or the session
//! ends (also by the death of the process), it has gone. A channel that never had a sender is open. A channel without receivers
//! is open too and keeps its values until one comes: receivers are not registered, so that they may come late, from anywhere, and
//! for as long as a value takes (in `std`, a send fails once the receiver is dropped; here, [`Receiver::close`] says so).
//!
//! **A trap:** a sender that is sent to another process is a new one, and registers there at its first use. If the one who
//! started that process drops his own before that, the last sender has gone, and the channel closes too early. So a driver keeps
//! its sender until those it has started have registered theirs (until it has joined them, or until
//! [`Receiver::sender_count`] says so); or it passes on the [`Channel`] and has no sender at all.
//!
//! # What it costs
//! Each call is one round trip and carries the values that it moves once; a call that waits is parked in the channel and costs no
//! thread there. [`Sender::send_all`] and [`Receiver::recv_many`] move about 1 MiB in one. A value has at most some 32 MiB, as
//! each call has. A channel with 256 MiB in it is full, whatever its capacity.

pub(crate) mod calls;
mod errors;
mod iter;
mod receiver;
mod sender;

use greenroom_actors::Error;
use greenroom_actors::objects::ChannelObject;

use crate::face::face;
use crate::value::{Value, shape};

pub use errors::{SendError, TrySendError};
pub use greenroom_actors::objects::{ChannelClosed, ChannelKind, RecvError, TryRecvError};
pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::Receiver;
pub use sender::Sender;

face! {
    /// A channel by its name: where senders and receivers come from.
    ///
    /// To name it makes no call, and nobody is registered by it. It can be sent to other processes, which then make
    /// [`sender`](Self::sender) or [`receiver`](Self::receiver) of it. See the [module](self) for all else.
    ///
    /// ```no_run
    /// use greenroom::sync::channel::Channel;
    ///
    /// let results = Channel::unbounded("results");
    /// results.sender()?.send(42_u64)?;
    /// assert_eq!(results.receiver().recv()?, 42);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Channel<T>(ChannelObject);
}

impl<T: Value> Channel<T> {
    /// The channel of that key, in which at most `capacity` values wait; of 0 it is a [`rendezvous`](Self::rendezvous).
    pub fn bounded(key: impl Into<String>, capacity: usize) -> Self {
        Self::of_kind(key, ChannelKind::Bounded(capacity as u64))
    }

    /// The channel of that key, in which any number of values wait.
    pub fn unbounded(key: impl Into<String>) -> Self {
        Self::of_kind(key, ChannelKind::Unbounded)
    }

    /// The channel of that key, in which no values wait: each goes from a sender that waits to a receiver.
    pub fn rendezvous(key: impl Into<String>) -> Self {
        Self::of_kind(key, ChannelKind::Bounded(0))
    }

    fn of_kind(key: impl Into<String>, kind: ChannelKind) -> Self {
        Self::of(ChannelObject::named(key, shape::<T>(), kind))
    }

    /// A receiver. Nothing is sent.
    pub fn receiver(&self) -> Receiver<T> {
        Receiver::from_handle(self.handle.clone())
    }

    /// A sender, registered: one round trip. Blocks until it is done; [`sender_async`](Self::sender_async) does not.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ChannelClosed`] when the channel has ended; and as every call's.
    pub fn sender(&self) -> Result<Sender<T>, Error<ChannelClosed>> {
        let sender = Sender::of(self.handle.clone());
        sender.register().map(|()| sender)
    }

    /// A sender, registered: one round trip. If the future is dropped, it is as if it never had been.
    ///
    /// # Errors
    /// As [`sender`](Self::sender).
    pub async fn sender_async(&self) -> Result<Sender<T>, Error<ChannelClosed>> {
        let sender = Sender::of(self.handle.clone());
        sender.register_async().await.map(|()| sender)
    }

    fn ends(&self) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
        Ok((self.sender()?, self.receiver()))
    }

    async fn ends_async(&self) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
        Ok((self.sender_async().await?, self.receiver()))
    }
}

/// A registered sender and a receiver of the channel of that key, in which at most `capacity` values wait.
///
/// Like `std::sync::mpsc::sync_channel`; of capacity 0 it is a [`rendezvous`]. One round trip, which blocks;
/// [`bounded_async`] does not.
///
/// # Errors
/// [`Error::Method`] with [`ChannelClosed`] when the channel has ended; and as every call's.
pub fn bounded<T: Value>(
    key: impl Into<String>,
    capacity: usize,
) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
    Channel::bounded(key, capacity).ends()
}

/// The twin of [`bounded`] for async code.
///
/// # Errors
/// As [`bounded`].
pub async fn bounded_async<T: Value>(
    key: impl Into<String>,
    capacity: usize,
) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
    Channel::bounded(key, capacity).ends_async().await
}

/// A registered sender and a receiver of the channel of that key, in which any number of values wait.
///
/// Like `std::sync::mpsc::channel`. One round trip, which blocks; [`unbounded_async`] does not.
///
/// # Errors
/// As [`bounded`].
pub fn unbounded<T: Value>(key: impl Into<String>) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
    Channel::unbounded(key).ends()
}

/// The twin of [`unbounded`] for async code.
///
/// # Errors
/// As [`bounded`].
pub async fn unbounded_async<T: Value>(
    key: impl Into<String>,
) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
    Channel::unbounded(key).ends_async().await
}

/// A registered sender and a receiver of the channel of that key, in which no values wait: a send waits until a receiver takes.
///
/// Like `std::sync::mpsc::sync_channel(0)`. One round trip, which blocks; [`rendezvous_async`] does not.
///
/// # Errors
/// As [`bounded`].
pub fn rendezvous<T: Value>(key: impl Into<String>) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
    Channel::rendezvous(key).ends()
}

/// The twin of [`rendezvous`] for async code.
///
/// # Errors
/// As [`bounded`].
pub async fn rendezvous_async<T: Value>(
    key: impl Into<String>,
) -> Result<(Sender<T>, Receiver<T>), Error<ChannelClosed>> {
    Channel::rendezvous(key).ends_async().await
}

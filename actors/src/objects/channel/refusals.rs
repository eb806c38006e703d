//! What a channel says to who comes too early, too late, or to a full one.

use serde::{Deserialize, Serialize};

/// The channel is closed, and takes no values and no senders any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the channel is closed")]
pub struct ChannelClosed;

/// Why a channel did not take values in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotTaken {
    /// There is no room now.
    #[error("the channel is full")]
    Full,
    /// The channel is closed.
    #[error("the channel is closed; {taken} of the values were taken in before")]
    Closed {
        /// How many of the values, from the first, had been taken in before it was closed.
        taken: u64,
    },
    /// The sender has left, or its owner has ended.
    #[error("the sender is not registered with the channel")]
    NotRegistered,
}

/// A sender left that was not there: it had left before, or its owner has ended. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the sender is not registered with the channel")]
pub struct NotRegistered;

/// Nothing is left in the channel, and nothing will come: it is closed, by a call or by the end of its last sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the channel is empty and closed")]
pub struct RecvError;

/// Why there is no value now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TryRecvError {
    /// Nothing is there now, and something may come.
    #[error("the channel is empty")]
    Empty,
    /// Nothing is left, and nothing will come.
    #[error("the channel is empty and closed")]
    Disconnected,
}

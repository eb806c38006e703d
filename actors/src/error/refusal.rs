//! What a node says in place of a value.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::ids::{CallId, KeyError};

/// Why the cluster did not accept a call. Nothing was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No object type of that name is part of the node's program.
    #[error("the node's program has no object type `{name}`; it has {known}")]
    UnknownType {
        /// The name that was asked for.
        name: String,
        /// The names that there are, joined by commas.
        known: String,
    },
    /// The object type has no such method.
    #[error("object type `{name}` has no method number {method}")]
    UnknownMethod {
        /// The object type.
        name: String,
        /// The method's number in its declaration order.
        method: u16,
    },
    /// The caller's build of the object type differs from the node's.
    #[error("the caller's build of the type differs from the node's: the caller has {caller}; the node has {node}")]
    Shape {
        /// The caller's shape; empty on the wire, filled in by the caller.
        caller: String,
        /// The node's shape.
        node: String,
    },
    /// The arguments do not decode as the method's.
    #[error("the arguments do not decode as those of `{method}`: {why}")]
    Arguments {
        /// The method's name.
        method: String,
        /// What the decoder said.
        why: String,
    },
    /// The key cannot name an object.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The call is larger than the limit.
    #[error(
        "the call has {bytes} bytes, and at most {bytes_max} are allowed; split it, or pass the data through an object"
    )]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// There is no such object, and neither the caller nor the type says how to make one.
    #[error("there is no such object, and it cannot be made without the arguments of its constructor")]
    NotCreated,
    /// The object exists, made with other constructor arguments than the caller's.
    #[error("the object exists already, made with {made}, and this caller names {caller}")]
    DifferentArguments {
        /// What it was made with, as far as the node knows: `{parties: 3}`.
        made: String,
        /// What the caller names.
        caller: String,
    },
    /// The constructor refused its arguments or panicked.
    #[error("the constructor failed: {0}")]
    Constructor(String),
    /// The object's mailbox is full, or too many calls are parked in it: back off and try again.
    #[error("overloaded: {what} holds {count}, which is its limit; try again later")]
    Overloaded {
        /// The queue that is full.
        what: String,
        /// Its limit.
        count: u64,
    },
    /// The call would close a circle of objects that wait for each other.
    #[error("the call closes a circle: {0}")]
    Cycle(String),
    /// The node is stopping: try again, it or another node will serve the object.
    #[error("the node is stopping")]
    Stopping,
    /// The call's deadline had passed when it arrived.
    #[error("the call arrived after its deadline")]
    Expired,
    /// A later call of the same lane has been applied, and this one's reply is gone. It is not run again.
    #[error("a later call of this lane was already answered, so this one is not run again")]
    Stale,
    /// The session ended on the node, so whether the call was applied is no longer known there.
    #[error("the session has ended on the node")]
    SessionEnded,
    /// The attempt of a cloud thread that made the call has ended: it was cancelled or given up, or its deadline has passed.
    #[error("this attempt of the cloud thread has ended: it was cancelled or given up, or its deadline has passed")]
    AttemptEnded,
    /// The node does not serve this slot in this epoch: look at the current table and go to the right one.
    #[error("the node does not serve this slot in this epoch")]
    WrongPlace,
    /// The call belongs to another cluster.
    #[error("the call belongs to another cluster")]
    WrongCluster,
    /// No node can serve the object now.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// All copies of the object's slot are gone: what it held is lost, until an operator accepts that.
    #[error(
        "the data is lost: all nodes that had a copy are gone (an operator may begin anew: `greenroom accept-loss`)"
    )]
    DataLost,
    /// The caller's handle says otherwise than the object was made.
    #[error(
        "the object is {made}, and this caller's handle says {caller}: what it was made as decides until it is deleted"
    )]
    OtherDurability {
        /// What the object is: `ephemeral` or `replicated`.
        made: String,
        /// What the handle says.
        caller: String,
    },
    /// The handle asks for more copies than the cluster keeps.
    #[error(
        "the handle asks for {asked} copies, and the cluster keeps {copies} of each object (`greenroom node --copies`)"
    )]
    TooFewCopies {
        /// How many the handle asks for.
        asked: u8,
        /// How many the cluster keeps.
        copies: u8,
    },
}

/// What a node says when it has no value for a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// Not accepted, nothing applied.
    Refused(Refusal),
    /// Parked until its deadline, then removed.
    TimedOut,
    /// Parked, then cancelled.
    Cancelled,
    /// The method panicked; the state is as before.
    Panicked {
        /// The method's name.
        method: String,
        /// The panic's message.
        message: String,
    },
    /// The object dropped the waiter.
    Abandoned,
    /// The object is gone: deleted, or lost with its copies.
    ObjectLost,
    /// The call was accepted, and the node serves the object no more: ask the one that does, with the same id.
    Moved,
    /// The call was applied, but its reply is larger than a frame may be.
    ReplyTooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The answer of a nested call did not come before its deadline; it may have been applied.
    Unknown {
        /// What happened last.
        why: String,
    },
}

impl Fault {
    /// The error that a caller sees, about `object` and the call `call`.
    pub fn into_error<E>(self, object: String, call: CallId) -> Error<E> {
        match self {
            Self::Refused(refusal) => Error::Refused { object, refusal },
            Self::TimedOut => Error::TimedOut { object },
            Self::Cancelled => Error::Cancelled { object },
            Self::Panicked { method, message } => Error::Panicked { object, method, message },
            Self::Abandoned => Error::Abandoned { object },
            Self::ObjectLost => Error::ObjectLost { object },
            Self::Moved => {
                let why = "the object has moved, and the node that has it was not asked".to_owned();
                Error::Unknown { object, call, why }
            }
            Self::ReplyTooLarge { bytes } => Error::Reply {
                object,
                why: format!("it has {bytes} bytes, more than a frame may have; ask for it in parts"),
            },
            Self::Unknown { why } => Error::Unknown { object, call, why },
        }
    }
}

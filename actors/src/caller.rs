//! The small trait through which handles reach the cluster, and what they hand to it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::durability::Durability;
use crate::error::{Error, Refusal};
use crate::ids::JobId;
use crate::object::ObjectType;

/// Method numbers from here on are the core's own; see [`system`].
pub const SYSTEM_METHODS_FROM: u16 = 0xFFF0;

/// Methods that every object has.
pub mod system {
    /// Makes the object if it is not there; returns whether it was made.
    pub const CREATE: u16 = 0xFFF0;
    /// Makes the object anew, whatever was there; its waiters learn that the old one is gone.
    pub const FORCE_NEW: u16 = 0xFFF1;
    /// [`FORCE_NEW`] as an ephemeral object that was lost is given it in place of [`CREATE`]; returns `true`.
    pub const CREATE_ANEW: u16 = 0xFFF4;
    /// Removes the object; returns whether it was there.
    pub const DELETE: u16 = 0xFFF2;
    /// The state as JSON text, with the parked calls.
    pub const DESCRIBE: u16 = 0xFFF3;
}

/// A key: a literal, or shared.
#[derive(Clone, Debug)]
pub enum KeyText {
    /// Of a `static` handle.
    Static(&'static str),
    /// Made at run time.
    Shared(Arc<str>),
}

impl KeyText {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// The arguments of a constructor, encoded, with their hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Construction {
    /// The arguments, as a tuple in postcard.
    pub arguments: Bytes,
    /// XXH3 (64 bits) over `arguments`; two creators of one key are compared by it.
    pub hash: u64,
}

impl Construction {
    /// Of encoded arguments.
    pub fn new(arguments: Bytes) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_64(&arguments);
        Self { arguments, hash }
    }

    /// Of an object that is there, and was made by `Default`: it has the hash 0, and nothing that could make one.
    pub fn none() -> Self {
        Self { arguments: Bytes::new(), hash: 0 }
    }

    /// Whether an object can be made of it.
    pub fn makes(&self) -> bool {
        self.hash != 0
    }
}

/// A call on its way from a handle to a [`Caller`].
#[derive(Clone, Debug)]
pub struct OutgoingCall {
    /// The object's type.
    pub object_type: &'static ObjectType,
    /// The object's key.
    pub key: KeyText,
    /// The job of the object; `None` is the caller's own.
    pub job: Option<JobId>,
    /// How to make the object, if its type takes arguments; or that it is not to be made.
    pub construction: Option<Arc<Construction>>,
    /// What the handle says about the object's copies, if anything.
    pub durability: Option<Durability>,
    /// The method's number.
    pub method: u16,
    /// Whether the method only reads.
    pub read: bool,
    /// Whether the call may wait in the object: it then has no deadline unless one is set.
    pub parks: bool,
    /// The encoded arguments.
    pub arguments: Bytes,
    /// How long the caller is ready to wait; `None` is the caller's default.
    pub timeout: Option<Duration>,
}

impl OutgoingCall {
    /// The error of the call when it is refused so, completed by what only its caller knows.
    pub fn refused(&self, refusal: Refusal) -> Error {
        let refusal = match refusal {
            Refusal::Shape { node, .. } => Refusal::Shape { caller: self.object_type.shape().to_owned(), node },
            Refusal::DifferentArguments { made, caller } => {
                // The node may have been told only the hash.
                let named = self.construction.as_ref();
                let caller = named.map_or(caller, |named| self.object_type.construction_text(&named.arguments));
                Refusal::DifferentArguments { made, caller }
            }
            other => other,
        };
        Error::Refused { object: self.object(), refusal }
    }

    /// The object, as `Type/key`.
    pub fn object(&self) -> String {
        format!("{}/{}", self.object_type.name, self.key.as_str())
    }

    /// What the call can make the object of, if it takes arguments.
    pub fn maker(&self) -> Option<&Construction> {
        self.construction.as_deref().filter(|construction| construction.makes())
    }
}

/// The reply of a call: its body, still encoded.
pub type ReplyFuture = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

/// What carries calls to the cluster. A client implements it; handles use nothing else.
pub trait Caller: Send + Sync + fmt::Debug + 'static {
    /// Makes the call and returns its reply; dropping the future cancels a parked call.
    fn call(&self, call: OutgoingCall) -> ReplyFuture;

    /// Runs `task`, which awaits calls, to its end on this thread, and returns `true`.
    ///
    /// On a thread that runs async tasks, which must not block, it runs nothing and returns `false`.
    fn block_on(&self, task: Pin<&mut dyn Future<Output = ()>>) -> bool;

    /// Makes the call and lets nobody know what came of it; if it is refused, `otherwise` in its place. It returns at once, and
    /// the call has no deadline.
    fn cast(&self, call: OutgoingCall, otherwise: Option<OutgoingCall>);
}

/// Finds the process's default [`Caller`], making it at first use. The client registers one.
#[derive(Debug)]
pub struct DefaultCaller(pub fn() -> Result<Arc<dyn Caller>, String>);

inventory::collect!(DefaultCaller);

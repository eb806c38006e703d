//! What the copies of a slot say to each other.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::entry::EntryKind;
use crate::error::Fault;
use crate::ids::{CallId, Epoch, JobId, LogIndex, SessionId, SlotId, hash_object};
use crate::object::{ObjectType, Registry};
use crate::objects_table::ObjectName;
use crate::slot::image::Piece;
use crate::slot::log::{Item, LogPlace, Logged, OwnedName, Target};
use crate::turn::Stamp;

/// A message between two copies of a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerMessage {
    /// The slot.
    pub slot: SlotId,
    /// The epoch in which the sender speaks. A copy that has seen a higher one refuses.
    pub epoch: Epoch,
    /// What it says.
    pub body: PeerBody,
}

/// What a copy says to another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PeerBody {
    /// Primary to backup: entries that follow `prev`, and how far the log is committed. Raft's `AppendEntries`.
    Append {
        /// Where the entry before the first one stands.
        prev: LogPlace,
        /// Everything up to here is held by all copies that count.
        committed: LogIndex,
        /// How many entries follow.
        count: u32,
        /// The entries, encoded one after the other.
        entries: Bytes,
    },
    /// Backup to primary: my log is equal to yours up to here.
    Ack {
        /// The index.
        index: LogIndex,
        /// The image of which the copy was made; a copy that is on its way out may speak for one that is to come.
        image: u64,
    },
    /// Backup to primary: I do not have `prev`; up to here my log is equal to that of every copy.
    Lacking(LogIndex),
    /// Copy to whoever speaks in an older epoch than its own, which the message's epoch tells.
    Refused,
    /// Primary to joining copy: a piece of the image of the slot.
    Image {
        /// Which image: no two of a slot have one number.
        image: u64,
        /// The number of the piece, from 0.
        number: u32,
        /// The piece.
        piece: Piece,
    },
    /// Joining copy to primary: I have that piece, and all before it.
    Copied {
        /// Which image.
        image: u64,
        /// The number of the piece.
        number: u32,
    },
}

impl PeerBody {
    /// Whether it answers something that is said again if no answer comes, but not at once.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Ack { .. } | Self::Lacking(_) | Self::Refused | Self::Copied { .. } => true,
            Self::Append { .. } | Self::Image { .. } => false,
        }
    }
}

/// An entry as it is shipped, without the object's number, which is each copy's own.
#[derive(Serialize, Deserialize)]
struct Shipped<T> {
    stamp: Stamp,
    epoch: Epoch,
    item: T,
}

#[derive(Serialize)]
enum ItemRef<'a> {
    Object { job: JobId, type_name: &'a str, key: &'a str, kind: &'a EntryKind },
    Kill { call: CallId, fault: &'a Fault, expires_ms: u64 },
    EndSession { session: SessionId, until_ms: u64 },
}

#[derive(Deserialize)]
enum ItemOwned<'a> {
    Object { job: JobId, type_name: &'a str, key: &'a str, kind: EntryKind },
    Kill { call: CallId, fault: Fault, expires_ms: u64 },
    EndSession { session: SessionId, until_ms: u64 },
}

/// Why a shipped entry cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShippedError {
    /// The bytes are no entry.
    #[error("a shipped entry is not as agreed: {0}")]
    Malformed(String),
    /// This program has no such type.
    #[error("this node's program has no object type `{0}`: all nodes of a cluster run one program")]
    UnknownType(String),
}

/// Appends an entry to `out`; `name_of` names its object.
pub(crate) fn ship<'a>(
    logged: &'a Logged,
    name_of: impl FnOnce(u32) -> Option<ObjectName<'a>>,
    out: Vec<u8>,
) -> Result<Vec<u8>, Vec<u8>> {
    let item = match &logged.item {
        Item::Object(target, kind) => {
            let name = match target {
                Target::Number(number) => name_of(*number),
                Target::Name(name) => Some(name.name()),
            };
            let Some(name) = name else { return Err(out) };
            ItemRef::Object { job: name.job, type_name: name.object_type.name, key: name.key, kind }
        }
        Item::Kill { call, fault, expires_ms } => ItemRef::Kill { call: *call, fault, expires_ms: *expires_ms },
        Item::EndSession { session, until_ms, .. } => ItemRef::EndSession { session: *session, until_ms: *until_ms },
    };
    let shipped = Shipped { stamp: logged.stamp, epoch: logged.epoch, item };
    Ok(postcard::to_extend(&shipped, out).expect("an entry can be encoded"))
}

/// Decodes shipped entries.
pub(crate) fn unship(entries: &[u8], count: u32, registry: &Registry) -> Result<Vec<Logged>, ShippedError> {
    let malformed = |error: postcard::Error| ShippedError::Malformed(error.to_string());
    let mut rest = entries;
    let mut all = Vec::new();
    for _ in 0..count {
        let (shipped, after): (Shipped<ItemOwned<'_>>, _) = postcard::take_from_bytes(rest).map_err(malformed)?;
        rest = after;
        let item = match shipped.item {
            ItemOwned::Object { job, type_name, key, kind } => {
                let name = owned_name(job, type_name, key, registry)?;
                Item::Object(Target::Name(Arc::new(name)), kind)
            }
            ItemOwned::Kill { call, fault, expires_ms } => Item::Kill { call, fault, expires_ms },
            ItemOwned::EndSession { session, until_ms } => Item::EndSession { session, until_ms, asked: None },
        };
        all.push(Logged { stamp: shipped.stamp, epoch: shipped.epoch, item });
    }
    Ok(all)
}

/// The name of an object, of a type that this program has.
pub(crate) fn owned_name(
    job: JobId,
    type_name: &str,
    key: &str,
    registry: &Registry,
) -> Result<OwnedName, ShippedError> {
    let object_type: &'static ObjectType =
        registry.get(type_name).ok_or_else(|| ShippedError::UnknownType(type_name.to_owned()))?;
    Ok(OwnedName { hash: hash_object(job, type_name, key), job, object_type, key: key.to_owned() })
}

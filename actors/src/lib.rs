//! The core of Greenroom: what an object is, where it lives, and in which order calls reach it.
//!
//! Everything here is a pure value: no I/O, no clock, no async. Users import the crate `greenroom` instead.

// The code that `#[object]` writes names `::greenroom`; inside this crate that is this crate.
extern crate self as greenroom;

/// Whether a bug is planted here; see `mutation.rs`. Without the feature, nothing is left of it.
macro_rules! planted {
    ($mutation:ident) => {{
        #[cfg(feature = "mutations")]
        let is_planted = crate::mutation::Mutation::$mutation.is_planted();
        #[cfg(not(feature = "mutations"))]
        let is_planted = false;
        is_planted
    }};
}

mod arrival;
mod caller;
pub mod combine;
mod construction;
mod coordinator;
mod description;
mod durability;
mod entry;
mod ephemeral;
mod error;
mod execution;
pub mod expand;
mod granter;
mod grants;
mod guards;
mod handle;
mod host;
mod ids;
mod images;
mod instance;
mod instance_image;
mod lease;
#[cfg(feature = "mutations")]
mod mutation;
mod nested;
mod object;
pub mod objects;
mod objects_table;
mod peer;
mod profile;
mod replies;
mod ring;
mod rollback;
mod schema;
mod slot;
mod table;
mod thread_failure;
mod tracer;
mod turn;
mod untaken;
mod view;
mod waiter;
pub mod wire;

pub use arrival::{Arrival, Limits, Now};
pub use caller::{
    Caller, Construction, DefaultCaller, KeyText, OutgoingCall, ReplyFuture, SYSTEM_METHODS_FROM, system,
};
pub use coordinator::{Coordinator, CoordinatorSettings};
pub use description::OwnerNote;
pub use durability::Durability;
pub use entry::{CallEntry, Entry, EntryKind, GiveUp, NestedCall, Outcomes, Wanted};
pub use error::{Erased, Error, Fault, MethodError, Refusal, ReplyBody};
pub use granter::{Granter, RenewalAnswer};
pub use grants::{Grant, Grants, NotHeld, WaitQueue};
pub use handle::RawHandle;
pub use host::{Host, Patience, Share};
pub use ids::*;
pub use instance::{Instance, NESTED_TIMEOUT_MS};
pub use instance_image::InstanceImage;
pub use lease::{Lease, LeaseSettings, RenewalId};
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
pub use object::{
    Access, ArgumentsError, Constructor, Continuation, CreateError, CreateFn, DecodeFn, DuplicateType, Handle, Holder,
    Hooks, Method, Object, ObjectHandle, ObjectType, Ran, Registration, Registry, Run, ShapeCell, State,
};
pub use objects_table::{ObjectEntry, ObjectName, ObjectNumber, ObjectTable, SharedInstance};
pub use peer::{PeerBody, PeerMessage, ShippedError};
pub use profile::Profile;
pub use replies::{Abandoned, Admission, Answer, Completed, LANES_MAX, LanePool, ReplyTable, SessionImage};
pub use ring::{VIRTUAL_NODES, place};
pub use rollback::SMALL_STATE_BYTES_MAX;
pub use schema::{fingerprint, shape_of};
pub use slot::image::{ImageName, NestedImage, ObjectImage, Piece};
pub use slot::log::LogPlace;
pub use slot::{Effect, Slot};
pub use table::{Member, NodeLayout, SLOTS_DEFAULT, SlotPlace, SlotTable, shard_of, slot_of};
pub use thread_failure::ThreadFailure;
pub use turn::{Continue, Message, Stamp, Then, Turn};
pub use view::{
    Changed, JoinRefusal, MEMBERS_MAX, MemberStatus, NAME_BYTES_MAX, Placement, Targets, View, ViewCommand, ViewMember,
};
pub use waiter::{ParkedCall, ParkedCalls, Waiter};

//! Calls that reach a slot: what they say, what limits them, and what makes them impossible.

use bytes::Bytes;

use crate::caller::{SYSTEM_METHODS_FROM, system};
use crate::durability::Durability;
use crate::entry::Wanted;
use crate::error::Refusal;
use crate::ids::{CallId, Owner};
use crate::objects_table::ObjectName;

/// What limits a slot's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls that are ordered and not yet applied, for each object.
    pub mailbox_max: u32,
    /// Calls of one method that wait in an object.
    pub parked_max: u32,
    /// Nested calls may not form a longer chain.
    pub chain_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { mailbox_max: 16_384, parked_max: 100_000, chain_max: crate::wire::CHAIN_MAX }
    }
}

/// A call that has reached its slot.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// Its id.
    pub call: CallId,
    /// Who makes it.
    pub owner: Owner,
    /// The object.
    pub object: ObjectName<'a>,
    /// The method's number.
    pub method: u16,
    /// The encoded arguments.
    pub arguments: Bytes,
    /// How the caller would make the object.
    pub construction: Wanted,
    /// What the caller's handle says about the object's copies, if anything.
    pub durability: Option<Durability>,
    /// Whether the call may have been accepted by a copy before.
    pub retry: bool,
    /// When it ends by itself, in milliseconds since the Unix epoch.
    pub deadline_ms: Option<u64>,
    /// The objects that wait for it, as hashes.
    pub chain: &'a [u64],
}

/// The time and randomness that the shard gives a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// Random bits.
    pub seed: u64,
}

impl Arrival<'_> {
    /// What makes the call impossible, whatever the object's state is.
    pub(crate) fn check(&self, limits: Limits, now: Now) -> Result<(), Refusal> {
        if self.deadline_ms.is_some_and(|deadline_ms| deadline_ms < now.ms) && !self.may_be_late() {
            return Err(Refusal::Expired);
        }
        let (object_type, method) = (self.object.object_type, self.method);
        // No caller may ask for what only a slot puts in the place of a call.
        let is_unknown = method < SYSTEM_METHODS_FROM && usize::from(method) >= object_type.methods.len();
        if is_unknown || method == system::CREATE_ANEW {
            return Err(Refusal::UnknownMethod { name: object_type.name.to_owned(), method });
        }
        if self.chain.contains(&self.object.hash) {
            let object = format!("{}/{}", self.object.object_type.name, self.object.key);
            return Err(Refusal::Cycle(format!(
                "`{object}` already waits for this call, {} calls up",
                self.chain.len()
            )));
        }
        if self.chain.len() >= limits.chain_max {
            return Err(Refusal::Cycle(format!("the chain of calls is {} long, its limit", self.chain.len())));
        }
        Ok(())
    }

    /// Whether the call is run though its time is over: one that may wait is asked once whether it has to, as with a timeout
    /// of zero; then its wait ends at once. The caller of one that comes much too late has said that it gave up.
    ///
    /// Objects do not say so: what their calls were granted would be left with nobody.
    fn may_be_late(&self) -> bool {
        self.parks() && !self.call.session.is_object()
    }

    /// Whether the call may have to wait in the object.
    pub(crate) fn parks(&self) -> bool {
        let method = self.object.object_type.methods.get(usize::from(self.method));
        method.is_some_and(|method| method.parks)
    }
}

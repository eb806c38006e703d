//! All of an object, as a value: how it travels to another copy.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::construction::Made;
use crate::ephemeral::Ephemeral;
use crate::guards::GuardQueue;
use crate::ids::{CallId, LogIndex};
use crate::instance::{Extras, Instance};
use crate::nested::NestedTable;
use crate::rollback::Rollback;
use crate::waiter::ParkedCalls;

/// All of an object, as a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceImage {
    /// The encoded state, if the object exists.
    state: Option<Bytes>,
    lost: bool,
    construction: Option<Box<Made>>,
    made_at: LogIndex,
    applied: LogIndex,
    parked: ParkedCalls,
    queues: BTreeMap<u16, GuardQueue>,
    nested: NestedTable,
    untaken: BTreeMap<CallId, Bytes>,
    /// Then it is lost where the image is installed, and the image has nothing of its state.
    is_ephemeral: bool,
}

impl InstanceImage {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        const PARKED_BYTES: usize = 64;
        64 + self.state.as_ref().map_or(0, Bytes::len) + self.parked.len() * PARKED_BYTES
    }

    /// The encoded state, if the object exists.
    pub fn state(&self) -> Option<&Bytes> {
        self.state.as_ref()
    }
}

impl Instance {
    /// All of the object, as it is now; `None` if there is nothing to be kept.
    pub fn to_image(&self) -> Option<InstanceImage> {
        if self.is_vacant() {
            return None;
        }
        if self.is_ephemeral() {
            return Some(self.to_marker());
        }
        let extras = self.extras.as_deref();
        let state = self.encoded_state().map(Bytes::from);
        Some(InstanceImage {
            // A state that cannot be encoded is lost with its node; nobody may see another one in its place.
            lost: self.lost || (state.is_none() && self.exists()),
            state,
            construction: self.construction.clone(),
            made_at: self.made_at,
            applied: self.applied,
            parked: self.parked.clone(),
            queues: extras.map(|extras| extras.queues.clone()).unwrap_or_default(),
            nested: extras.map(|extras| extras.nested.clone()).unwrap_or_default(),
            untaken: extras.map(|extras| extras.untaken.clone()).unwrap_or_default(),
            is_ephemeral: false,
        })
    }

    /// What another copy has of an ephemeral object: that it was made, and is lost there.
    fn to_marker(&self) -> InstanceImage {
        InstanceImage {
            state: None,
            lost: true,
            construction: self.construction.clone(),
            made_at: self.made_at,
            // Later entries of the log find it as they find it on the other copies; those in between were in no log.
            applied: self.made_at,
            parked: ParkedCalls::new(),
            queues: BTreeMap::new(),
            nested: NestedTable::default(),
            untaken: BTreeMap::new(),
            is_ephemeral: true,
        }
    }

    /// Becomes what `image` is of.
    pub(crate) fn install(&mut self, image: InstanceImage) {
        let InstanceImage {
            state,
            lost,
            construction,
            made_at,
            applied,
            parked,
            queues,
            nested,
            untaken,
            is_ephemeral,
        } = image;
        let decoded = state.as_deref().map(|bytes| (self.object_type.decode)(bytes));
        self.lost = lost || matches!(decoded, Some(Err(_)));
        self.state = decoded.and_then(Result::ok);
        (self.construction, self.made_at, self.applied, self.parked) = (construction, made_at, applied, parked);
        let ephemeral = is_ephemeral.then_some(Ephemeral { made_in: None });
        let has_extras =
            !queues.is_empty() || nested != NestedTable::default() || !untaken.is_empty() || ephemeral.is_some();
        self.extras = has_extras.then(|| Box::new(Extras { queues, nested, untaken, ephemeral }));
        self.rollback = Rollback::default();
    }
}

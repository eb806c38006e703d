//! How a panic in a method leaves the object as it was.
//!
//! A small state is encoded before each write and decoded again after a panic. A large one has a checkpoint, and the entries
//! since then; after a panic it is rebuilt from them, and the entry is applied again without the run that panicked. The
//! checkpoint is renewed once the entries have become as large as it is, so that the cost of a write does not grow with the
//! state, nor with the number of calls that wait in the object.

use std::collections::BTreeMap;

use crate::construction::Made;
use crate::entry::{Entry, Outcomes};
use crate::guards::GuardQueue;
use crate::ids::WaiterId;
use crate::instance::{Extras, Instance};
use crate::nested::NestedTable;
use crate::waiter::ParkedCalls;

/// A state up to this size is encoded before each write.
pub const SMALL_STATE_BYTES_MAX: usize = 512;
/// What a parked call takes in a checkpoint, about.
const PARKED_BYTES: usize = 128;
/// A checkpoint is renewed after so many entries, so that what a large state has become small by is not kept for ever.
const SINCE_MAX: usize = 16_384;
/// The entries since a checkpoint may take eight times what it takes, up to this size.
const SINCE_BYTES_SMALL: usize = 64 * 1024;

/// What a panic is undone by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// Decoding the scratch buffer.
    Restore,
    /// Rebuilding from the checkpoint.
    Rebuild,
}

/// What an object keeps for the case of a panic.
#[derive(Default)]
pub(crate) struct Rollback {
    large: Option<Box<Large>>,
}

/// For a large state.
struct Large {
    checkpoint: Image,
    since: Vec<(Entry, Poisoned)>,
    since_bytes: usize,
    since_bytes_max: usize,
    /// Runs of the current entry that panicked, with their messages.
    poisoned: Poisoned,
    repeat: bool,
}

type Poisoned = BTreeMap<WaiterId, String>;

/// All of an instance, as a value.
struct Image {
    state: Option<Vec<u8>>,
    construction: Option<Box<Made>>,
    parked: ParkedCalls,
    queues: BTreeMap<u16, GuardQueue>,
    nested: NestedTable,
}

impl Rollback {
    /// An entry is about to be applied.
    pub(crate) fn begin(&mut self) {
        if let Some(large) = &mut self.large {
            large.poisoned.clear();
        }
    }

    /// Whether the run with that id panicked in this entry before.
    pub(crate) fn is_poisoned(&self, run: WaiterId) -> bool {
        self.large.as_ref().is_some_and(|large| large.poisoned.contains_key(&run))
    }

    /// What the run with that id said when it panicked.
    pub(crate) fn poison(&self, run: WaiterId) -> Option<String> {
        self.large.as_ref()?.poisoned.get(&run).cloned()
    }

    /// The run with that id panicked: the entry has to be repeated without it.
    pub(crate) fn mark_poisoned(&mut self, run: WaiterId, message: String) {
        if let Some(large) = &mut self.large {
            large.poisoned.insert(run, message);
            large.repeat = true;
        }
    }

    /// Whether the entry at hand will have to be repeated.
    pub(crate) fn will_repeat(&self) -> bool {
        self.large.as_ref().is_some_and(|large| large.repeat)
    }

    /// Whether the entry has to be repeated; asking resets it.
    pub(crate) fn must_repeat(&mut self) -> bool {
        self.large.as_mut().is_some_and(|large| std::mem::take(&mut large.repeat))
    }
}

impl Instance {
    /// The object has been idle: what a panic would be undone by is made anew at the next call.
    pub fn rest(&mut self) {
        self.rests_large |= self.rollback.large.is_some();
        self.rollback = Rollback::default();
    }

    /// The object has just been made, and nothing else was done: a large one needs no encoding for its first run then.
    pub(crate) fn checkpoint_if_large(&mut self) {
        let bytes = self.state.as_ref().and_then(|state| state.encoded_bytes().ok());
        if bytes.is_some_and(|bytes| bytes > SMALL_STATE_BYTES_MAX) {
            self.take_checkpoint();
        }
    }

    /// Prepares for a panic in the run that follows.
    pub(crate) fn save(&mut self, scratch: &mut Vec<u8>) -> Undo {
        if self.rollback.large.is_some() {
            return Undo::Rebuild;
        }
        scratch.clear();
        if let Some(state) = &self.state {
            match state.encode(std::mem::take(scratch)) {
                Ok(bytes) => *scratch = bytes,
                // It cannot be encoded now, so it could not be before the last entry either: nothing better is known.
                Err(_) => scratch.clear(),
            }
        }
        Undo::Restore
    }

    /// Puts back the state that `save` encoded.
    pub(crate) fn restore(&mut self, scratch: &[u8]) {
        self.state = (self.object_type.decode)(scratch).ok();
        self.lost = self.state.is_none();
    }

    /// The entry has been applied: keep what the next panic will need. `scratch_bytes` is the size of the state before it.
    pub(crate) fn rollback_commit(&mut self, entry: &Entry, scratch_bytes: usize) {
        match &mut self.rollback.large {
            None if scratch_bytes > SMALL_STATE_BYTES_MAX => self.take_checkpoint(),
            None => {}
            Some(_) if entry.only_reads(self.object_type) => {}
            Some(large) => {
                large.since_bytes += entry.size();
                large.since.push((entry.to_keep(), std::mem::take(&mut large.poisoned)));
                let since_max = SINCE_MAX.max(large.since_bytes_max / 64);
                if large.since_bytes > large.since_bytes_max || large.since.len() >= since_max {
                    self.take_checkpoint();
                }
            }
        }
    }

    pub(crate) fn take_checkpoint(&mut self) {
        self.rollback.large = None;
        let image = self.image();
        if image.state.as_ref().is_some_and(|state| state.len() > SMALL_STATE_BYTES_MAX) {
            let bytes = image.state.as_ref().map_or(0, Vec::len) + image.parked.len() * PARKED_BYTES;
            let large = Large {
                checkpoint: image,
                since: Vec::new(),
                since_bytes: 0,
                since_bytes_max: bytes.max(SINCE_BYTES_SMALL.min(bytes * 8)),
                poisoned: Poisoned::new(),
                repeat: false,
            };
            self.rollback.large = Some(Box::new(large));
        }
    }

    fn image(&self) -> Image {
        let extras = self.extras.as_deref();
        Image {
            state: self.encoded_state(),
            construction: self.construction.clone(),
            parked: self.parked.clone(),
            queues: extras.map(|extras| extras.queues.clone()).unwrap_or_default(),
            nested: extras.map(|extras| extras.nested.clone()).unwrap_or_default(),
        }
    }

    /// Goes back to before the current entry, from the checkpoint and the entries since.
    pub(crate) fn rebuild(&mut self) {
        let Some(mut large) = self.rollback.large.take() else { return };
        self.state = large.checkpoint.state.as_deref().and_then(|bytes| (self.object_type.decode)(bytes).ok());
        self.lost = self.state.is_none() && large.checkpoint.state.is_some();
        self.construction.clone_from(&large.checkpoint.construction);
        self.parked = large.checkpoint.parked.clone();
        let queues = large.checkpoint.queues.clone();
        let Extras { untaken, ephemeral, .. } = self.extras.take().map(|extras| *extras).unwrap_or_default();
        self.extras = Some(Box::new(Extras { queues, nested: large.checkpoint.nested.clone(), untaken, ephemeral }));
        let current = std::mem::take(&mut large.poisoned);
        let since = std::mem::take(&mut large.since);
        self.rollback.large = Some(large);
        let mut scratch = Vec::new();
        for (entry, poisoned) in &since {
            if let Some(large) = &mut self.rollback.large {
                large.poisoned = poisoned.clone();
            }
            self.apply_kind(entry, &mut scratch, &mut Outcomes::default());
        }
        if let Some(large) = &mut self.rollback.large {
            large.since = since;
            large.poisoned = current;
            large.repeat = false;
        }
    }
}

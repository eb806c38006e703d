//! Ephemeral objects: their state is on one copy only, and is lost with it; that they are there is known to all.
//!
//! The state belongs to the time in which one copy orders, its leadership, from the entry that makes the object on. On every
//! other copy, and for the entries of any other leadership, the object is lost: it answers `ObjectLost` until it is made anew
//! or deleted, which are entries of the log as with any object. So no copy need be told when a state is gone.

use crate::durability::Durability;
use crate::entry::{CallEntry, Entry, Outcomes};
use crate::error::Refusal;
use crate::ids::{Epoch, LogIndex};
use crate::instance::Instance;
use crate::rollback::Rollback;
use crate::turn::Stamp;

/// Of an ephemeral object, which leadership its state belongs to; `None` where it was made by an entry of another copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ephemeral {
    pub(crate) made_in: Option<Epoch>,
}

impl Instance {
    /// Whether the object's state is on one copy only.
    pub fn is_ephemeral(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.ephemeral.is_some())
    }

    /// The place in the log of the entry that made the object, if it was made.
    pub fn made_at(&self) -> LogIndex {
        self.made_at
    }

    /// The leadership to which the state of the object belongs, if it is ephemeral and has one.
    pub(crate) fn home(&self) -> Option<Epoch> {
        self.state.as_ref().and(self.extras.as_ref()?.ephemeral?.made_in)
    }

    /// The object has just been made by that call: its state stays only where it may.
    pub(crate) fn note_durability(&mut self, call: &CallEntry, led: Option<Epoch>) {
        if call.durability == Some(Durability::Ephemeral) {
            self.extras.get_or_insert_default().ephemeral = Some(Ephemeral { made_in: led });
            if led.is_none() && !planted!(FreshEphemeral) {
                (self.state, self.lost) = (None, true);
            }
        } else if let Some(extras) = &mut self.extras {
            extras.ephemeral = None;
        }
    }

    /// Whether the object is as the caller's handle says.
    pub(crate) fn check_durability(&self, asked: Option<Durability>) -> Result<(), Refusal> {
        let Some(asked) = asked else { return Ok(()) };
        if self.is_ephemeral() == (asked == Durability::Ephemeral) {
            return Ok(());
        }
        let made = if self.is_ephemeral() { "ephemeral" } else { "replicated" };
        Err(Refusal::OtherDurability { made: made.to_owned(), caller: asked.to_string() })
    }

    /// An entry is about to be applied: one of another leadership than that of the object's state finds it lost.
    pub(crate) fn lose_if_elsewhere(&mut self, entry: &Entry, out: &mut Outcomes) {
        if self.home().is_some_and(|home| entry.led != Some(home)) {
            self.lose(entry.stamp, out);
        }
    }

    fn lose(&mut self, stamp: Stamp, out: &mut Outcomes) {
        self.dismiss(stamp, out);
        if let Some(extras) = &mut self.extras {
            extras.untaken.clear();
        }
        self.rollback = Rollback::default();
        (self.state, self.lost, self.rests_large) = (None, true, false);
        // What was applied since the object was made was in no other copy's log: theirs may go on with lower places.
        self.applied = self.made_at;
    }
}

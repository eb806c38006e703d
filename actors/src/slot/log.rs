//! The log of a slot: what has been ordered and not been handed out to be applied, or may still have to be shipped.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::entry::EntryKind;
use crate::error::Fault;
use crate::ids::{CallId, Epoch, JobId, LogIndex, SessionId};
use crate::object::ObjectType;
use crate::objects_table::{ObjectName, ObjectNumber};
use crate::turn::Stamp;

/// A place in a log: two logs that have an entry of one index and one epoch are equal up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPlace {
    /// The entry's index.
    pub index: LogIndex,
    /// The epoch in which it was ordered.
    pub epoch: Epoch,
}

/// One thing in a slot's log.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) stamp: Stamp,
    pub(crate) epoch: Epoch,
    pub(crate) item: Item,
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// Something happens to an object.
    Object(Target, EntryKind),
    /// A call that was never accepted never will be.
    Kill { call: CallId, fault: Fault, expires_ms: u64 },
    /// A session has ended: its replies may be forgotten after that time.
    EndSession {
        session: SessionId,
        until_ms: u64,
        /// The request that asked for it, which this copy was sent.
        asked: Option<CallId>,
    },
}

/// The object of an entry: a copy that has not committed the entry may not have the object yet.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Number(ObjectNumber),
    Name(Arc<OwnedName>),
}

/// An object's name, kept.
#[derive(Debug)]
pub(crate) struct OwnedName {
    pub(crate) hash: u64,
    pub(crate) job: JobId,
    pub(crate) object_type: &'static ObjectType,
    pub(crate) key: String,
}

impl OwnedName {
    pub(crate) fn name(&self) -> ObjectName<'_> {
        ObjectName { hash: self.hash, job: self.job, object_type: self.object_type, key: &self.key }
    }
}

impl Logged {
    pub(crate) fn place(&self) -> LogPlace {
        LogPlace { index: self.stamp.index, epoch: self.epoch }
    }
}

/// The part of a slot's log that is still needed.
#[derive(Debug)]
pub(crate) struct Log {
    /// Where the entry before the first one stood.
    base: LogPlace,
    entries: VecDeque<Logged>,
    /// How many of the first entries have been handed out already, and are kept only to be shipped.
    n_handed: usize,
}

impl Log {
    pub(crate) fn new(base: LogPlace) -> Self {
        Self { base, entries: VecDeque::new(), n_handed: 0 }
    }

    /// Where the last entry stands.
    pub(crate) fn last(&self) -> LogPlace {
        self.entries.back().map_or(self.base, Logged::place)
    }

    pub(crate) fn base(&self) -> LogPlace {
        self.base
    }

    pub(crate) fn push(&mut self, logged: Logged) {
        self.entries.push_back(logged);
    }

    /// The place of the entry with that index, if the log has it.
    pub(crate) fn place_of(&self, index: LogIndex) -> Option<LogPlace> {
        if index == self.base.index {
            return Some(self.base);
        }
        let logged = self.entries.get(self.position_after(index).checked_sub(1)?)?;
        (logged.stamp.index == index).then(|| logged.place())
    }

    /// The place of the last entry whose index is at most `index`.
    pub(crate) fn place_at_most(&self, index: LogIndex) -> LogPlace {
        let before = self.position_after(index).checked_sub(1);
        before.map_or(self.base, |position| self.entries[position].place())
    }

    /// The entries behind that index.
    pub(crate) fn after(&self, index: LogIndex) -> impl Iterator<Item = &Logged> {
        self.entries.range(self.position_after(index)..)
    }

    /// The entries that have not been handed out.
    pub(crate) fn unhanded_mut(&mut self) -> impl Iterator<Item = &mut Logged> {
        self.entries.range_mut(self.n_handed..)
    }

    /// Drops the entries behind `index`; none that was handed out can be among them.
    pub(crate) fn truncate_after(&mut self, index: LogIndex) {
        let position = self.position_after(index);
        self.entries.truncate(position.max(self.n_handed));
    }

    /// Takes the next entry up to `committed` that has not been handed out. Entries behind `keep_after` stay to be shipped.
    pub(crate) fn hand_out(&mut self, committed: LogIndex, keep_after: LogIndex) -> Option<Logged> {
        let next = self.entries.get(self.n_handed).filter(|logged| logged.stamp.index <= committed)?;
        if self.n_handed == 0 && next.stamp.index <= keep_after {
            let logged = self.entries.pop_front()?;
            self.base = logged.place();
            return Some(logged);
        }
        let logged = next.clone();
        self.n_handed += 1;
        Some(logged)
    }

    /// Drops what has been handed out and is held by everybody up to `index`.
    pub(crate) fn trim(&mut self, index: LogIndex) {
        while self.n_handed > 0
            && let Some(first) = self.entries.front().filter(|logged| logged.stamp.index <= index)
        {
            self.base = first.place();
            self.entries.pop_front();
            self.n_handed -= 1;
        }
    }

    /// How many entries are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn position_after(&self, index: LogIndex) -> usize {
        self.entries.partition_point(|logged| logged.stamp.index <= index)
    }
}

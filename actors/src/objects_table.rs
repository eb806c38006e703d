//! The objects of one slot, by number and by name.

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::HashTable;

use crate::ids::{JobId, LogIndex, WaiterId};
use crate::instance::Instance;
use crate::object::ObjectType;

/// The core of an object, shared by its slot and its actor, which are on one thread.
pub type SharedInstance = Rc<RefCell<Instance>>;

/// An object's place in its slot's table. It is given to another object only after this one has been removed.
pub type ObjectNumber = u32;

/// An object of a slot.
#[derive(Debug)]
pub struct ObjectEntry {
    hash: u64,
    job: JobId,
    object_type: &'static ObjectType,
    key: Box<str>,
    instance: SharedInstance,
    /// Entries that are committed and not yet applied.
    queued: u32,
    /// Calls that waited in the object after the last entry.
    parked: u32,
    /// Whether the object existed after the last entry.
    exists: bool,
    /// The low half of the last entry's place in the log.
    last_index: u32,
}

impl ObjectEntry {
    /// What names the object.
    pub fn name(&self) -> ObjectName<'_> {
        ObjectName { hash: self.hash, job: self.job, object_type: self.object_type, key: &self.key }
    }

    /// The object's job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The object's type.
    pub fn object_type(&self) -> &'static ObjectType {
        self.object_type
    }

    /// The object's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The object's hash.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The object's core.
    pub fn instance(&self) -> &SharedInstance {
        &self.instance
    }

    /// How many entries are committed and not yet applied.
    pub fn queued(&self) -> u32 {
        self.queued
    }

    /// How many calls wait in the object.
    pub fn parked(&self) -> u32 {
        self.parked
    }

    /// Another number after each entry that may have changed the object, and never 0.
    ///
    /// It also tells an object from an earlier one of its name. Two states that are 2^32 entries of their slot apart can share it.
    pub fn version(&self) -> u64 {
        u64::from(self.last_index) + 1
    }

    /// Whether nothing is on its way to the object.
    pub fn is_quiet(&self) -> bool {
        self.queued == 0
    }
}

/// The objects of one slot.
#[derive(Debug, Default)]
pub struct ObjectTable {
    entries: Vec<Option<ObjectEntry>>,
    free: Vec<ObjectNumber>,
    by_hash: HashTable<(u64, ObjectNumber)>,
    n_existing: u64,
    n_parked: u64,
}

/// What names an object, with its hash.
#[derive(Clone, Copy, Debug)]
pub struct ObjectName<'a> {
    /// [`hash_object`](crate::hash_object) of the rest.
    pub hash: u64,
    /// The object's job.
    pub job: JobId,
    /// The object's type.
    pub object_type: &'static ObjectType,
    /// The object's key.
    pub key: &'a str,
}

impl ObjectTable {
    /// The object of that name.
    pub fn find(&self, name: ObjectName<'_>) -> Option<ObjectNumber> {
        let same = |entry: &ObjectEntry| {
            entry.job == name.job && *entry.key == *name.key && std::ptr::eq(entry.object_type, name.object_type)
        };
        let found =
            self.by_hash.find(name.hash, |&(hash, object)| hash == name.hash && self.get(object).is_some_and(same));
        found.map(|&(_, object)| object)
    }

    /// The object of that name, added if it is not there.
    pub(crate) fn find_or_add(&mut self, name: ObjectName<'_>) -> ObjectNumber {
        if let Some(object) = self.find(name) {
            return object;
        }
        let ObjectName { hash, job, object_type, key } = name;
        let instance = Rc::new(RefCell::new(Instance::vacant(object_type, hash)));
        let entry = ObjectEntry {
            hash,
            job,
            object_type,
            key: key.into(),
            instance,
            queued: 0,
            parked: 0,
            exists: false,
            last_index: 0,
        };
        let object = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        self.entries[object as usize] = Some(entry);
        self.by_hash.insert_unique(hash, (hash, object), |entry| entry.0);
        object
    }

    /// The object of that number.
    pub fn get(&self, object: ObjectNumber) -> Option<&ObjectEntry> {
        self.entries.get(object as usize)?.as_ref()
    }

    /// All objects with their numbers, in the order of the numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectNumber, &ObjectEntry)> {
        self.iter_from(0)
    }

    /// The objects from that number on. An object keeps its number, so what is there all the time is found once.
    pub fn iter_from(&self, first: ObjectNumber) -> impl Iterator<Item = (ObjectNumber, &ObjectEntry)> {
        let entries = self.entries.get(first as usize..).unwrap_or_default();
        (first..).zip(entries).filter_map(|(object, entry)| Some((object, entry.as_ref()?)))
    }

    /// How many objects the table has.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether the table has no object.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Removes the object if it does not exist and nothing is on its way to it; returns whether it was removed.
    pub fn remove_vacant(&mut self, object: ObjectNumber) -> bool {
        let Some(entry) = self.get(object) else { return false };
        if !entry.is_quiet() || !entry.instance.borrow().is_vacant() {
            return false;
        }
        let hash = entry.hash;
        if let Ok(found) = self.by_hash.find_entry(hash, |entry| entry.1 == object) {
            found.remove();
        }
        self.entries[object as usize] = None;
        self.free.push(object);
        true
    }

    /// Lets go of so many objects of a table into which nobody looks any more; whether those were the last.
    pub(crate) fn shed(&mut self, count: usize) -> bool {
        self.entries.truncate(self.entries.len().saturating_sub(count));
        self.entries.is_empty()
    }

    /// How many objects of the table exist; the others have been deleted, or never made.
    pub fn n_existing(&self) -> u64 {
        self.n_existing
    }

    /// How many calls wait in the table's objects.
    pub fn n_parked(&self) -> u64 {
        self.n_parked
    }

    pub(crate) fn exists(&self, object: ObjectNumber) -> bool {
        self.get(object).is_some_and(|entry| entry.exists)
    }

    pub(crate) fn queued(&self, object: ObjectNumber) -> u32 {
        self.get(object).map_or(0, |entry| entry.queued)
    }

    /// Whether so many calls of a method wait in the object.
    pub(crate) fn has_parked(&self, object: ObjectNumber, method: u16, count: u32) -> bool {
        let Some(entry) = self.get(object).filter(|entry| entry.parked >= count) else { return false };
        entry.instance.borrow().parked().count_of(method) >= count
    }

    /// The method of a call, if it waits in the object.
    pub(crate) fn parked_method(&self, object: ObjectNumber, waiter: WaiterId) -> Option<u16> {
        self.get(object)?.instance.borrow().parked().get(&waiter).map(|parked| parked.method)
    }

    pub(crate) fn of_job(&self, job: JobId) -> Vec<ObjectNumber> {
        self.iter().filter(|(_, entry)| entry.job == job).map(|(object, _)| object).collect()
    }

    pub(crate) fn note_queued(&mut self, object: ObjectNumber) {
        if let Some(Some(entry)) = self.entries.get_mut(object as usize) {
            entry.queued += 1;
        }
    }

    /// The object's actor has applied that many entries, the last one at that place in the log.
    pub(crate) fn note_applied(&mut self, object: ObjectNumber, count: u32, last: LogIndex) {
        let Some(Some(entry)) = self.entries.get_mut(object as usize) else { return };
        entry.queued = entry.queued.saturating_sub(count);
        let (parked, exists) = {
            let instance = entry.instance.borrow();
            (u32::try_from(instance.parked().len()).unwrap_or(u32::MAX), instance.exists())
        };
        self.n_parked = self.n_parked - u64::from(entry.parked) + u64::from(parked);
        self.n_existing = self.n_existing - u64::from(entry.exists) + u64::from(exists);
        (entry.parked, entry.exists) = (parked, exists);
        entry.last_index = (last.0 & 0xFFFF_FFFF) as u32;
    }
}

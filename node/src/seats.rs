//! The actors of a shard's objects: which object has one, which of them has idled longest, and how they end a few at a time.

use std::collections::BTreeSet;

use greenroom_actors::{ObjectNumber, SlotId};
use hashbrown::HashMap;

use crate::core::ObjectAt;

/// An object's actor.
struct Seat<A> {
    actor: A,
    used_ms: u64,
}

/// The actors of a shard's objects, by their addresses. An actor whose only address is dropped ends.
pub(crate) struct Seats<A> {
    /// By slot, so that those of a slot that goes are found at once.
    of_slot: Vec<HashMap<ObjectNumber, Seat<A>>>,
    len: usize,
    /// When each was used, as it was known when it was looked at last. Since no use is later than it says, whoever is first
    /// has idled longest, or is put in its place when it is looked at.
    by_use: BTreeSet<(u64, SlotId, ObjectNumber)>,
    /// Actors of slots that have gone.
    ending: Vec<A>,
}

impl<A> Default for Seats<A> {
    fn default() -> Self {
        Self { of_slot: Vec::new(), len: 0, by_use: BTreeSet::new(), ending: Vec::new() }
    }
}

impl<A> Seats<A> {
    /// How many objects have an actor.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the object has an actor.
    pub(crate) fn has(&self, (slot, object): ObjectAt) -> bool {
        self.of_slot.get(usize::from(slot.0)).is_some_and(|seats| seats.contains_key(&object))
    }

    /// The object's actor, which is used now.
    pub(crate) fn used(&mut self, (slot, object): ObjectAt, now_ms: u64) -> Option<&A> {
        let seat = self.of_slot.get_mut(usize::from(slot.0))?.get_mut(&object)?;
        seat.used_ms = now_ms;
        Some(&seat.actor)
    }

    /// Adds an object's actor, which is used now.
    pub(crate) fn add(&mut self, (slot, object): ObjectAt, actor: A, now_ms: u64) {
        let index = usize::from(slot.0);
        if self.of_slot.len() <= index {
            self.of_slot.resize_with(index + 1, HashMap::new);
        }
        if self.of_slot[index].insert(object, Seat { actor, used_ms: now_ms }).is_none() {
            self.len += 1;
        }
        self.by_use.insert((now_ms, slot, object));
    }

    /// Ends the object's actor: nothing is in its mailbox.
    pub(crate) fn end(&mut self, (slot, object): ObjectAt) {
        let seats = self.of_slot.get_mut(usize::from(slot.0));
        if seats.and_then(|seats| seats.remove(&object)).is_some() {
            self.len -= 1;
        }
    }

    /// A slot has gone: its actors end, each when its turn comes.
    pub(crate) fn slot_gone(&mut self, slot: SlotId) {
        let Some(seats) = self.of_slot.get_mut(usize::from(slot.0)) else { return };
        self.len -= seats.len();
        self.ending.extend(std::mem::take(seats).into_values().map(|seat| seat.actor));
    }

    /// Ends so many actors of slots that have gone. Each is a task that has to run once more, and calls wait behind it.
    pub(crate) fn end_some(&mut self, count: usize) {
        self.ending.truncate(self.ending.len().saturating_sub(count));
        if self.ending.is_empty() {
            self.ending = Vec::new();
        }
    }

    /// The actor that has idled longest, if it was not used after `since_ms`. It is found again only after
    /// [`put_off`](Self::put_off). Each look costs one of `looks`.
    pub(crate) fn next_idle(&mut self, since_ms: u64, looks: &mut usize) -> Option<ObjectAt> {
        while *looks > 0 {
            let &(used_ms, slot, object) = self.by_use.first().filter(|first| first.0 <= since_ms)?;
            *looks -= 1;
            self.by_use.pop_first();
            match self.of_slot.get(usize::from(slot.0)).and_then(|seats| seats.get(&object)) {
                Some(seat) if seat.used_ms == used_ms => return Some((slot, object)),
                Some(seat) => drop(self.by_use.insert((seat.used_ms, slot, object))),
                None => {}
            }
        }
        None
    }

    /// The actor is looked at again when it has idled from now on.
    pub(crate) fn put_off(&mut self, (slot, object): ObjectAt, now_ms: u64) {
        if self.used((slot, object), now_ms).is_some() {
            self.by_use.insert((now_ms, slot, object));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    const SLOT: SlotId = SlotId(3);

    /// So many actors, each used a millisecond after the one before.
    fn seats(count: u32) -> (Seats<Rc<()>>, Rc<()>) {
        let (mut seats, actor) = (Seats::default(), Rc::new(()));
        for object in 0..count {
            seats.add((SLOT, object), Rc::clone(&actor), u64::from(object));
        }
        (seats, actor)
    }

    #[test]
    fn who_was_used_last_is_found_last() {
        let (mut seats, _) = seats(4);
        seats.used((SLOT, 0), 10);
        let idle: Vec<_> = std::iter::from_fn(|| seats.next_idle(20, &mut 100)).collect();
        assert_eq!(idle, [1, 2, 3, 0].map(|object| (SLOT, object)));
    }

    #[test]
    fn who_was_used_lately_is_not_found() {
        let (mut seats, _) = seats(2);
        seats.used((SLOT, 0), 10);
        assert_eq!(seats.next_idle(9, &mut 100), Some((SLOT, 1)));
        seats.put_off((SLOT, 1), 12);
        assert_eq!(seats.next_idle(9, &mut 100), None);
        assert_eq!(seats.next_idle(12, &mut 100), Some((SLOT, 0)));
        assert_eq!(seats.next_idle(12, &mut 100), Some((SLOT, 1)));
    }

    #[test]
    fn looking_costs_looks() {
        let (mut seats, _) = seats(10);
        for object in 0..10 {
            seats.used((SLOT, object), 100);
        }
        let mut looks = 4;
        assert_eq!((seats.next_idle(50, &mut looks), looks), (None, 0));
        assert_eq!(seats.next_idle(50, &mut 100), None);
        assert_eq!(seats.next_idle(100, &mut 1), Some((SLOT, 0)));
    }

    #[test]
    fn the_actors_of_a_slot_that_has_gone_end_a_few_at_a_time() {
        let (mut seats, actor) = seats(10);
        seats.add((SlotId(4), 0), Rc::clone(&actor), 0);
        seats.slot_gone(SLOT);
        assert_eq!((seats.len(), seats.has((SLOT, 0)), Rc::strong_count(&actor)), (1, false, 12));
        seats.end_some(4);
        assert_eq!(Rc::strong_count(&actor), 8);
        seats.end_some(100);
        assert_eq!((Rc::strong_count(&actor), seats.has((SlotId(4), 0))), (2, true));
        assert_eq!(seats.next_idle(100, &mut 100), Some((SlotId(4), 0)), "those that are gone are not found");
    }
}

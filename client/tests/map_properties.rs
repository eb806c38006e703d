//! Maps and sets against those of `std`: random operations, on the pure state machine, through the public API.

mod stage;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use greenroom::Combine;
use greenroom::collections::{KeyOrder, KeyedMap, Map, MapSnapshot, Ordered, OrderedMap, OrderedSet, Set};
use proptest::prelude::*;
use proptest::sample::select;
use stage::Stage;

/// Keys that have beginnings in common, and collide often.
type Key = (i8, String);

fn key() -> impl Strategy<Value = Key> {
    (-2..3_i8, select(vec!["", "a", "ab", "a\0", "abcdefgh", "abcdefgh\0", "b"]))
        .prop_map(|(number, text)| (number, text.to_owned()))
}

fn keys() -> impl Strategy<Value = Vec<Key>> {
    prop::collection::vec(key(), 0..6)
}

fn bound() -> impl Strategy<Value = Bound<Key>> {
    prop_oneof![Just(Bound::Unbounded), key().prop_map(Bound::Included), key().prop_map(Bound::Excluded)]
}

#[derive(Clone, Debug)]
enum Change {
    Insert(Key, i32),
    Replace(Key, i32),
    GetOrInsert(Key, i32),
    Exchange(Key, Option<i32>, Option<i32>),
    Update(Key, i32),
    Merge(Key, i32),
    MergeAll(Vec<Key>, i32),
    Extend(Vec<Key>, i32),
    Remove(Key),
    RemoveMany(Vec<Key>),
    Clear,
}

fn change() -> impl Strategy<Value = Change> {
    let value = || -2..3_i32;
    let maybe = || prop::option::of(-2..3_i32);
    prop_oneof![
        6 => (key(), value()).prop_map(|(key, value)| Change::Insert(key, value)),
        1 => (key(), value()).prop_map(|(key, value)| Change::Replace(key, value)),
        1 => (key(), value()).prop_map(|(key, value)| Change::GetOrInsert(key, value)),
        2 => (key(), maybe(), maybe()).prop_map(|(key, current, new)| Change::Exchange(key, current, new)),
        1 => (key(), value()).prop_map(|(key, value)| Change::Update(key, value)),
        1 => (key(), value()).prop_map(|(key, value)| Change::Merge(key, value)),
        2 => (keys(), value()).prop_map(|(keys, value)| Change::MergeAll(keys, value)),
        4 => (keys(), value()).prop_map(|(keys, value)| Change::Extend(keys, value)),
        3 => key().prop_map(Change::Remove),
        1 => keys().prop_map(Change::RemoveMany),
        1 => Just(Change::Clear),
    ]
}

/// Makes the change in the map and in that of `std`; they say the same.
fn make<O: KeyOrder>(
    map: &KeyedMap<Key, i32, O>,
    model: &mut BTreeMap<Key, i32>,
    change: Change,
) -> Result<(), TestCaseError> {
    match change {
        Change::Insert(key, value) => prop_assert_eq!(map.insert(key.clone(), value), Ok(model.insert(key, value))),
        Change::Replace(key, value) => {
            let expected = model.get_mut(&key).map(|there| std::mem::replace(there, value));
            prop_assert_eq!(map.replace(key, value), Ok(expected));
        }
        Change::GetOrInsert(key, value) => {
            let expected = *model.entry(key.clone()).or_insert(value);
            prop_assert_eq!(map.get_or_insert(key, value), Ok(expected));
        }
        Change::Exchange(key, current, new) => {
            let there = model.get(&key).copied();
            let expected = if there == current { Ok(there) } else { Err(there) };
            prop_assert_eq!(map.compare_exchange(key.clone(), current.as_ref(), new), Ok(expected));
            if there == current {
                put(model, key, new);
            }
        }
        Change::Update(key, value) => {
            let change = |there: Option<i32>| there.map(|there| there + value).filter(|sum| *sum != 0);
            let there = model.get(&key).copied();
            prop_assert_eq!(map.update(key.clone(), change), Ok(there));
            put(model, key, change(there));
        }
        Change::Merge(key, value) => {
            let expected = *model.entry(key.clone()).and_modify(|there| *there += value).or_insert(value);
            prop_assert_eq!(map.merge(key, value, Combine::sum()), Ok(expected));
        }
        Change::MergeAll(keys, value) => {
            for key in keys.clone() {
                model.entry(key).and_modify(|there| *there = value.max(*there)).or_insert(value);
            }
            prop_assert_eq!(map.merge_all(keys.into_iter().map(|key| (key, value)), Combine::max()), Ok(()));
        }
        Change::Extend(keys, value) => {
            let before = model.len();
            // Each with another value, so that the last one of a key counts.
            let entries: Vec<(Key, i32)> = keys.into_iter().zip(value..).collect();
            model.extend(entries.clone());
            prop_assert_eq!(map.extend(entries), Ok((model.len() - before) as u64));
        }
        Change::Remove(key) => prop_assert_eq!(map.remove(&key), Ok(model.remove(&key))),
        Change::RemoveMany(keys) => {
            let removed = keys.iter().filter(|key| model.remove(*key).is_some()).count();
            prop_assert_eq!(map.remove_many(&keys), Ok(removed as u64));
        }
        Change::Clear => {
            model.clear();
            prop_assert_eq!(map.clear(), Ok(()));
        }
    }
    prop_assert_eq!(map.len(), Ok(model.len() as u64));
    Ok(())
}

fn put(model: &mut BTreeMap<Key, i32>, key: Key, value: Option<i32>) {
    model.remove(&key);
    model.extend(value.map(|value| (key, value)));
}

#[derive(Clone, Debug)]
enum Step {
    Change(Change),
    Range(Bound<Key>, Bound<Key>, Vec<bool>),
    Count(Bound<Key>, Bound<Key>),
    RemoveRange(Bound<Key>, Bound<Key>),
    PopFirst,
    PopLast,
    Ends(usize),
    Snapshot,
    ReadSnapshot(prop::sample::Index, Key),
    DropSnapshot(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => change().prop_map(Step::Change),
        2 => (bound(), bound(), prop::collection::vec(any::<bool>(), 50))
            .prop_map(|(lower, upper, ends)| Step::Range(lower, upper, ends)),
        1 => (bound(), bound()).prop_map(|(lower, upper)| Step::Count(lower, upper)),
        1 => (bound(), bound()).prop_map(|(lower, upper)| Step::RemoveRange(lower, upper)),
        1 => Just(Step::PopFirst),
        1 => Just(Step::PopLast),
        1 => (0..4_usize).prop_map(Step::Ends),
        2 => Just(Step::Snapshot),
        3 => (any::<prop::sample::Index>(), key()).prop_map(|(which, key)| Step::ReadSnapshot(which, key)),
        1 => any::<prop::sample::Index>().prop_map(Step::DropSnapshot),
    ]
}

/// The entries of a range; `std` panics where it ends before it starts.
fn in_range(model: &BTreeMap<Key, i32>, range: &(Bound<Key>, Bound<Key>)) -> Vec<(Key, i32)> {
    let inside = |key: &Key| {
        let above = match &range.0 {
            Bound::Included(lower) => key >= lower,
            Bound::Excluded(lower) => key > lower,
            Bound::Unbounded => true,
        };
        above
            && match &range.1 {
                Bound::Included(upper) => key <= upper,
                Bound::Excluded(upper) => key < upper,
                Bound::Unbounded => true,
            }
    };
    model.iter().filter(|(key, _)| inside(key)).map(|(key, value)| (key.clone(), *value)).collect()
}

type Snapshots = Vec<(MapSnapshot<Key, i32, Ordered>, BTreeMap<Key, i32>)>;

fn take_step(
    map: &OrderedMap<Key, i32>,
    model: &mut BTreeMap<Key, i32>,
    snapshots: &mut Snapshots,
    step: Step,
) -> Result<(), TestCaseError> {
    match step {
        Step::Change(change) => make(map, model, change)?,
        Step::Range(lower, upper, ends) => {
            let range = (lower, upper);
            let (mut left, mut iter) = (std::collections::VecDeque::from(in_range(model, &range)), map.range(range));
            for front in ends {
                let (next, expected) =
                    if front { (iter.next(), left.pop_front()) } else { (iter.next_back(), left.pop_back()) };
                prop_assert_eq!(next.transpose(), Ok(expected));
            }
        }
        Step::Count(lower, upper) => {
            let range = (lower, upper);
            prop_assert_eq!(map.count(range.clone()), Ok(in_range(model, &range).len() as u64));
        }
        Step::RemoveRange(lower, upper) => {
            let range = (lower, upper);
            let removed = in_range(model, &range);
            model.retain(|key, _| !removed.iter().any(|(gone, _)| gone == key));
            prop_assert_eq!(map.remove_range(range), Ok(removed.len() as u64));
        }
        Step::PopFirst => prop_assert_eq!(map.pop_first(), Ok(model.pop_first())),
        Step::PopLast => prop_assert_eq!(map.pop_last(), Ok(model.pop_last())),
        Step::Ends(count) => {
            let owned = |(key, value): (&Key, &i32)| (key.clone(), *value);
            prop_assert_eq!(map.first_key_value(), Ok(model.first_key_value().map(owned)));
            prop_assert_eq!(map.last_key_value(), Ok(model.last_key_value().map(owned)));
            prop_assert_eq!(map.top(count), Ok(model.iter().rev().take(count).map(owned).collect()));
            prop_assert_eq!(map.bottom(count), Ok(model.iter().take(count).map(owned).collect()));
        }
        Step::Snapshot if snapshots.len() < 16 => {
            snapshots.push((map.snapshot().expect("there are few"), model.clone()));
        }
        Step::ReadSnapshot(which, key) if !snapshots.is_empty() => {
            let (snapshot, then) = which.get(snapshots);
            prop_assert_eq!(snapshot.to_map(), Ok(then.clone()));
            prop_assert_eq!(snapshot.get(&key), Ok(then.get(&key).copied()));
            let above = (Bound::Excluded(key), Bound::Unbounded);
            let backward: Result<Vec<_>, _> = snapshot.range(above.clone()).rev().collect();
            prop_assert_eq!(backward, Ok(in_range(then, &above).into_iter().rev().collect()));
        }
        Step::DropSnapshot(which) if !snapshots.is_empty() => drop(snapshots.swap_remove(which.index(snapshots.len()))),
        Step::Snapshot | Step::ReadSnapshot(..) | Step::DropSnapshot(_) => {}
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum SetStep {
    Insert(Key),
    Extend(Vec<Key>),
    Remove(Key),
    RemoveMany(Vec<Key>),
    RetainAll(Vec<Key>),
    Intersect(Vec<Key>),
    PopFirst,
    PopLast,
    Range(Bound<Key>),
    Clear,
}

fn set_step() -> impl Strategy<Value = SetStep> {
    prop_oneof![
        4 => key().prop_map(SetStep::Insert),
        4 => keys().prop_map(SetStep::Extend),
        2 => key().prop_map(SetStep::Remove),
        1 => keys().prop_map(SetStep::RemoveMany),
        1 => keys().prop_map(SetStep::RetainAll),
        2 => keys().prop_map(SetStep::Intersect),
        1 => Just(SetStep::PopFirst),
        1 => Just(SetStep::PopLast),
        1 => bound().prop_map(SetStep::Range),
        1 => Just(SetStep::Clear),
    ]
}

/// The same to an ordered and to an unordered set.
fn take_set_step(
    ordered: &OrderedSet<Key>,
    set: &Set<Key>,
    model: &mut BTreeSet<Key>,
    step: SetStep,
) -> Result<(), TestCaseError> {
    match step {
        SetStep::Insert(key) => {
            let new = model.insert(key.clone());
            prop_assert_eq!((ordered.insert(key.clone()), set.insert(key)), (Ok(new), Ok(new)));
        }
        SetStep::Extend(keys) => {
            let before = model.len();
            model.extend(keys.clone());
            let new = (model.len() - before) as u64;
            prop_assert_eq!((ordered.extend(keys.clone()), set.extend(keys)), (Ok(new), Ok(new)));
        }
        SetStep::Remove(key) => {
            let there = model.remove(&key);
            prop_assert_eq!((ordered.remove(&key), set.remove(&key)), (Ok(there), Ok(there)));
        }
        SetStep::RemoveMany(keys) => {
            let there = keys.iter().filter(|key| model.remove(*key)).count() as u64;
            prop_assert_eq!((ordered.remove_many(&keys), set.remove_many(&keys)), (Ok(there), Ok(there)));
        }
        SetStep::RetainAll(keys) => {
            let before = model.len();
            model.retain(|key| keys.contains(key));
            let gone = (before - model.len()) as u64;
            prop_assert_eq!((ordered.retain_all(&keys), set.retain_all(&keys)), (Ok(gone), Ok(gone)));
        }
        SetStep::Intersect(keys) => {
            let there: Vec<bool> = keys.iter().map(|key| model.contains(key)).collect();
            prop_assert_eq!(set.contains_many(&keys), Ok(there));
            let inside: Vec<&Key> = keys.iter().filter(|key| model.contains(*key)).collect();
            prop_assert_eq!(ordered.intersection(&keys), Ok(inside));
        }
        SetStep::PopFirst => {
            let first = model.pop_first();
            prop_assert_eq!(ordered.pop_first(), Ok(first.clone()));
            first.iter().for_each(|first| assert_eq!(set.remove(first), Ok(true)));
        }
        SetStep::PopLast => {
            let last = model.pop_last();
            prop_assert_eq!(ordered.pop_last(), Ok(last.clone()));
            last.iter().for_each(|last| assert_eq!(set.remove(last), Ok(true)));
        }
        SetStep::Range(lower) => {
            let expected: Vec<Key> = model.range((lower.clone(), Bound::Unbounded)).cloned().collect();
            prop_assert_eq!(ordered.count((lower.clone(), Bound::Unbounded)), Ok(expected.len() as u64));
            let found: Result<Vec<Key>, _> = ordered.range((lower, Bound::Unbounded)).collect();
            prop_assert_eq!(found, Ok(expected));
        }
        SetStep::Clear => {
            model.clear();
            prop_assert_eq!((ordered.clear(), set.clear()), (Ok(()), Ok(())));
        }
    }
    prop_assert_eq!(ordered.to_set(), Ok(model.clone()));
    prop_assert_eq!(set.to_set(), Ok(model.iter().cloned().collect::<HashSet<_>>()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_map_does_what_a_hash_map_does(changes in prop::collection::vec(change(), 50)) {
        let stage = Stage::pure();
        let session = stage.session();
        let map = Map::<Key, i32>::named("m").through(session.caller());
        let mut model = BTreeMap::new();
        for change in changes {
            make(&map, &mut model, change)?;
        }
        prop_assert_eq!(map.to_map(), Ok(HashMap::from_iter(model)));
    }

    #[test]
    fn an_ordered_map_does_what_a_btree_map_does(steps in prop::collection::vec(step(), 50)) {
        let stage = Stage::pure();
        let session = stage.session();
        let map = OrderedMap::<Key, i32>::named("m").through(session.caller());
        let (mut model, mut snapshots) = (BTreeMap::new(), Vec::new());
        for step in steps {
            take_step(&map, &mut model, &mut snapshots, step)?;
        }
        prop_assert_eq!(map.to_map(), Ok(model));
        for (snapshot, then) in snapshots {
            prop_assert_eq!(snapshot.to_map(), Ok(then));
        }
    }

    #[test]
    fn sets_do_what_those_of_std_do(steps in prop::collection::vec(set_step(), 50)) {
        let stage = Stage::pure();
        let session = stage.session();
        let ordered = OrderedSet::<Key>::named("ordered").through(session.caller());
        let set = Set::<Key>::named("set").through(session.caller());
        let mut model = BTreeSet::new();
        for step in steps {
            take_set_step(&ordered, &set, &mut model, step)?;
        }
    }
}

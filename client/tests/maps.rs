//! What `Map`, `OrderedMap`, `Set` and `OrderedSet` promise, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, Ordering};

use greenroom::collections::{Map, OrderedMap, OrderedSet, Set};
use greenroom::{Combine, CombineError, Error, Refusal, combine};
use serde::{Deserialize, Deserializer, Serialize};
use stage::{Stage, scenarios};

scenarios! {
    a_map_has_the_methods_of_a_hash_map,
    an_ordered_map_knows_its_ends_and_ranges,
    a_set_has_the_methods_of_a_hash_set,
    an_ordered_set_knows_its_ends_and_ranges,
    values_are_combined_beside_the_data,
    what_comes_for_one_key_is_combined_in_its_order,
    what_cannot_be_combined_changes_nothing,
    many_callers_change_one_entry_and_no_change_is_lost,
    each_entry_is_popped_by_one_caller,
    many_entries_go_in_pieces_and_come_in_pages,
    a_set_keeps_what_it_is_told_to_in_pieces,
    a_combined_value_that_no_frame_would_carry_is_refused,
}

/// A span of numbers, widened by a function of this program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Span(i64, i64);

#[combine]
fn widen(there: &mut Span, comes: Span) {
    *there = Span(there.0.min(comes.0), there.1.max(comes.1));
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn a_map_has_the_methods_of_a_hash_map(stage: &Stage) {
    let [one, other] = stage.sessions();
    let map = Map::<String, Vec<u64>>::named("m").through(one.caller());
    let same = Map::<String, Vec<u64>>::named("m").through(other.caller());
    assert_eq!((map.is_empty(), map.get("a")), (Ok(true), Ok(None)));
    assert_eq!(map.insert(text("a"), vec![1]), Ok(None));
    assert_eq!(same.insert(text("a"), vec![2]), Ok(Some(vec![1])));
    assert_eq!((same.get("a"), same.get(&text("b"))), (Ok(Some(vec![2])), Ok(None)));
    assert_eq!((map.contains_key("a"), map.contains_key("b")), (Ok(true), Ok(false)));
    assert_eq!((map.contains_value(&vec![2]), map.contains_value(&vec![1])), (Ok(true), Ok(false)));
    assert_eq!(map.replace(text("b"), vec![3]), Ok(None));
    assert_eq!((map.contains_key("b"), map.replace(text("a"), vec![3])), (Ok(false), Ok(Some(vec![2]))));
    assert_eq!(map.get_or_insert(text("a"), vec![9]), Ok(vec![3]));
    assert_eq!(map.get_or_insert(text("b"), vec![9]), Ok(vec![9]));

    assert_eq!(map.compare_exchange(text("c"), Some(&vec![]), Some(vec![4])), Ok(Err(None)), "there is none");
    assert_eq!(map.compare_exchange(text("c"), None, Some(vec![4])), Ok(Ok(None)));
    assert_eq!(map.compare_exchange(text("c"), Some(&vec![5]), None), Ok(Err(Some(vec![4]))));
    assert_eq!(map.compare_exchange(text("c"), Some(&vec![4]), None), Ok(Ok(Some(vec![4]))));
    assert_eq!(map.contains_key("c"), Ok(false));

    assert_eq!(map.extend([(text("b"), vec![0]), (text("c"), vec![1]), (text("c"), vec![2])]), Ok(1));
    let several = map.get_many([text("c"), text("x"), text("a"), text("c")]);
    assert_eq!(several, Ok(vec![Some(vec![2]), None, Some(vec![3]), Some(vec![2])]));
    assert_eq!(map.len(), Ok(3));
    let expected = HashMap::from([(text("a"), vec![3]), (text("b"), vec![0]), (text("c"), vec![2])]);
    assert_eq!(same.to_map(), Ok(expected.clone()));
    assert_eq!((&map).into_iter().collect::<Result<HashMap<_, _>, _>>(), Ok(expected));
    assert_eq!(map.keys().collect::<Result<HashSet<_>, _>>(), Ok(["a", "b", "c"].map(text).into()));
    assert_eq!(map.values().collect::<Result<BTreeSet<_>, _>>(), Ok([vec![3], vec![0], vec![2]].into()));
    assert_eq!(map.remove_many([&text("a"), &text("a"), &text("x"), &text("c")]), Ok(2));
    assert_eq!((map.remove("b"), map.remove("b"), map.len()), (Ok(Some(vec![0])), Ok(None), Ok(0)));
    map.insert(text("a"), vec![]).expect("inserts");
    assert_eq!((map.clear(), same.is_empty()), (Ok(()), Ok(true)));
}

fn an_ordered_map_knows_its_ends_and_ranges(stage: &Stage) {
    let session = stage.session();
    let map = OrderedMap::<i64, String>::named("m").through(session.caller());
    assert_eq!((map.first_key_value(), map.pop_last()), (Ok(None), Ok(None)));
    map.extend([5, -1, 300, 7, -256].map(|key| (key, key.to_string()))).expect("extends");
    let entry = |key: i64| (key, key.to_string());
    assert_eq!(map.first_key_value(), Ok(Some(entry(-256))));
    assert_eq!(map.last_key_value(), Ok(Some(entry(300))));
    let keys = |range: (Bound<i64>, Bound<i64>)| -> Vec<i64> {
        map.range(range).map(|entry| entry.expect("reads").0).collect()
    };
    assert_eq!(keys((Bound::Included(-1), Bound::Excluded(7))), [-1, 5]);
    assert_eq!(keys((Bound::Excluded(-1), Bound::Included(7))), [5, 7]);
    assert_eq!(keys((Bound::Excluded(5), Bound::Unbounded)), [7, 300]);
    assert!(keys((Bound::Included(7), Bound::Included(5))).is_empty(), "it ends before it starts");
    assert!(keys((Bound::Excluded(5), Bound::Excluded(5))).is_empty());
    assert_eq!(map.range(..=6).next_back(), Some(Ok(entry(5))), "the last one up to 6");
    let mut ends = map.range(..);
    let mut both = vec![];
    while let (Some(first), last) = (ends.next(), ends.next_back()) {
        both.extend([first.expect("reads").0].into_iter().chain(last.map(|last| last.expect("reads").0)));
    }
    assert_eq!(both, [-256, 300, -1, 7, 5], "each is seen once, from either end");
    assert_eq!(map.top(2), Ok(vec![entry(300), entry(7)]));
    assert_eq!((map.bottom(2), map.top(0)), (Ok(vec![entry(-256), entry(-1)]), Ok(vec![])));
    assert_eq!((map.count(..5), map.count(5..), map.count(..)), (Ok(2), Ok(3), Ok(5)));
    assert_eq!(map.count((Bound::Included(9), Bound::Included(2))), Ok(0));
    assert_eq!(map.keys().rev().collect::<Result<Vec<_>, _>>(), Ok(vec![300, 7, 5, -1, -256]));
    assert_eq!(map.to_map().map(|map| map.into_keys().collect()), Ok(vec![-256, -1, 5, 7, 300]));
    assert_eq!((map.pop_first(), map.pop_last()), (Ok(Some(entry(-256))), Ok(Some(entry(300)))));
    assert_eq!((map.remove_range(0..), map.len()), (Ok(2), Ok(1)));
}

fn a_set_has_the_methods_of_a_hash_set(stage: &Stage) {
    let session = stage.session();
    let set = Set::<String>::named("s").through(session.caller());
    assert_eq!((set.is_empty(), set.insert(text("a")), set.insert(text("a"))), (Ok(true), Ok(true), Ok(false)));
    assert_eq!((set.contains("a"), set.contains(&text("b"))), (Ok(true), Ok(false)));
    assert_eq!(set.extend(["a", "b", "c", "b"].map(text)), Ok(2));
    assert_eq!(set.contains_many(["c", "x", "a"].map(text)), Ok(vec![true, false, true]));
    assert_eq!(set.intersection(&["x", "c", "b"].map(text)), Ok(vec![&text("c"), &text("b")]));
    assert_eq!((set.remove("a"), set.remove("a")), (Ok(true), Ok(false)));
    assert_eq!((set.to_set(), set.len()), (Ok(HashSet::from(["b", "c"].map(text))), Ok(2)));
    set.extend(["d", "e"].map(text)).expect("extends");
    assert_eq!(set.remove_many(["d", "x"].map(text)), Ok(1));
    assert_eq!(set.retain_all(["c", "z"].map(text)), Ok(2));
    assert_eq!(set.iter().collect::<Result<Vec<_>, _>>(), Ok(vec![text("c")]));
    assert_eq!((set.retain_all::<String>([]), set.is_empty()), (Ok(1), Ok(true)));
    set.insert(text("a")).expect("inserts");
    assert_eq!((set.clear(), set.len()), (Ok(()), Ok(0)));
}

fn an_ordered_set_knows_its_ends_and_ranges(stage: &Stage) {
    let session = stage.session();
    let set = OrderedSet::<(u8, String)>::named("s").through(session.caller());
    assert_eq!((set.first(), set.pop_first()), (Ok(None), Ok(None)));
    let element = |number: u8, name: &str| (number, text(name));
    set.extend([element(2, "a"), element(1, "room"), element(1, "green"), element(1, "")]).expect("extends");
    assert_eq!((set.first(), set.last()), (Ok(Some(element(1, ""))), Ok(Some(element(2, "a")))));
    let from_h: Result<Vec<_>, _> = set.range(element(1, "h")..).collect();
    assert_eq!(from_h, Ok(vec![element(1, "room"), element(2, "a")]));
    assert_eq!((set.count(..element(2, "")), set.top(1)), (Ok(3), Ok(vec![element(2, "a")])));
    assert_eq!(set.bottom(2), Ok(vec![element(1, ""), element(1, "green")]));
    assert_eq!((set.pop_last(), set.pop_first()), (Ok(Some(element(2, "a"))), Ok(Some(element(1, "")))));
    assert_eq!(set.to_set(), Ok(BTreeSet::from([element(1, "green"), element(1, "room")])));
    assert_eq!(set.remove_range(element(1, "h")..), Ok(1));
    assert_eq!(set.retain_all([element(1, "a")]), Ok(1));
}

fn values_are_combined_beside_the_data(stage: &Stage) {
    let [one, other] = stage.sessions();
    let counts = Map::<String, u64>::named("counts").through(one.caller());
    assert_eq!(counts.merge(text("a"), 2, Combine::sum()), Ok(2), "it was not there");
    assert_eq!(counts.merge(text("a"), 3, Combine::sum()), Ok(5));
    let deltas = HashMap::from([(text("a"), 10), (text("b"), 1)]);
    counts.through(other.caller()).merge_all(deltas, Combine::sum()).expect("merges");
    let twice = [(text("a"), 9), (text("c"), 8), (text("a"), 20)];
    counts.merge_all(twice, Combine::max()).expect("merges");
    assert_eq!(counts.to_map(), Ok(HashMap::from([(text("a"), 20), (text("b"), 1), (text("c"), 8)])));

    let spans = OrderedMap::<u8, Span>::named("spans").through(one.caller());
    assert_eq!(spans.merge(1, Span(3, 4), widen::combine()), Ok(Span(3, 4)));
    assert_eq!(spans.merge(1, Span(-1, 2), widen::combine()), Ok(Span(-1, 4)));
    spans.merge_all([(1, Span(0, 9)), (2, Span(0, 0))], widen::combine()).expect("merges");
    assert_eq!(spans.get_many([1, 2, 3]), Ok(vec![Some(Span(-1, 9)), Some(Span(0, 0)), None]));
}

/// Neither associative nor commutative: it shows the order.
#[combine]
fn halve_and_add(there: &mut f64, comes: f64) {
    *there = *there / 2.0 + comes;
}

fn what_comes_for_one_key_is_combined_in_its_order(stage: &Stage) {
    let session = stage.session();
    let map = Map::<u8, f64>::named("halves").through(session.caller());
    map.insert(1, 16.0).expect("inserts");
    map.merge_all([(1, 1.0), (2, 8.0), (1, 2.0), (2, 1.0), (1, 3.0)], halve_and_add::combine()).expect("merges");
    assert_eq!(map.to_map(), Ok(HashMap::from([(1, ((8.0 + 1.0) / 2.0 + 2.0) / 2.0 + 3.0), (2, 5.0)])));
    let texts = Map::<u8, String>::named("texts").through(session.caller());
    texts.insert(1, "x".repeat(8 << 20)).expect("inserts");
    texts.merge_all((0..10_000).map(|number| (1, (number % 10).to_string())), Combine::append()).expect("merges");
    let joined = texts.get(&1).expect("reads").expect("is there");
    assert_eq!(joined.len(), (8 << 20) + 10_000);
    assert!(joined[(8 << 20)..].starts_with("0123456789012"));
}

/// How often a [`Counted`] was decoded.
static DECODED: AtomicU32 = AtomicU32::new(0);

/// A number that counts how often it is decoded.
#[derive(Serialize)]
struct Counted(u32);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::Relaxed);
        u32::deserialize(deserializer).map(Self)
    }
}

#[combine]
fn add_counted(there: &mut Counted, comes: Counted) {
    there.0 += comes.0;
}

#[test]
fn a_value_is_decoded_once_for_all_that_comes_for_it() {
    let stage = Stage::pure();
    let map = Map::<u8, Counted>::named("m").through(stage.session().caller());
    map.insert(1, Counted(5)).expect("inserts");
    let before = DECODED.load(Ordering::Relaxed);
    map.merge_all((0..100).map(|_| (1, Counted(1))), add_counted::combine()).expect("merges");
    assert_eq!(DECODED.load(Ordering::Relaxed) - before, 101, "a large one would take as many times its size");
    assert_eq!(map.get(&1).expect("reads").expect("is there").0, 105);
}

fn what_cannot_be_combined_changes_nothing(stage: &Stage) {
    let session = stage.session();
    let map = Map::<String, u64>::named("m").through(session.caller());
    let missing = Combine::<u64>::of_name("other::program");
    let unknown = Error::Method(CombineError::Unknown(text("other::program")));
    assert_eq!(map.merge(text("a"), 1, missing), Err(unknown.clone()), "not even the first value is set");
    assert_eq!(map.merge_all([(text("a"), 1), (text("b"), 2)], missing), Err(unknown));
    assert_eq!(map.is_empty(), Ok(true));
    // A function for values of another type.
    map.insert(text("b"), 0).expect("inserts");
    let never = Combine::<u64>::of_name("sum f64");
    let refused = map.merge_all([(text("x"), 1), (text("b"), 1)], never);
    assert!(matches!(refused, Err(Error::Method(CombineError::Value { .. }))), "{refused:?}");
    assert_eq!((map.contains_key("x"), map.get("b")), (Ok(false), Ok(Some(0))), "all of a call, or none");
}

fn many_callers_change_one_entry_and_no_change_is_lost(stage: &Stage) {
    const CALLERS: u64 = 4;
    const CHANGES: u64 = 10;
    let sessions: Vec<_> = (0..CALLERS).map(|_| stage.session()).collect();
    let map = Map::<String, u64>::named("m");
    let callers: Vec<_> = sessions
        .iter()
        .map(|session| {
            let map = map.through(session.caller());
            stage.start(async move {
                for _ in 0..CHANGES {
                    map.update_async(text("a"), |count| Some(count.unwrap_or(0) + 1)).await.expect("updates");
                    map.merge_async(text("b"), 2, Combine::sum()).await.expect("merges");
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.finish());
    let map = map.through(sessions[0].caller());
    assert_eq!(map.get_many([text("a"), text("b")]), Ok(vec![Some(CALLERS * CHANGES), Some(2 * CALLERS * CHANGES)]));
    assert_eq!(map.update(text("a"), |_| None), Ok(Some(CALLERS * CHANGES)));
    assert_eq!(map.contains_key("a"), Ok(false));
}

fn each_entry_is_popped_by_one_caller(stage: &Stage) {
    let sessions = stage.sessions::<3>();
    let map = OrderedMap::<u32, ()>::named("m");
    map.through(sessions[0].caller()).extend((0..90).map(|key| (key, ()))).expect("extends");
    let callers: Vec<_> = sessions
        .iter()
        .map(|session| {
            let map = map.through(session.caller());
            stage.start(async move {
                let mut popped = Vec::new();
                while let Some((key, ())) = map.pop_first_async().await.expect("pops") {
                    popped.push(key);
                }
                popped
            })
        })
        .collect();
    let popped: Vec<Vec<u32>> = callers.into_iter().map(|caller| caller.finish()).collect();
    assert!(popped.iter().all(|keys| keys.is_sorted()));
    let mut all = popped.concat();
    all.sort_unstable();
    assert_eq!(all, (0..90).collect::<Vec<_>>());
}

fn many_entries_go_in_pieces_and_come_in_pages(stage: &Stage) {
    const VALUE_BYTES: usize = 300 << 10;
    let session = stage.session();
    let map = OrderedMap::<u32, String>::named("m").through(session.caller());
    let value = |key: u32| key.to_string().repeat(VALUE_BYTES / key.to_string().len());
    // 12 MiB: several pieces each way.
    let expected: BTreeMap<u32, String> = (0..40).map(|key| (key, value(key))).collect();
    assert_eq!(map.extend(expected.clone()), Ok(40));
    assert_eq!(map.to_map(), Ok(expected));
    let some = map.get_many([39, 100, 1, 2, 3, 4, 5, 100]).expect("gets");
    let keys = [Some(39), None, Some(1), Some(2), Some(3), Some(4), Some(5), None];
    assert!(some == keys.map(|key| key.map(value)));
    assert_eq!(map.range(..).rev().map(|entry| entry.expect("reads").0).collect::<Vec<_>>(), {
        let mut keys: Vec<u32> = (0..40).collect();
        keys.reverse();
        keys
    });
    assert_eq!(map.top(9).expect("reads").len(), 9);
    assert_eq!(map.keys().count(), 40);
}

fn a_set_keeps_what_it_is_told_to_in_pieces(stage: &Stage) {
    // Some 22 bytes of a call each: all that is told is more than one call.
    const ELEMENTS: u32 = 150_000;
    let session = stage.session();
    let set = Set::<u64>::named("s").through(session.caller());
    let of = |step: usize| (0..ELEMENTS).step_by(step).map(|number| 1 << 40 | u64::from(number));
    assert_eq!(set.extend(of(2)), Ok(u64::from(ELEMENTS) / 2));
    assert_eq!(set.retain_all(of(3)), Ok(u64::from(ELEMENTS) / 3));
    assert_eq!(set.to_set(), Ok(of(6).collect()));
    assert_eq!(set.intersection(of(4)).map(|there| there == of(12).collect::<Vec<_>>()), Ok(true));
}

fn a_combined_value_that_no_frame_would_carry_is_refused(stage: &Stage) {
    const HALF: usize = 16 << 20;
    let session = stage.session();
    let map = OrderedMap::<u32, String>::named("m").through(session.caller());
    map.insert(1, "a".repeat(HALF)).expect("fits a frame");
    let beyond = map.merge(1, "b".repeat(HALF), Combine::append());
    assert!(matches!(beyond, Err(Error::Method(CombineError::TooLarge { .. }))), "{beyond:?}");
    assert_eq!(map.get(&1).map(|value| value.map(|value| value.len())), Ok(Some(HALF)), "it is as before");
    assert_eq!(map.iter().next_back().map(|entry| entry.map(|(key, _)| key)), Some(Ok(1)), "a page of its own");
}

#[test]
fn an_entry_that_no_frame_carries_is_refused_and_the_calls_before_it_stay() {
    let stage = Stage::cluster();
    let session = stage.session();
    let map = OrderedMap::<u32, String>::named("m").through(session.caller());
    let refused = map.extend([(1, text("a")), (2, "b".repeat(33 << 20)), (3, text("c"))]);
    assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::TooLarge { .. }, .. })), "{refused:?}");
    assert_eq!(map.keys().collect::<Result<Vec<_>, _>>(), Ok(vec![1]));
}

//! What reading a whole map promises: pages, snapshots and copies, and what comes of keys and values that are not
//! right.

mod stage;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use greenroom::collections::{Map, OrderedMap, OrderedSet, Set, TooManySnapshots};
use greenroom::{Caller, Combine, Erased, Error, RawHandle, Refusal, Value};
use greenroom_actors::{OutgoingCall, ReplyFuture};
use serde::{Deserialize, Serialize, Serializer};
use stage::{Stage, scenarios, until};

scenarios! {
    a_snapshot_stays_as_it_was,
    a_snapshot_of_a_set_stays_as_it_was,
    a_snapshot_is_given_back_with_its_last_reader,
    a_snapshot_whose_release_fails_is_given_back_by_its_drop,
    a_snapshot_ends_with_its_owner,
    a_snapshot_of_a_deleted_map_does_not_make_it_anew,
    only_so_many_snapshots_are_held,
    a_copy_is_of_one_moment_whoever_changes_the_map,
    an_iterator_sees_once_what_is_there_throughout,
    a_name_stands_for_one_kind_of_map,
    a_key_that_cannot_be_sent_sends_nothing,
    what_does_not_decode_ends_the_iteration,
}

/// Some entries of 64 KiB: more than a page of them.
fn large(count: u32) -> BTreeMap<u32, String> {
    (0..count).map(|key| (key, format!("{key:08}").repeat(8 << 10))).collect()
}

fn holders(object: &RawHandle) -> usize {
    object.describe().expect("describes")["holders"].as_array().expect("is a list").len()
}

fn a_snapshot_stays_as_it_was(stage: &Stage) {
    let [reader, writer] = stage.sessions();
    let map = OrderedMap::<u32, String>::named("m").through(reader.caller());
    let writing = map.through(writer.caller());
    let first: BTreeMap<_, _> = large(40);
    map.extend(first.clone()).expect("extends");
    let snapshot = map.snapshot().expect("is one of few");
    assert_eq!((snapshot.len(), snapshot.is_empty()), (40, false));

    let mut iter = snapshot.iter();
    assert_eq!(iter.next().expect("there is one").expect("reads").0, 0);
    writing.insert(7, "7".to_owned()).expect("inserts");
    writing.insert(7, "8".to_owned()).expect("inserts");
    writing.remove(&39).expect("removes");
    writing.remove(&50).expect("there is none");
    writing.insert(100, String::new()).expect("inserts");
    writing.merge(20, "1".to_owned(), Combine::append()).expect("merges");
    writing.pop_first().expect("pops");
    let second = map.to_map().expect("reads");
    let between = map.snapshot().expect("is one of few");
    writing.remove_range(10..30).expect("removes");
    writing.clear().expect("clears");
    writing.insert(0, "9".to_owned()).expect("inserts");

    assert_eq!(iter.map(|entry| entry.expect("reads").0).collect::<Vec<_>>(), (1..40).collect::<Vec<_>>());
    assert_eq!(snapshot.to_map().as_ref(), Ok(&first));
    assert!(snapshot.range(5..).rev().map(|entry| entry.expect("reads")).eq(first.clone().into_iter().skip(5).rev()));
    assert_eq!(snapshot.keys().collect::<Result<BTreeSet<_>, _>>(), Ok(first.keys().copied().collect()));
    assert_eq!(snapshot.values().count(), 40);
    assert_eq!((snapshot.get(&7), snapshot.get(&100)), (Ok(first.get(&7).cloned()), Ok(None)));
    assert_eq!((snapshot.contains_key(&39), snapshot.contains_key(&50)), (Ok(true), Ok(false)));
    assert_eq!(between.to_map(), Ok(second));
    assert_eq!(map.to_map(), Ok(BTreeMap::from([(0, "9".to_owned())])));
}

fn a_snapshot_of_a_set_stays_as_it_was(stage: &Stage) {
    let session = stage.session();
    let set = OrderedSet::<u32>::named("s").through(session.caller());
    set.extend(0..5).expect("extends");
    let snapshot = set.snapshot().expect("is one of few");
    set.retain_all([1, 2]).expect("retains");
    set.extend([2, 9]).expect("extends");
    assert_eq!(snapshot.to_set(), Ok((0..5).collect()));
    assert_eq!((snapshot.len(), snapshot.contains(&3), snapshot.contains(&9)), (5, Ok(true), Ok(false)));
    assert_eq!(snapshot.range(3..).collect::<Result<Vec<_>, _>>(), Ok(vec![3, 4]));
    assert_eq!(snapshot.release(), Ok(()));
    assert_eq!((holders(set.object()), set.to_set()), (0, Ok(BTreeSet::from([1, 2, 9]))));
}

fn a_snapshot_is_given_back_with_its_last_reader(stage: &Stage) {
    let session = stage.session();
    let map = Map::<u32, u32>::named("m").through(session.caller());
    map.insert(1, 1).expect("inserts");
    let snapshot = map.snapshot().expect("is one of few");
    let description = stage.describe(map.object());
    assert_eq!(description["holders"][0]["what"], "snapshot of 1 entries");
    assert_eq!(
        (description["state"]["entries"].as_u64(), description["state"]["snapshots"].as_u64()),
        (Some(1), Some(1))
    );
    let (copy, iter) = (snapshot.clone(), snapshot.iter());
    drop(snapshot);
    drop(copy);
    map.clear().expect("clears");
    assert_eq!(iter.collect::<Result<Vec<_>, _>>(), Ok(vec![(1, 1)]), "the iterator holds it");
    until("it is given back", || holders(map.object()) == 0);

    let snapshot = map.snapshot().expect("is one of few");
    let (copy, mut iter) = (snapshot.clone(), snapshot.iter());
    assert_eq!((snapshot.release(), holders(map.object())), (Ok(()), 0));
    assert!(matches!(copy.get(&1), Err(Error::Superseded { object, .. }) if object == "Map/m"));
    assert!(matches!(iter.next(), Some(Err(Error::Superseded { .. }))));
    assert_eq!(iter.next(), None, "it is at its end");
    assert!(matches!(copy.release(), Err(Error::Superseded { .. })), "it was given back before");
}

fn a_snapshot_of_a_deleted_map_does_not_make_it_anew(stage: &Stage) {
    let session = stage.session();
    let map = Map::<u32, u32>::named("m").through(session.caller());
    let (dropped, released) = (map.snapshot().expect("is one of few"), map.snapshot().expect("is one of few"));
    assert_eq!(map.object().delete(), Ok(true));
    drop(dropped);
    assert!(matches!(released.release(), Err(Error::Superseded { .. })));
    let other = Map::<u32, String>::named("m").through(session.caller());
    assert_eq!(other.len(), Ok(0), "its key is free");
}

/// A way to the objects on which the first release is lost.
#[derive(Debug)]
struct Lossy {
    caller: Arc<dyn Caller>,
    has_lost: AtomicBool,
}

impl Caller for Lossy {
    fn call(&self, call: OutgoingCall) -> ReplyFuture {
        let is_release = call.object_type.method_number("release") == Some(call.method);
        if is_release && !self.has_lost.swap(true, Ordering::Relaxed) {
            let (object, why) = (call.object(), "it is lost".to_owned());
            return Box::pin(async { Err(Error::NotSent { object, why }) });
        }
        self.caller.call(call)
    }

    fn block_on(&self, task: Pin<&mut dyn Future<Output = ()>>) -> bool {
        self.caller.block_on(task)
    }

    fn cast(&self, call: OutgoingCall, otherwise: Option<OutgoingCall>) {
        self.caller.cast(call, otherwise);
    }
}

fn a_snapshot_whose_release_fails_is_given_back_by_its_drop(stage: &Stage) {
    let session = stage.session();
    let lossy = Arc::new(Lossy { caller: session.caller(), has_lost: AtomicBool::new(false) });
    let map = Map::<u32, u32>::named("m").through(Arc::clone(&lossy) as Arc<dyn Caller>);
    let released = map.snapshot().expect("is one of few").release();
    assert!(matches!(released, Err(Error::NotSent { .. })), "{released:?}");
    assert!(lossy.has_lost.load(Ordering::Relaxed));
    until("the drop gives it back", || holders(map.object()) == 0);
}

fn a_snapshot_ends_with_its_owner(stage: &Stage) {
    let [dead, other] = stage.sessions();
    let map = Map::<u32, u32>::named("m").through(other.caller());
    let snapshot = map.through(dead.caller()).snapshot().expect("is one of few");
    let kept = map.snapshot().expect("is one of few");
    assert_eq!(holders(map.object()), 2);
    dead.end();
    until("its snapshot has ended", || holders(map.object()) == 1);
    drop(snapshot);
    assert_eq!(kept.to_map(), Ok(HashMap::new()));
}

fn only_so_many_snapshots_are_held(stage: &Stage) {
    let [one, other] = stage.sessions();
    let map = Map::<u32, u32>::named("m");
    let (of_one, of_other) = (map.through(one.caller()), map.through(other.caller()));
    let mut held: Vec<_> = (0..16).map(|_| of_one.snapshot().expect("is one of few")).collect();
    assert!(matches!(of_other.snapshot(), Err(Error::Method(TooManySnapshots))));
    assert_eq!(of_other.to_map(), Ok(HashMap::new()), "a map that nobody changes needs none");
    held.pop().expect("there are some").release().expect("gives it back");
    assert!(of_other.snapshot().is_ok());
}

fn a_copy_is_of_one_moment_whoever_changes_the_map(stage: &Stage) {
    let [reader, writer] = stage.sessions();
    // Two pages of values, which add up to nothing at every moment.
    let amounts = Map::<u32, i64>::named("amounts").through(reader.caller());
    amounts.extend((0..70_000).map(|key| (key, 0))).expect("extends");
    let done = Arc::new(AtomicBool::new(false));
    let (writing, until_done) = (amounts.through(writer.caller()), Arc::clone(&done));
    let writes = stage.start(async move {
        let mut count = 0;
        while !until_done.load(Ordering::Relaxed) {
            let (from, to) = (count * 7 % 70_000, (count * 7 + 35_000) % 70_000);
            writing.merge_all_async([(from, -1), (to, 1)], Combine::sum()).await.expect("moves one");
            count += 1;
        }
        count
    });
    until("the writer has begun", || amounts.get(&35_000).expect("reads") != Some(0));
    for _ in 0..2 {
        let copy = amounts.to_map().expect("reads");
        assert_eq!((copy.len(), copy.values().sum::<i64>()), (70_000, 0));
        let snapshot = amounts.snapshot().expect("is one of few");
        assert_eq!(snapshot.values().map(|value| value.expect("reads")).sum::<i64>(), 0);
    }
    done.store(true, Ordering::Relaxed);
    assert!(writes.finish() > 0);
}

fn an_iterator_sees_once_what_is_there_throughout(stage: &Stage) {
    let [reader, writer] = stage.sessions();
    let map = Map::<u32, String>::named("m").through(reader.caller());
    map.extend(large(60)).expect("extends");
    let writing = map.through(writer.caller());
    let mut seen = Vec::new();
    for (count, entry) in (0_u32..).zip(map.iter()) {
        seen.push(entry.expect("reads").0);
        // Every third key goes; others change their values; new ones come before and behind.
        writing.remove(&(count * 3 % 60)).expect("removes");
        writing.insert(count * 3 % 60 + 1, "1".to_owned()).expect("inserts");
        writing.insert(1_000 + count, "2".to_owned()).expect("inserts");
    }
    let set: HashSet<u32> = seen.iter().copied().collect();
    assert_eq!(set.len(), seen.len(), "no key is seen twice");
    assert!((0..60).filter(|key| key % 3 != 0).all(|key| set.contains(&key)));
}

fn a_name_stands_for_one_kind_of_map(stage: &Stage) {
    let session = stage.session();
    let map = Map::<u32, u32>::named("m").through(session.caller());
    map.insert(1, 1).expect("inserts");
    let refused = |error: Option<Error>| {
        assert!(
            matches!(error, Some(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. })),
            "it is another kind of map: {error:?}"
        );
    };
    refused(OrderedMap::<u32, u32>::named("m").through(session.caller()).get(&1).err());
    refused(Map::<u64, u32>::named("m").through(session.caller()).get(&1).err());
    refused(Map::<u32, String>::named("m").through(session.caller()).len().err());
    Set::<u32>::named("m").through(session.caller()).insert(1).expect("a set is another type of object");
    refused(OrderedSet::<u32>::named("m").through(session.caller()).insert(1).err());
    refused(Set::<i8>::named("m").through(session.caller()).insert(1).err());
    assert_eq!(map.to_map(), Ok(HashMap::from([(1, 1)])));
}

fn a_key_that_cannot_be_sent_sends_nothing(stage: &Stage) {
    let session = stage.session();
    let map = OrderedMap::<BTreeMap<u8, u8>, u32>::named("m").through(session.caller());
    let key = BTreeMap::from([(1, 2)]);
    let why = |error: Error| match error {
        Error::NotSent { object, why } if object == "Map/m" => why,
        other => panic!("it was sent: {other}"),
    };
    let refused = "the key cannot be encoded: it has a map in it, which has no place in an order";
    assert_eq!(why(map.insert(key.clone(), 1).expect_err("is refused")), refused);
    assert_eq!(why(map.get(&key).expect_err("is refused")), refused);
    assert_eq!(why(map.extend([(key.clone(), 1)]).expect_err("is refused")), refused);
    assert_eq!(why(map.count(key.clone()..).expect_err("is refused")), refused);
    let mut range = map.range(..key.clone());
    assert_eq!(why(range.next().expect("is told").expect_err("is refused")), refused);
    assert_eq!(range.next(), None);
    assert_eq!(map.merge(key.clone(), 1, Combine::sum()).map_err(|error| why(error.into())), Err(refused.to_owned()));
    assert_eq!(stage.describe(map.object())["exists"], false, "no call has made the object");
    // A map without an order takes it.
    let map = Map::<BTreeMap<u8, u8>, u32>::named("m").through(session.caller());
    map.insert(key.clone(), 1).expect("inserts");
    assert_eq!(map.get(&key), Ok(Some(1)));

    // A slice is encoded with its length, and an array is not: it would never be found.
    let arrays = Map::<[u8; 4], u32>::named("arrays").through(session.caller());
    arrays.insert([4, 1, 1, 1], 1).expect("inserts");
    assert!(matches!(arrays.get(&[4, 1, 1, 1][..]), Err(Error::NotSent { .. })));
    assert_eq!(arrays.get(&[4, 1, 1, 1]), Ok(Some(1)));
    let drifting = Map::<Drifting, u32>::named("drifting").through(session.caller());
    assert!(matches!(drifting.insert(Drifting(1), 1), Err(Error::NotSent { .. })), "it would come back as another");
}

/// A key that does not come back as the same.
#[derive(Deserialize)]
struct Drifting(u8);

impl Serialize for Drifting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0 + 1).serialize(serializer)
    }
}

/// Inserts what no typed handle would.
fn insert_raw(object: &RawHandle, key: &[u8], value: &[u8]) {
    let method = object.object_type().method_number("insert").expect("there is such a method");
    let arguments = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    object.call::<_, Option<Bytes>, Erased>(method, &arguments).expect("inserts");
}

fn what_does_not_decode_ends_the_iteration(stage: &Stage) {
    fn check<K: Value>(map: &OrderedMap<K, String>, bad_key: &[u8]) {
        insert_raw(map.object(), bad_key, &[0]);
        let mut iter = map.iter();
        let error = iter.next().expect("is told").err();
        assert!(matches!(error, Some(Error::Reply { object, .. }) if object == "Map/m"));
        assert!(iter.next().is_none());
        assert!(matches!(map.pop_first(), Err(Error::Reply { .. })));
    }
    let session = stage.session();
    let map = OrderedMap::<u32, String>::named("m").through(session.caller());
    check(&map, &[0]);
    check(&map, &[]);
    check(&map, &[0; 9]);
    map.insert(5, "five".to_owned()).expect("inserts");
    insert_raw(map.object(), &[0, 0, 0, 6], &[2, 0xff, 0xff]);
    assert_eq!(map.get(&5), Ok(Some("five".to_owned())));
    assert!(matches!(map.get(&6), Err(Error::Reply { .. })), "the value is no text");
    assert_eq!(map.keys().collect::<Result<Vec<_>, _>>(), Ok(vec![5, 6]), "its key is all right");
    assert!(matches!(map.to_map(), Err(Error::Reply { .. })));
}

#[test]
fn a_million_entries_are_read_whole() {
    const ENTRIES: u64 = 1_000_000;
    let (stage, begun) = (Stage::pure(), Instant::now());
    let session = stage.session();
    let map = OrderedMap::<u64, u64>::named("m").through(session.caller());
    assert_eq!(map.extend((0..ENTRIES).map(|key| (key, key * key))), Ok(ENTRIES));
    let copy = map.to_map().expect("reads");
    assert!(copy.into_iter().eq((0..ENTRIES).map(|key| (key, key * key))));
    let snapshot = map.snapshot().expect("is one of few");
    map.remove_many(0..ENTRIES / 2).expect("removes");
    assert_eq!((snapshot.keys().count(), map.len()), (1_000_000, Ok(ENTRIES / 2)));
    // Some seconds; the machine may have other things to do.
    assert!(begun.elapsed() < Duration::from_secs(240), "it took {:?}", begun.elapsed());
}

#[test]
fn a_loop_in_async_code_is_told_once_not_to_block() {
    let stage = Stage::cluster();
    let session = stage.session();
    let map = Map::<u32, u32>::named("m").through(session.caller());
    map.insert(1, 1).expect("inserts");
    let looping = stage.start(async move {
        let blocked: Vec<_> = map.iter().collect();
        let mut iter = map.iter();
        (blocked, iter.next_async().await, iter.next_back_async().await)
    });
    let (blocked, first, end) = looping.finish();
    assert!(matches!(&blocked[..], [Err(Error::Blocking { .. })]), "{blocked:?}");
    assert_eq!((first, end), (Some(Ok((1, 1))), None));
}

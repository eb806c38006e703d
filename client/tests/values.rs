//! Values and keys that nobody could read again, or find again, are refused before anything is sent.

mod stage;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};

use greenroom::collections::{Journal, List, Map, OrderedMap, Queue, Set};
use greenroom::sync::channel::Channel;
use greenroom::sync::{Exchanger, Mutex, OnceCell, Promise, RwLock};
use greenroom::{Cell, Error, Value};
use serde::{Deserialize, Serialize};
use stage::{Stage, scenarios};

scenarios! {
    a_type_that_cannot_be_read_again_is_refused_by_every_face,
    a_value_that_leaves_out_a_field_is_refused,
    a_key_with_a_set_or_map_without_an_order_is_refused,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    At { x: u32 },
    Nowhere,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sparse {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
    parts: Vec<u8>,
}

/// A struct with its name as another field, which nobody reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
struct Named {
    id: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unread {
    #[serde(skip_deserializing)]
    seen: u64,
    id: u64,
}

/// What leaves out a field of its own accord, at values that nobody makes up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Moody {
    #[serde(skip_serializing_if = "is_unlucky")]
    number: u64,
    after: u64,
}

fn is_unlucky(number: &u64) -> bool {
    *number == 13
}

/// What a call that was not sent says.
fn not_sent<R, E: Debug>(result: Result<R, Error<E>>, object: &str) -> String {
    match result {
        Err(Error::NotSent { object: named, why }) if named == object => why,
        Err(other) => panic!("{object}: {other:?}"),
        Ok(_) => panic!("{object}: it was sent"),
    }
}

/// What a panic says.
fn panics<R>(what: impl FnOnce() -> R) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(what)) else { panic!("it does not panic") };
    *panic.downcast().expect("has a text")
}

/// All faces refuse the value and say why.
fn check<T: Value + Clone + Debug>(stage: &Stage, value: &T, part: &str) {
    let session = stage.session();
    let value = || value.clone();
    let expected = format!("the value cannot be encoded: nobody could read a `{}`: ", std::any::type_name::<T>());
    let map = Map::named("m").through(session.caller());
    let list = List::named("l").through(session.caller());
    let journal = Journal::named("j").through(session.caller());
    let queue = Queue::named("q").through(session.caller());
    let promise = Promise::named("p").through(session.caller());
    let once = OnceCell::named("o").through(session.caller());
    let exchanger = Exchanger::named("e").through(session.caller());
    let refused = [
        not_sent(map.insert(1, value()), "Map/m"),
        not_sent(map.extend([(1, value())]), "Map/m"),
        not_sent(list.push(value()), "List/l"),
        not_sent(journal.append(value()), "Journal/j"),
        not_sent(queue.push(value()), "Channel/q"),
        not_sent(promise.set(value()), "Promise/p"),
        not_sent(once.set(value()), "OnceCell/o"),
        not_sent(exchanger.exchange(value()), "Exchanger/e"),
    ];
    for why in refused {
        assert!(why.starts_with(&expected) && why.contains(part), "{why}");
    }
    for object in [map.object(), list.object(), journal.object(), promise.object(), once.object()] {
        assert_eq!(stage.describe(object)["exists"], false, "no call has made {}", object.name());
    }
    let refused = [
        panics(|| Cell::named("c", value())),
        panics(|| Mutex::named("x", value())),
        panics(|| RwLock::named("r", value())),
    ];
    for why in refused {
        assert!(
            why.starts_with("an initial value cannot be encoded: nobody could read") && why.contains(part),
            "{why}"
        );
    }
}

fn a_type_that_cannot_be_read_again_is_refused_by_every_face(stage: &Stage) {
    check(stage, &Untagged::Number(1), "`untagged`");
    check(stage, &vec![Some(Untagged::Text(String::new()))], "`untagged`");
    check(stage, &Tagged::At { x: 1 }, "has a `tag`");
    check(stage, &(1, Tagged::Nowhere), "has a `tag`");
    check(stage, &Flat { id: 1, rest: BTreeMap::new() }, "::Flat` in it has a field with `flatten`");
    check(stage, &serde_json::json!({ "id": 1 }), "`serde_json::value::Value` in it has any content");
    let sparse = "`Sparse` leaves out its field `name` (serde's `skip_serializing_if`)";
    // The type is refused, whatever the value.
    check(stage, &Sparse { id: 1, name: None, parts: Vec::new() }, sparse);
    check(stage, &[Sparse { id: 1, name: Some("a".to_owned()), parts: vec![1] }], sparse);
    check(stage, &Named { id: 1 }, "it ");
    check(stage, &Unread { id: 1, seen: 0 }, "it writes more than it reads");
}

fn a_value_that_leaves_out_a_field_is_refused(stage: &Stage) {
    let session = stage.session();
    let cell = Cell::named("c", (Moody::default(), 0_u8)).through(session.caller());
    let moody = |number| (Moody { number, after: 2 }, 3);
    cell.set(moody(12)).expect("sets");
    let expected = "the value cannot be encoded: nobody could read this `(values::Moody, u8)`: \
                    `Moody` leaves out its field `number` (serde's `skip_serializing_if`)";
    assert_eq!(not_sent(cell.set(moody(13)), "Cell/c"), expected);
    assert_eq!(cell.get(), Ok(moody(12)), "it is as it was");

    let mutex = Mutex::named("x", Moody::default()).through(session.caller());
    let mut guard = mutex.lock().expect("locks");
    guard.number = 13;
    assert!(not_sent(guard.unlock(), "Mutex/x").contains("`Moody` leaves out its field `number`"));
    assert_eq!(mutex.lock().expect("it was given back").number, 0);
    let channel = Channel::unbounded("ch").through(session.caller());
    let (sender, receiver) = (channel.sender().expect("registers"), channel.receiver());
    assert!(not_sent(sender.send(Some(moody(13).0)), "Channel/ch").contains("`Moody` leaves out"));
    sender.send(Some(moody(1).0)).expect("sends");
    assert_eq!(receiver.recv(), Ok(Some(moody(1).0)));
}

fn a_key_with_a_set_or_map_without_an_order_is_refused(stage: &Stage) {
    fn check<K: Value + Clone + Eq + Hash + Ord>(stage: &Stage, key: &K, part: &str) {
        check_unordered(stage, key, part);
        let session = stage.session();
        let map = OrderedMap::<K, u8>::named("m").through(session.caller());
        assert!(not_sent(map.insert(key.clone(), 1), "Map/m").contains(part));
    }

    fn check_unordered<K: Value + Clone>(stage: &Stage, key: &K, part: &str) {
        let session = stage.session();
        let map = Map::<K, u8>::named("m").through(session.caller());
        let set = Set::<(u8, Option<K>)>::named("s").through(session.caller());
        for why in [
            not_sent(map.insert(key.clone(), 1), "Map/m"),
            not_sent(map.get(key), "Map/m"),
            not_sent(set.insert((1, Some(key.clone()))), "Set/s"),
            not_sent(set.contains(&(1, None)), "Set/s"),
        ] {
            assert!(why.starts_with("the key cannot be encoded: ") && why.contains(part), "{why}");
        }
        assert_eq!(stage.describe(map.object())["exists"], false, "no call has made the object");
    }

    check_unordered(stage, &HashSet::from([1]), "take an ordered type for the `HashSet` in it");
    check_unordered(stage, &vec![HashMap::from([(1, 2)])], "take an ordered type for the `HashMap` in it");
    check(stage, &Untagged::Number(1), "`untagged`");
    // What is no key may be a value.
    let session = stage.session();
    let map = Map::<u8, HashSet<u8>>::named("values").through(session.caller());
    map.insert(1, HashSet::from([1, 2])).expect("inserts");
    assert_eq!(map.get(&1), Ok(Some(HashSet::from([1, 2]))));
}

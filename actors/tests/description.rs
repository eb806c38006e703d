//! What an object says of itself to people, and that looking at it changes nothing.

extern crate greenroom_actors as greenroom;

mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use common::{Bench, Request, name};
use greenroom::{
    CallId, Fault, Fence, Grants, Holder, Instance, Lane, Object, ObjectEntry, Sequence, SessionId, Turn, WaitQueue,
    Waiter, system,
};
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Desks that are lent, one a caller; it says what there is to say.
#[object]
#[derive(Debug, Serialize, Deserialize)]
struct Desks {
    free: u32,
    lent: Grants,
    waiting: WaitQueue<Fence>,
    broken: bool,
}

#[object]
impl Desks {
    pub fn new(free: u32) -> Self {
        Self { free, lent: Grants::default(), waiting: WaitQueue::default(), broken: false }
    }

    /// Waits for a desk.
    pub fn sit(&mut self, waiter: Waiter<Fence>, turn: &mut Turn) {
        self.waiting.push(waiter, ());
        while self.free > 0
            && let Some((waiter, owner, ())) = self.waiting.pop()
        {
            self.free -= 1;
            let fence = self.lent.give(waiter.id(), owner, (), turn);
            waiter.reply(fence);
        }
    }

    pub fn free(&self) -> u32 {
        self.free
    }

    /// From now on its hooks panic.
    pub fn break_hooks(&mut self) {
        self.broken = true;
    }

    fn holders(&self) -> Vec<Holder> {
        assert!(!self.broken, "broken");
        self.lent.holders(|()| "desk".to_owned())
    }

    fn summary(&self) -> Value {
        assert!(!self.broken, "broken");
        json!({ "free": self.free, "waiting": self.waiting.len() })
    }
}

/// A type without hooks, whose state may be large, or have no JSON.
#[object]
#[derive(Debug, Default, Serialize, Deserialize)]
struct Plain {
    bytes: Vec<u8>,
    pairs: BTreeMap<(u8, u8), u8>,
    loud: Loud,
    even: Even,
}

/// A value that does not let itself be encoded.
#[derive(Debug, Default, Deserialize)]
struct Loud(bool);

impl Serialize for Loud {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!self.0, "it is loud");
        self.0.serialize(serializer)
    }
}

/// A number that decodes only if it is even.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "u8")]
struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        if number.is_multiple_of(2) { Ok(Self(number)) } else { Err(format!("{number} is odd")) }
    }
}

#[object]
impl Plain {
    /// From now on it cannot be decoded.
    pub fn become_odd(&mut self) {
        self.even = Even(1);
    }

    pub fn trip(&mut self) {
        panic!("it trips");
    }

    pub fn grow(&mut self, bytes: u32) {
        self.bytes = vec![0; usize::try_from(bytes).expect("fits")];
    }

    /// From now on it cannot be encoded.
    pub fn shout(&mut self) {
        self.loud = Loud(true);
    }

    pub fn pair(&mut self) {
        self.pairs.insert((1, 2), 3);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

fn entry<'a, T: Object>(bench: &'a Bench, key: &str) -> &'a ObjectEntry {
    let object = bench.slot.objects().find(name::<T>(key)).expect("is there");
    bench.slot.objects().get(object).expect("is there")
}

fn describe<T: Object>(bench: &Bench, key: &str, rows_max: usize) -> Value {
    entry::<T>(bench, key).instance().borrow_mut().describe(bench.now_ms, rows_max)
}

fn delete<T: Object>(bench: &mut Bench, key: &str) -> bool {
    let call = CallId { session: SessionId(9), lane: Lane(1), sequence: Sequence(1) };
    bench.send_number::<T>(call, &Request::of(key), system::DELETE, Bytes::new());
    bench.settle();
    bench.value(call)
}

/// One desk, which session 1 has had since 1000, and for which sessions 2 and 3 wait.
fn desks() -> Bench {
    let mut bench = Bench::new();
    bench.send::<Desks, _>(&Request::made_with("d", &(1_u32,)).by(1), "sit", &());
    bench.now_ms = 1_500;
    bench.send::<Desks, _>(&Request::of("d").by(2).until(9_000), "sit", &());
    bench.send::<Desks, _>(&Request::of("d").by(3), "sit", &());
    bench.now_ms = 2_700;
    bench
}

#[test]
fn a_description_tells_who_holds_and_who_waits_and_for_how_long() {
    let bench = desks();
    let said = describe::<Desks>(&bench, "d", 10);
    assert_eq!((&said["type"], &said["exists"], &said["lost"]), (&json!("Desks"), &json!(true), &json!(false)));
    assert_eq!(said["state"], json!({ "free": 0, "waiting": 2 }), "the summary sees who still waits");
    assert_eq!((&said["n_holders"], &said["n_parked"]), (&json!(1), &json!(2)));
    let holder = &said["holders"][0];
    assert_eq!((&holder["what"], &holder["owner"]), (&json!("desk"), &json!("session 1")));
    assert_eq!((&holder["since_ms"], &holder["for_ms"]), (&json!(1_000), &json!(1_700)));
    assert_eq!(holder["grant"], 1, "the call's place in the log");
    assert!(holder["fence"].as_u64().is_some_and(|fence| fence > 0), "{holder}");
    let [first, second] = [&said["parked"][0], &said["parked"][1]];
    assert_eq!((&first["method"], &first["owner"]), (&json!("sit"), &json!("session 2")));
    assert_eq!((&first["for_ms"], &first["deadline_ms"]), (&json!(1_200), &json!(9_000)));
    assert_eq!((&second["owner"], &second["deadline_ms"]), (&json!("session 3"), &Value::Null));
}

#[test]
fn a_description_has_so_many_rows_and_says_how_many_there_are() {
    let said = describe::<Desks>(&desks(), "d", 1);
    assert_eq!(said["parked"].as_array().map(Vec::len), Some(1));
    assert_eq!((&said["n_holders"], &said["n_parked"]), (&json!(1), &json!(2)));
}

#[test]
fn looking_changes_nothing() {
    let mut bench = desks();
    let before = (entry::<Desks>(&bench, "d").version(), describe::<Desks>(&bench, "d", 10));
    let after = (entry::<Desks>(&bench, "d").version(), describe::<Desks>(&bench, "d", 10));
    assert_eq!(before, after);
    bench.end_session(2);
    assert_ne!(entry::<Desks>(&bench, "d").version(), before.0, "a caller less waits");
    let waiting = &describe::<Desks>(&bench, "d", 10)["parked"];
    assert_eq!((waiting.as_array().map(Vec::len), &waiting[0]["owner"]), (Some(1), &json!("session 3")));
}

#[test]
fn hooks_that_panic_are_passed_over() {
    let mut bench = desks();
    bench.call::<Desks, _, ()>("d", "break_hooks", &());
    let said = describe::<Desks>(&bench, "d", 10);
    assert_eq!(said["n_holders"], 0);
    assert_eq!(said["state"]["free"], 0, "the state itself, where the summary fails: {said}");
    assert_eq!(said["n_parked"], 2, "nobody is lost");
    assert_eq!(bench.call::<Desks, _, u32>("d", "free", &()), 0, "the object goes on");
}

#[test]
fn a_state_that_cannot_be_shown_says_why() {
    let mut bench = Bench::new();
    bench.call::<Plain, _, ()>("p", "grow", &(70_000_u32,));
    let said = describe::<Plain>(&bench, "p", 10);
    assert_eq!((&said["state"], &said["exists"]), (&Value::Null, &json!(true)));
    assert!(said["state_bytes"].as_u64().is_some_and(|bytes| bytes > 70_000), "{said}");
    assert!(said["no_state"].as_str().is_some_and(|why| why.contains("at most 65536 are shown")), "{said}");

    bench.call::<Plain, _, ()>("q", "pair", &());
    let said = describe::<Plain>(&bench, "q", 10);
    assert!(said["no_state"].as_str().is_some_and(|why| why.contains("no JSON: key must be a string")), "{said}");
}

#[test]
fn a_serialize_that_panics_brings_nobody_down() {
    let mut bench = Bench::new();
    bench.call::<Plain, _, ()>("p", "shout", &());
    let said = describe::<Plain>(&bench, "p", 10);
    assert_eq!((&said["no_state"], &said["state"]), (&json!("it cannot be encoded"), &Value::Null));
    assert_eq!((&said["exists"], &said["state_bytes"]), (&json!(true), &Value::Null));
    assert_eq!(bench.call::<Plain, _, u64>("p", "bytes", &()), 0, "the object goes on");
}

#[test]
fn a_lost_object_says_so_until_it_is_deleted() {
    let mut bench = Bench::new();
    bench.call::<Plain, _, ()>("p", "become_odd", &());
    let trip = bench.send::<Plain, _>(&Request::of("p"), "trip", &());
    assert!(matches!(bench.fault(trip), Fault::Panicked { .. }));
    let said = describe::<Plain>(&bench, "p", 10);
    assert_eq!((&said["exists"], &said["lost"]), (&json!(false), &json!(true)));
    assert_eq!(said["no_state"], "a panic could not be undone");
    assert!(delete::<Plain>(&mut bench, "p"), "there was something to delete");
    assert_eq!(bench.call::<Plain, _, u64>("p", "bytes", &()), 0, "it is made anew");
}

#[test]
fn what_does_not_exist_says_so() {
    let said = Instance::vacant(Desks::TYPE, 0).describe(1_000, 10);
    assert_eq!((&said["exists"], &said["no_state"]), (&json!(false), &json!("there is no object")));
    assert_eq!((&said["n_holders"], &said["n_parked"]), (&json!(0), &json!(0)));
}

#[test]
fn an_object_that_is_made_anew_has_another_version() {
    let mut bench = Bench::new();
    let made = |bench: &mut Bench| {
        bench.call::<Plain, _, ()>("p", "grow", &(1_u32,));
        entry::<Plain>(bench, "p").version()
    };
    let first = made(&mut bench);
    assert_ne!(first, 0);
    assert!(delete::<Plain>(&mut bench, "p"), "it was there");
    let object = bench.slot.objects().find(name::<Plain>("p")).expect("is there until it is removed");
    assert!(bench.slot.objects_mut().remove_vacant(object));
    assert_ne!(made(&mut bench), first);
}

//! The types of the library are handles: what a program names is shared, and has one way to be written in a field.

use greenroom::collections::{Blob, Journal, List, Map, Matrix, OrderedMap, OrderedSet, Queue, Set, Vector};
use greenroom::sync::atomic::{
    AtomicBool, AtomicF64, AtomicI32, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize,
};
use greenroom::sync::{
    Barrier, Event, Exchanger, Latch, Mutex, Notify, Once, OnceCell, Phaser, Promise, RwLock, Semaphore,
};
use greenroom::{Average, Cell, Counter, Handle, ObjectHandle, object};
use serde::{Deserialize, Serialize};

/// Named by a user, and kept by an object of the user's.
#[object]
#[derive(Serialize, Deserialize)]
struct Keeper {
    phase: Barrier,
    next: AtomicUsize,
    hits: Counter,
    mean: Average,
    total: Mutex<i64>,
}

#[object]
impl Keeper {
    pub fn new(phase: Barrier, next: AtomicUsize, hits: Counter, mean: Average, total: Mutex<i64>) -> Self {
        Self { phase, next, hits, mean, total }
    }

    pub fn next(&self) -> AtomicUsize {
        self.next.clone()
    }

    pub fn names(&self) -> Vec<String> {
        let Self { phase, next, hits, mean, total } = self;
        [phase.object(), next.object(), hits.object(), mean.object(), total.object()].map(|raw| raw.name()).into()
    }
}

static HITS: Counter = Counter::shared("hits");

fn is_handle<H: ObjectHandle>() {}

#[test]
fn each_type_of_the_library_is_a_handle() {
    is_handle::<Average>();
    is_handle::<Barrier>();
    is_handle::<Blob>();
    is_handle::<Cell<u8>>();
    is_handle::<Counter>();
    is_handle::<Event>();
    is_handle::<Exchanger<u8>>();
    is_handle::<Handle<Keeper>>();
    is_handle::<Journal<u8>>();
    is_handle::<Latch>();
    is_handle::<List<u8>>();
    is_handle::<Map<u8, u8>>();
    is_handle::<Matrix<f64>>();
    is_handle::<Mutex<u8>>();
    is_handle::<Notify>();
    is_handle::<Once>();
    is_handle::<OnceCell<u8>>();
    is_handle::<OrderedMap<u8, u8>>();
    is_handle::<OrderedSet<u8>>();
    is_handle::<Phaser>();
    is_handle::<Promise<u8>>();
    is_handle::<Queue<u8>>();
    is_handle::<RwLock<u8>>();
    is_handle::<Semaphore>();
    is_handle::<Set<u8>>();
    is_handle::<Vector<f64>>();
}

#[test]
fn each_atomic_is_a_handle() {
    is_handle::<AtomicBool>();
    is_handle::<AtomicF64>();
    is_handle::<AtomicI32>();
    is_handle::<AtomicI64>();
    is_handle::<AtomicIsize>();
    is_handle::<AtomicU32>();
    is_handle::<AtomicU64>();
    is_handle::<AtomicUsize>();
}

#[test]
fn an_object_keeps_and_passes_handles_of_the_library() {
    let client = greenroom::client().expect("starts a node");
    let keeper = Keeper::named(
        "k",
        Barrier::named("b", 1),
        AtomicUsize::named("n", 7),
        HITS.clone(),
        Average::named("m", vec![1.0]),
        Mutex::named("t", 0),
    );
    let keeper = client.object(keeper);
    let names = ["Barrier/b", "AtomicUsize/n", "Counter/hits", "Average/m", "Mutex/t"];
    assert_eq!(keeper.names(), Ok(names.map(str::to_owned).into()));
    assert_eq!(keeper.next().and_then(|next| next.fetch_add(1)), Ok(7), "its constructor's argument came along");
    assert_eq!(client.object(Mutex::named("t", 0)).lock().map(|total| *total), Ok(0));
}

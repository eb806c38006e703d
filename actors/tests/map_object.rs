//! What the object behind maps promises where a typed handle does not show it, on the pure state machine.

extern crate greenroom_actors as greenroom;

mod common;

use std::ops::Bound;

use bytes::Bytes;
use common::{Bench, Request};
use greenroom::objects::{
    KeyEncoding, MapObject, Scan, ScanFrom, ScanPage, SnapshotGone, SnapshotTaken, TooManySnapshots,
};
use greenroom::{CallId, Lane, WaiterId, system};

fn map() -> Request<'static> {
    Request::made_with("m", &(KeyEncoding::Ordered, 1_u64, 2_u64))
}

fn insert(bench: &mut Bench, key: &'static [u8], value: &[u8]) {
    let arguments = (Bytes::from_static(key), Bytes::copy_from_slice(value));
    let call = bench.send::<MapObject, _>(&map(), "insert", &arguments);
    bench.value::<Option<Bytes>>(call);
}

fn all() -> Scan {
    let (lower, upper) = (Bound::Unbounded, Bound::Unbounded);
    Scan { lower, upper, from: ScanFrom::First, bytes_max: u32::MAX, count_max: u64::MAX }
}

type Scanned = Result<ScanPage<Bytes>, SnapshotGone>;

fn scan(bench: &mut Bench, at: Option<WaiterId>, scan: Scan) -> Scanned {
    let call = bench.send::<MapObject, _>(&map(), "scan", &(at, scan));
    bench.value(call)
}

fn scanned_keys(bench: &mut Bench, wanted: Scan) -> Vec<Bytes> {
    scan(bench, None, wanted).expect("no snapshot is named").entries.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn any_scan_of_a_map_is_answered_and_none_is_larger_than_a_page() {
    let mut bench = Bench::new();
    for key in [&b"a"[..], b"b", b"c"] {
        insert(&mut bench, key, &[7; 600 << 10]);
    }
    let page = scan(&mut bench, None, all()).expect("no snapshot is named");
    assert_eq!((page.entries.len(), page.more), (1, true), "two of them are more than a page");
    let small = Scan { bytes_max: 0, count_max: 0, from: ScanFrom::Last, ..all() };
    assert_eq!(scanned_keys(&mut bench, small), ["c"], "one entry comes whatever is asked");
    let key = |key: &'static [u8]| Bytes::from_static(key);
    for (lower, upper) in [
        (Bound::Included(key(b"c")), Bound::Included(key(b"a"))),
        (Bound::Excluded(key(b"c")), Bound::Included(key(b"a"))),
        (Bound::Excluded(key(b"b")), Bound::Excluded(key(b"b"))),
        (Bound::Included(key(b"b")), Bound::Excluded(key(b"b"))),
        (Bound::Excluded(key(b"b")), Bound::Included(key(b"b"))),
    ] {
        let found = scanned_keys(&mut bench, Scan { lower: lower.clone(), upper: upper.clone(), ..all() });
        assert!(found.is_empty(), "{lower:?} to {upper:?} has {found:?}");
    }
    let one = Scan { lower: Bound::Included(key(b"b")), upper: Bound::Included(key(b"b")), ..all() };
    assert_eq!(scanned_keys(&mut bench, one), ["b"]);
}

#[test]
fn a_snapshot_whose_caller_gave_up_is_not_held() {
    let mut bench = Bench::new();
    insert(&mut bench, b"a", b"1");
    let call = bench.send::<MapObject, ()>(&map(), "snapshot", &());
    let taken: SnapshotTaken = bench.value::<Result<_, TooManySnapshots>>(call).expect("is the first");
    assert_eq!(scan(&mut bench, Some(taken.grant), all()).expect("is held").entries.len(), 1);
    bench.cancel::<MapObject>(call, "m");
    assert_eq!(scan(&mut bench, Some(taken.grant), all()), Err(SnapshotGone));
    let release = bench.send::<MapObject, _>(&map(), "release", &(taken.grant,));
    assert_eq!(bench.value::<Result<(), SnapshotGone>>(release), Err(SnapshotGone));
}

#[test]
fn pages_of_a_map_and_of_its_successor_never_pass_for_those_of_one() {
    let mut bench = Bench::new();
    insert(&mut bench, b"a", b"1");
    let before = scan(&mut bench, None, all()).expect("no snapshot is named").changed;
    let delete = CallId { lane: Lane(99), ..CallId::default() };
    bench.send_number::<MapObject>(delete, &map(), system::DELETE, Bytes::new());
    bench.settle();
    insert(&mut bench, b"a", b"1");
    let after = scan(&mut bench, None, all()).expect("no snapshot is named").changed;
    assert!(after > before);
    let remove = bench.send::<MapObject, _>(&map(), "remove", &(Bytes::from_static(b"none"),));
    assert_eq!(bench.value::<Option<Bytes>>(remove), None);
    assert_eq!(scan(&mut bench, None, all()).expect("no snapshot is named").changed, after, "nothing was changed");
}

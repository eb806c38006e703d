//! What the data objects do when their callers give up, on the bench.

mod common;

use bytes::Bytes;
use common::{Bench, Request};
use greenroom_actors::objects::{BlobError, BlobObject, JournalError, JournalObject, JournalPage, Place, Stage};
use greenroom_actors::{CallId, Fault, Fence};

fn described(bench: &Bench) -> serde_json::Value {
    let (_, entry) = bench.slot.objects().iter().next().expect("there is one object");
    entry.instance().borrow_mut().describe(bench.now_ms, 100)
}

fn begin(bench: &mut Bench, session: u64) -> CallId {
    bench.send::<BlobObject, _>(&Request::of("b").by(session), "begin", &(Bytes::from_static(b"first"),))
}

#[test]
fn a_stage_whose_writer_gave_up_before_it_knew_of_it_is_dropped() {
    let mut bench = Bench::new();
    let given_up = begin(&mut bench, 1);
    let staged: Stage = bench.value::<Result<Stage, BlobError>>(given_up).expect("begins");
    assert_eq!(described(&bench)["holders"][0]["what"], "5 staged bytes");
    bench.cancel::<BlobObject>(given_up, "b");
    assert_eq!(described(&bench)["holders"], serde_json::json!([]));
    let gone = Err(BlobError::StageGone(staged.fence));
    let late: Result<(), BlobError> =
        bench.call::<BlobObject, _, _>("b", "stage", &(staged, Bytes::from_static(b"late")));
    assert_eq!(late, gone);
}

#[test]
fn stages_do_not_mix_and_end_with_their_owner() {
    let mut bench = Bench::new();
    let (first, second) = (begin(&mut bench, 1), begin(&mut bench, 2));
    let first: Stage = bench.value::<Result<Stage, BlobError>>(first).expect("begins");
    let second: Stage = bench.value::<Result<Stage, BlobError>>(second).expect("begins");
    let staged: Result<(), BlobError> =
        bench.call::<BlobObject, _, _>("b", "stage", &(second, Bytes::from_static(b"!")));
    assert_eq!(staged, Ok(()));
    bench.end_session(1);
    let commit = |bench: &mut Bench, stage: Stage| -> Result<u64, BlobError> {
        bench.call::<BlobObject, _, _>("b", "commit", &(stage, Place::End))
    };
    assert_eq!(commit(&mut bench, first), Err(BlobError::StageGone(first.fence)));
    assert_eq!(commit(&mut bench, second), Ok(0));
    assert_eq!(commit(&mut bench, second), Err(BlobError::StageGone(second.fence)), "once is enough");
    assert_eq!(bench.call::<BlobObject, _, u64>("b", "len", &()), 6);
}

#[test]
fn readers_that_gave_up_leave_nothing_behind_and_keep_nobody_from_being_woken() {
    let mut bench = Bench::new();
    let request = Request::made_with("j", &(7_u64,));
    let wait = |bench: &mut Bench, from: u64| {
        bench.send::<JournalObject, _>(&request, "read_when_there", &(from, usize::MAX, usize::MAX, None::<Fence>))
    };
    let patient = wait(&mut bench, 1);
    for from in 0..1_000 {
        let hasty = wait(&mut bench, from);
        bench.cancel::<JournalObject>(hasty, "j");
        assert_eq!(bench.fault(hasty), Fault::Cancelled);
    }
    let size = described(&bench)["state_bytes"].as_u64().expect("has a size");
    assert!(size < 100, "{size} bytes");
    for entry in [&b"zero"[..], b"one"] {
        assert!(bench.answer(patient).is_none(), "entry 1 is not there");
        bench.call::<JournalObject, _, u64>("j", "append", &(Bytes::from_static(entry),));
    }
    let page = bench.value::<Result<JournalPage, JournalError>>(patient).expect("is there");
    assert_eq!((page.end, page.entries), (2, vec![Bytes::from_static(b"one")]));
}

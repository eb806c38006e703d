//! Every decoder of the core against bytes from outside: it may refuse, and never panics; what was encoded comes back.
//!
//! The number of cases is `PROPTEST_CASES`, or 120,000 for random bytes in all.

extern crate greenroom_actors as greenroom;

use bytes::{Bytes, BytesMut};
use greenroom::objects::{BarrierObject, CounterObject, MutexObject};
use greenroom::wire::{self, AttemptEnd, Frame, Hello, HelloRefusal, Reply, Request, Welcome, parts};
use greenroom::{
    CallId, ClusterId, Epoch, Fault, Fence, Incarnation, JobId, Lane, LogIndex, NodeId, NodeLayout, Object, Owner,
    Refusal, Sequence, SessionId, ShardId, SlotId, SlotTable, Stamp, TableVersion, ThreadId, Turn,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn cases(count: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(count), ..ProptestConfig::default() }
}

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

prop_compose! {
    fn ids()(
        lane in any::<u32>(),
        sequence in any::<u64>(),
        slot in any::<u16>(),
        epoch in any::<u64>(),
        method in any::<u16>(),
        fingerprint in any::<u64>(),
        flags in 0_u32..16,
    ) -> Request<'static> {
        Request {
            flags,
            lane: Lane(lane),
            sequence: Sequence(sequence),
            slot: SlotId(slot),
            epoch: Epoch(epoch),
            method,
            fingerprint,
            ..Request::default()
        }
    }
}

prop_compose! {
    fn options()(
        cluster in any::<Option<u64>>(),
        job in any::<u64>(),
        session in any::<Option<u64>>(),
        table in any::<Option<u64>>(),
        deadline_ms in any::<Option<u64>>(),
        attempt_ends_ms in any::<Option<u64>>(),
        parent in any::<Option<(u64, u32, u64)>>(),
        chain in vec(any::<u64>(), 0..5),
        acks in vec(any::<(u16, u32, u64)>(), 0..5),
        trace in any::<Option<([u8; 16], [u8; 8], u8)>>(),
    ) -> Request<'static> {
        Request {
            cluster: cluster.map(ClusterId),
            job: JobId(job),
            session: session.map(SessionId),
            table: table.map(TableVersion),
            deadline_ms,
            attempt_ends_ms,
            parent: parent.map(|(session, lane, sequence)| CallId {
                session: SessionId(session),
                lane: Lane(lane),
                sequence: Sequence(sequence),
            }),
            chain,
            acks: acks.into_iter().map(|(slot, lane, number)| (SlotId(slot), Lane(lane), Sequence(number))).collect(),
            trace,
            ..Request::default()
        }
    }
}

fn encoded(encode: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    encode(&mut out);
    out.freeze()
}

#[test]
fn the_end_of_an_attempt_comes_back_and_that_of_another_session_does_not() {
    let session = SessionId::of_attempt(ThreadId::from_random(7), 1);
    let end = AttemptEnd { session, ends_ms: Some(9), fence: true };
    assert_eq!(AttemptEnd::decode(&end.encode()), Ok(end));
    let of_client = AttemptEnd { session: SessionId::of_client(7), ..end };
    assert!(AttemptEnd::decode(&of_client.encode()).is_err());
    assert!(AttemptEnd::decode(b"").is_err());
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::TimedOut),
        Just(Fault::Abandoned),
        Just(Fault::ObjectLost),
        ".*".prop_map(|why| Fault::Unknown { why }),
        (".*", ".*").prop_map(|(method, message)| Fault::Panicked { method, message }),
        any::<u64>().prop_map(|count| Fault::Refused(Refusal::Overloaded { what: "mailbox".into(), count })),
        ".*".prop_map(|node| Fault::Refused(Refusal::Shape { caller: String::new(), node })),
        Just(Fault::Refused(Refusal::WrongPlace)),
    ]
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn requests_come_back(
        fixed in ids(),
        optional in options(),
        names in (".{0,40}", ".{0,40}"),
        made in any::<Option<u64>>(),
        blobs in (proptest::option::of(blob()), proptest::option::of(blob()), blob()),
    ) {
        let request = Request {
            flags: fixed.flags,
            lane: fixed.lane,
            sequence: fixed.sequence,
            slot: fixed.slot,
            epoch: fixed.epoch,
            method: fixed.method,
            fingerprint: fixed.fingerprint,
            type_name: &names.0,
            key: &names.1,
            construction: made,
            construction_arguments: blobs.0,
            credential: blobs.1,
            arguments: blobs.2,
            ..optional
        };
        let frame = encoded(|out| request.encode(out));
        prop_assert_eq!(wire::decode(&frame), Ok(Frame::Request(request)));
    }

    #[test]
    fn replies_come_back(
        call in any::<(u32, u64, Option<u64>)>(),
        facts in any::<(bool, Option<u64>, Option<u64>, Option<u64>)>(),
        result in prop_oneof![blob().prop_map(Ok), fault().prop_map(Err)],
    ) {
        let reply = Reply {
            lane: Lane(call.0),
            sequence: Sequence(call.1),
            session: call.2.map(SessionId),
            applied: facts.0,
            index: facts.1.map(LogIndex),
            table: facts.2.map(TableVersion),
            fence: facts.3.map(Fence),
            result,
        };
        let frame = encoded(|out| reply.encode(out));
        prop_assert_eq!(wire::decode(&frame), Ok(Frame::Reply(reply)));
    }

    #[test]
    fn a_frame_that_is_cut_short_is_refused_or_shorter(fixed in ids(), optional in options(), cut in any::<prop::sample::Index>()) {
        let request = Request { type_name: "Counter", key: "hits", lane: fixed.lane, ..optional };
        let whole = encoded(|out| request.encode(out));
        let frame = whole.slice(..cut.index(whole.len()));
        // Cut inside the header it is refused; there are no arguments after it.
        prop_assert!(wire::decode(&frame).is_err());
    }
}

proptest! {
    #![proptest_config(cases(40_000))]

    #[test]
    fn random_bytes_are_never_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        let frame = Bytes::from(bytes);
        let _ = wire::decode(&frame);
        let _ = postcard::from_bytes::<SlotTable>(&frame);
        let _ = postcard::from_bytes::<NodeLayout>(&frame);
    }

    #[test]
    fn random_bytes_behind_a_good_start_are_never_a_panic(kind in 0_u8..9, bytes in vec(any::<u8>(), 0..300)) {
        let mut frame = vec![kind, wire::WIRE_VERSION];
        frame.extend(bytes);
        let _ = wire::decode(&Bytes::from(frame));
    }

    #[test]
    fn a_damaged_request_is_never_a_panic(fixed in ids(), optional in options(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let request = Request { type_name: "Counter", key: "hits", lane: fixed.lane, flags: fixed.flags, ..optional };
        let mut frame = encoded(|out| request.encode(out)).to_vec();
        let at = at.index(frame.len());
        frame[at] = byte;
        let _ = wire::decode(&Bytes::from(frame));
    }

    #[test]
    fn random_states_are_never_a_panic(bytes in vec(any::<u8>(), 0..100)) {
        for object_type in [CounterObject::TYPE, BarrierObject::TYPE, MutexObject::TYPE] {
            let _ = (object_type.decode)(&bytes);
            let _ = (object_type.create)(Some(&bytes));
        }
    }

    #[test]
    fn random_arguments_are_never_a_panic(bytes in vec(any::<u8>(), 0..40), method in any::<prop::sample::Index>()) {
        for object_type in [CounterObject::TYPE, MutexObject::TYPE] {
            let arguments = Some(&[9_u8, 0][..]).filter(|_| object_type.name == "Mutex");
            let mut state = (object_type.create)(arguments).expect("the arguments are right");
            let method = &object_type.methods[method.index(object_type.methods.len())];
            let mut turn = Turn::new(Stamp::default(), CallId::default(), Owner::Session(SessionId(1)));
            if let greenroom::Run::Write(run) = method.run {
                let _ = run(&mut *state, &bytes, &mut turn);
            }
        }
    }

    #[test]
    fn random_replies_are_never_a_panic_for_people(bytes in vec(any::<u8>(), 0..40)) {
        for method in CounterObject::TYPE.methods.iter().chain(MutexObject::TYPE.methods) {
            let _ = (method.reply_to_json)(&bytes);
        }
    }
}

#[test]
fn greetings_come_back() {
    let hello = Hello {
        cluster: ClusterId(1),
        node: NodeId(2),
        incarnation: Incarnation(3),
        shard: ShardId(4),
        session: SessionId(5),
        resume: true,
        owned_job: Some(JobId(6)),
        process: "4711@host".to_owned(),
        job_name: "night".to_owned(),
        credential: Bytes::from_static(b"secret"),
    };
    let frame = encoded(|out| wire::encode_hello(&hello, out));
    assert_eq!(wire::decode(&frame), Ok(Frame::Hello(hello)));
    for welcome in [
        Welcome::Open { incarnation: Incarnation(3), now_ms: 12, frame_bytes_max: 1 << 20 },
        Welcome::Refused(HelloRefusal::SessionEnded),
    ] {
        let frame = encoded(|out| wire::encode_welcome(&welcome, out));
        assert_eq!(wire::decode(&frame), Ok(Frame::Welcome(welcome)));
    }
}

#[test]
fn an_absent_part_costs_nothing() {
    let request = Request { type_name: "Counter", key: "hits", ..Request::default() };
    let bare = encoded(|out| request.encode(out)).len();
    let with_flag = Request { flags: parts::READ, ..request.clone() };
    assert_eq!(encoded(|out| with_flag.encode(out)).len(), bare);
    let with_deadline = Request { deadline_ms: Some(5), ..request };
    assert!(encoded(|out| with_deadline.encode(out)).len() > bare);
    assert!(bare <= 32, "{bare} bytes around 11 of names");
}

#[test]
fn a_length_that_claims_too_much_takes_no_memory() {
    // A chain of 2^60 elements, in a frame of a few bytes.
    let mut frame = encoded(|out| Request { chain: vec![1], ..Request::default() }.encode(out)).to_vec();
    frame.truncate(frame.len() - 2);
    frame.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(wire::decode(&Bytes::from(frame)).is_err());
}

//! Batches and chunks against bytes from outside, and what was sent against what arrives.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use greenroom_rpc::{FrameError, Inbox, Outbox, OutboxStream, PushError};
use proptest::collection::vec;
use proptest::prelude::*;

/// Takes every batch that is ready.
fn drain(stream: &mut OutboxStream) -> Vec<Bytes> {
    let mut batches = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(batch)) = Pin::new(&mut *stream).poll_next(&mut context) {
        batches.push(batch.frames);
    }
    batches
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50_000, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_are_never_a_panic(batches in vec(vec(any::<u8>(), 0..100), 0..5)) {
        let mut inbox = Inbox::new(1_000);
        let mut frames = Vec::new();
        for batch in batches {
            let _ = inbox.take(Bytes::from(batch), &mut frames);
        }
        prop_assert!(frames.iter().all(|frame| frame.len() <= 1_006));
    }

    #[test]
    fn random_chunks_are_never_a_panic(chunks in vec((0_u32..70, any::<bool>(), vec(any::<u8>(), 0..50)), 0..80)) {
        let mut inbox = Inbox::new(200);
        let mut frames = Vec::new();
        for (transfer, last, bytes) in chunks {
            let mut batch = (u32::try_from(bytes.len()).expect("small") + 6).to_le_bytes().to_vec();
            batch.push(0);
            batch.extend(transfer.to_le_bytes());
            batch.push(u8::from(last));
            batch.extend(bytes);
            let _ = inbox.take(Bytes::from(batch), &mut frames);
        }
        prop_assert!(frames.iter().all(|frame| frame.len() <= 200));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_arrives_once_and_whole(sizes in vec(prop_oneof![1_usize..200, 60_000_usize..300_000], 1..40)) {
        let outbox = Outbox::new(1 << 20, 1 << 30);
        for (number, size) in sizes.iter().enumerate() {
            outbox.push(|out| {
                out.extend_from_slice(&[1]);
                out.extend_from_slice(&u32::try_from(number).expect("few").to_le_bytes());
                out.resize(out.len() + size, 7);
            }).expect("there is room");
        }
        let mut stream = OutboxStream::new(outbox);
        let mut inbox = Inbox::new(1 << 20);
        let mut frames = Vec::new();
        for batch in drain(&mut stream) {
            prop_assert!(batch.len() < greenroom_rpc::MESSAGE_BYTES_MAX);
            inbox.take(batch, &mut frames).expect("as agreed");
        }
        let mut arrived: Vec<(u32, usize)> = frames
            .iter()
            .map(|frame| (u32::from_le_bytes([frame[1], frame[2], frame[3], frame[4]]), frame.len() - 5))
            .collect();
        let small_in_order: Vec<u32> = arrived.iter().filter(|(_, size)| *size < 200).map(|(number, _)| *number).collect();
        prop_assert!(small_in_order.is_sorted());
        arrived.sort_unstable();
        let expected: Vec<(u32, usize)> = (0..).zip(sizes).collect();
        prop_assert_eq!(arrived, expected);
    }
}

#[test]
fn a_large_frame_does_not_hold_up_a_small_one() {
    let outbox = Outbox::new(1 << 24, 1 << 30);
    outbox.push(|out| out.resize(out.len() + (4 << 20), 1)).expect("room");
    outbox.push(|out| out.extend_from_slice(b"\x01small")).expect("room");
    let mut stream = OutboxStream::new(outbox);
    let mut inbox = Inbox::new(1 << 24);
    let mut frames = Vec::new();
    let batches = drain(&mut stream);
    inbox.take(batches[0].clone(), &mut frames).expect("as agreed");
    assert_eq!(frames, [Bytes::from_static(b"\x01small")], "it left with the first piece of the large one");
}

#[test]
fn many_large_frames_and_full_batches_keep_the_limits_of_the_peer() {
    let outbox = Outbox::new(1 << 24, 1 << 30);
    for _ in 0..100 {
        outbox.push(|out| out.resize(out.len() + 200_000, 1)).expect("room");
    }
    for _ in 0..5_000 {
        outbox.push(|out| out.resize(out.len() + 2_000, 2)).expect("room");
    }
    let mut stream = OutboxStream::new(outbox);
    let mut inbox = Inbox::new(1 << 24);
    let mut frames = Vec::new();
    for batch in drain(&mut stream) {
        assert!(batch.len() < greenroom_rpc::MESSAGE_BYTES_MAX, "{} bytes in one message", batch.len());
        inbox.take(batch, &mut frames).expect("never more transfers at once than the peer takes");
    }
    assert_eq!(frames.len(), 5_100);
}

#[test]
fn limits_are_kept_by_both_sides() {
    let outbox = Outbox::new(100_000, 1 << 30);
    assert_eq!(outbox.push(|out| out.resize(out.len() + 200_000, 1)), Err(PushError::TooLarge(200_000)));
    outbox.push(|out| out.extend_from_slice(b"\x01still works")).expect("room");
    let mut inbox = Inbox::new(10);
    let batch = [200_u32.to_le_bytes().to_vec(), vec![1; 200]].concat();
    assert_eq!(inbox.take(Bytes::from(batch), &mut Vec::new()), Err(FrameError::TooLarge { bytes_max: 10 }));
    let claim = u32::MAX.to_le_bytes().to_vec();
    assert!(inbox.take(Bytes::from(claim), &mut Vec::new()).is_err());
}

#[test]
fn a_peer_that_does_not_read_loses_its_stream() {
    let outbox = Outbox::new(1 << 20, 1 << 20);
    let pushed = (0..100).map(|_| outbox.push(|out| out.resize(out.len() + 50_000, 1)));
    assert_eq!(pushed.filter(|pushed| *pushed == Err(PushError::Full)).count(), 1);
    assert!(outbox.is_closed());
}

#[test]
fn one_value_for_many_callers_waits_once_and_arrives_for_each() {
    const BODY_BYTES: usize = 100_000;
    const N_CALLERS: u32 = 1_000;
    let body = Bytes::from(vec![7; BODY_BYTES]);
    let outbox = Outbox::new(1 << 20, 1 << 20);
    for caller in 0..N_CALLERS {
        outbox
            .push_with_body(|out| out.extend_from_slice(&[&[1][..], &caller.to_le_bytes()].concat()), &body)
            .expect("room");
    }
    let mut stream = OutboxStream::new(std::sync::Arc::clone(&outbox));
    let (mut inbox, mut frames) = (Inbox::new(1 << 20), Vec::new());
    let mut arrived = Vec::new();
    for batch in drain(&mut stream) {
        inbox.take(batch, &mut frames).expect("as agreed");
        for frame in frames.drain(..) {
            assert_eq!(frame[5..], body);
            arrived.push(u32::from_le_bytes(frame[1..5].try_into().expect("four bytes")));
        }
    }
    arrived.sort_unstable();
    assert_eq!(arrived, (0..N_CALLERS).collect::<Vec<_>>());
    // All of it has left, so there is room for as much again; and what is not shared counts as before.
    outbox.push_with_body(|out| out.extend_from_slice(b"\x01"), &Bytes::from(vec![8; 1 << 19])).expect("room");
    let values = (0..20).map(|value| Bytes::from(vec![value; BODY_BYTES]));
    let pushed = values.map(|value| outbox.push_with_body(|out| out.extend_from_slice(b"\x01"), &value));
    assert_eq!(pushed.filter(|pushed| *pushed == Err(PushError::Full)).count(), 1);
}

#[test]
fn a_small_value_for_many_callers_is_shared_before_it_fills_the_stream() {
    let outbox = Outbox::new(1 << 20, 1 << 20);
    let body = Bytes::from(vec![7; 10_000]);
    for _ in 0..3_000 {
        outbox.push_with_body(|out| out.extend_from_slice(b"\x01"), &body).expect("room");
    }
    let (mut inbox, mut frames) = (Inbox::new(1 << 20), Vec::new());
    for batch in drain(&mut OutboxStream::new(outbox)) {
        inbox.take(batch, &mut frames).expect("as agreed");
    }
    assert_eq!(frames.len(), 3_000);
    assert!(frames.iter().all(|frame| frame[1..] == body));
}

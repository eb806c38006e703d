//! `Blob`.

use greenroom::Error;
use greenroom::collections::{Blob, BlobError};
use greenroom_actors::objects::{BLOB_BYTES_MAX, BlobObject, Place};
use proptest::prelude::*;

use crate::stage::{self, Stage, scenarios, until};
use crate::{cases, fresh};

scenarios! {
    a_blob_larger_than_a_message_is_written_and_read_whole,
    a_write_is_seen_whole_or_not_at_all,
    a_write_that_is_given_up_changes_nothing_and_keeps_nothing,
    what_a_session_had_staged_is_dropped_at_its_end,
    a_blob_that_would_be_too_large_is_an_error,
    many_write_their_parts_in_any_order,
}

/// Bytes that are not all the same.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place / 1000) as u8).collect()
}

fn a_blob_larger_than_a_message_is_written_and_read_whole(stage: &Stage) {
    let blob = Blob::named("b").through(stage.session().caller());
    let content = bytes(33 << 20);
    blob.write(&content).expect("writes");
    assert_eq!(blob.len(), Ok(33 << 20));
    assert!(blob.read().expect("reads") == content, "another content");
    assert_eq!(blob.append(&content[..5 << 20]), Ok(33 << 20));
    let across = blob.read_at((33 << 20) - 1000, 2000).expect("reads");
    assert!(across == [&content[(33 << 20) - 1000..], &content[..1000]].concat(), "another content");
    assert!(stage.describe(blob.object())["holders"].as_array().expect("is a list").is_empty());
}

fn a_write_is_seen_whole_or_not_at_all(stage: &Stage) {
    let [writer, reader] = stage.sessions();
    let (of_writer, of_reader) = (Blob::named("b"), Blob::named("b"));
    let (of_writer, of_reader) = (of_writer.through(writer.caller()), of_reader.through(reader.caller()));
    let length = 3 << 20;
    of_writer.write(&vec![0; length]).expect("writes");
    let writing = stage.start(async move {
        for round in 1..=5 {
            of_writer.write_async(&vec![round; length]).await?;
        }
        Ok::<_, Error<BlobError>>(())
    });
    let mut last = 0;
    while !writing.is_finished() {
        let content = of_reader.read().expect("reads");
        assert!(content.len() == length && content.iter().all(|&byte| byte == content[0]), "parts of two writes");
        assert!(content[0] >= last, "an older write after a newer one");
        last = content[0];
    }
    assert_eq!(writing.finish(), Ok(()));
    assert_eq!(of_reader.read_at(0, 1), Ok(vec![5]));
}

fn a_write_that_is_given_up_changes_nothing_and_keeps_nothing(stage: &Stage) {
    let [writer, other] = stage.sessions();
    let (of_writer, of_other) = (Blob::named("b"), Blob::named("b"));
    let (of_writer, of_other) = (of_writer.through(writer.caller()), of_other.through(other.caller()));
    of_other.write(b"before").expect("writes");
    let writing = stage.start(async move { of_writer.write_async(&vec![1; 100 << 20]).await });
    let staged = || stage.describe(of_other.object())["holders"].as_array().expect("is a list").len();
    until("a part is staged", || staged() == 1);
    writing.give_up();
    until("it is dropped", || staged() == 0);
    assert_eq!(of_other.read(), Ok(b"before".to_vec()));
}

fn what_a_session_had_staged_is_dropped_at_its_end(stage: &Stage) {
    let [ending, other] = stage.sessions();
    let of_ending = BlobObject::named("b").through(ending.caller());
    let of_other = BlobObject::named("b").through(other.caller());
    let staged = of_ending.begin(vec![1; 10].into()).expect("begins");
    of_ending.stage(staged, vec![2; 10].into()).expect("stages");
    let described = stage.describe(of_other.object());
    assert_eq!(described["holders"][0]["what"], "20 staged bytes");
    assert_eq!(described["state"]["length"], 0, "nobody sees it");
    ending.end();
    until("it is dropped", || stage.describe(of_other.object())["state"]["staged"] == 0);
    let late = of_other.commit(staged, Place::Whole);
    assert_eq!(late, Err(Error::Method(BlobError::StageGone(staged.fence))));
    assert_eq!(of_other.len(), Ok(0));
}

fn a_blob_that_would_be_too_large_is_an_error(stage: &Stage) {
    let blob = Blob::named("b").through(stage.session().caller());
    blob.write(b"ab").expect("writes");
    let too_large = |bytes| Err(Error::Method(BlobError::TooLarge { bytes, bytes_max: BLOB_BYTES_MAX }));
    assert_eq!(blob.write_at(BLOB_BYTES_MAX, b"c"), too_large(BLOB_BYTES_MAX + 1));
    assert_eq!(blob.write_at(u64::MAX, b"c"), too_large(u64::MAX));
    assert_eq!(blob.write_at(1 << 29, b""), Ok(()), "no byte, no gap");
    assert_eq!(blob.read_at(u64::MAX, usize::MAX), Ok(Vec::new()));
    assert_eq!(blob.read(), Ok(b"ab".to_vec()));
}

fn many_write_their_parts_in_any_order(stage: &Stage) {
    let sessions: [_; 3] = stage.sessions();
    let writing: Vec<_> = (0..30_u8)
        .rev()
        .map(|part| {
            let blob = Blob::named("b").through(sessions[usize::from(part) % 3].caller());
            stage.start(async move { blob.write_at_async(u64::from(part) * 100, &[part; 100]).await })
        })
        .collect();
    for task in writing {
        assert_eq!(task.finish(), Ok(()));
    }
    let expected: Vec<u8> = (0..30).flat_map(|part| [part; 100]).collect();
    assert_eq!(Blob::named("b").through(sessions[0].caller()).read(), Ok(expected));
}

/// What is done to a blob and to a vector.
#[derive(Clone, Debug)]
enum Op {
    Write(Vec<u8>),
    WriteAt(usize, Vec<u8>),
    Append(Vec<u8>),
    Truncate(usize),
    ReadAt(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let (place, content) = (0..40_usize, proptest::collection::vec(any::<u8>(), 0..16));
    prop_oneof![
        content.clone().prop_map(Op::Write),
        (place.clone(), content.clone()).prop_map(|(offset, content)| Op::WriteAt(offset, content)),
        content.prop_map(Op::Append),
        place.clone().prop_map(Op::Truncate),
        (place.clone(), place).prop_map(|(offset, length)| Op::ReadAt(offset, length)),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_blob_is_a_vec_of_bytes(ops in proptest::collection::vec(op(), 1..50)) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (blob, mut vec) = (Blob::named(key).through(caller), Vec::<u8>::new());
        for op in ops {
            match op {
                Op::Write(content) => {
                    prop_assert_eq!(blob.write(&content), Ok(()));
                    vec = content;
                }
                Op::WriteAt(offset, content) => {
                    prop_assert_eq!(blob.write_at(offset as u64, &content), Ok(()));
                    if !content.is_empty() {
                        vec.resize(vec.len().max(offset + content.len()), 0);
                        vec[offset..offset + content.len()].copy_from_slice(&content);
                    }
                }
                Op::Append(content) => {
                    prop_assert_eq!(blob.append(&content), Ok(vec.len() as u64));
                    vec.extend(content);
                }
                Op::Truncate(length) => prop_assert_eq!(blob.truncate(length as u64), Ok(vec.truncate(length))),
                Op::ReadAt(offset, length) => {
                    let expected: Vec<u8> = vec.iter().skip(offset).take(length).copied().collect();
                    prop_assert_eq!(blob.read_at(offset as u64, length), Ok(expected));
                }
            }
            prop_assert_eq!(blob.len(), Ok(vec.len() as u64));
            prop_assert_eq!(blob.read(), Ok(vec.clone()));
        }
        prop_assert_eq!(blob.is_empty(), Ok(vec.is_empty()));
    }
}

//! `Vector`.

use greenroom::collections::{ArrayError, Element, Op, OutOfRange, Shape, Vector};
use greenroom::{Combine, CombineError, Error, Refusal, combine};
use greenroom_actors::objects::{Elements, VectorObject};
use proptest::prelude::*;

use crate::stage::{self, Stage, scenarios};
use crate::{cases, fresh};

scenarios! {
    what_many_merge_at_the_same_time_adds_up,
    what_was_merged_is_taken_once,
    elements_are_merged_by_functions_of_the_program,
    a_delta_of_another_shape_is_an_error_and_changes_nothing,
    a_vector_larger_than_a_message_goes_in_pieces,
    numbers_of_another_type_are_refused,
    a_vector_that_would_be_too_large_is_refused,
    every_number_type_travels,
}

fn what_many_merge_at_the_same_time_adds_up(stage: &Stage) {
    let sessions: [_; 3] = stage.sessions();
    let merging: Vec<_> = (0..30_i64)
        .map(|number| {
            let vector = Vector::named("v", 100, 0_i64).through(sessions[number as usize % 3].caller());
            stage.start(async move {
                vector.merge_async(&[number; 100], Op::Sum).await?;
                vector.merge_sparse_async(&[(0, 1), (99, -1), (0, 1)], Op::Sum).await?;
                vector.merge_range_async(50, &[1, 1], Op::Sum).await
            })
        })
        .collect();
    for task in merging {
        assert_eq!(task.finish(), Ok(()));
    }
    let vector = Vector::named("v", 100, 0_i64).through(sessions[0].caller());
    let (all, sum) = (vector.to_vec().expect("reads"), 29 * 15);
    assert_eq!((all[0], all[1], all[50], all[99]), (sum + 60, sum, sum + 30, sum - 30));
    assert_eq!(vector.sum(), Ok(100 * sum + 90));
}

fn what_was_merged_is_taken_once(stage: &Stage) {
    let [worker, taker] = stage.sessions();
    let (of_worker, of_taker) = (Vector::named("v", 8, 0_u64), Vector::named("v", 8, 0_u64));
    let (of_worker, of_taker) = (of_worker.through(worker.caller()), of_taker.through(taker.caller()));
    let merging = stage.start(async move {
        for _ in 0..100 {
            of_worker.merge_async(&[1; 8], Op::Sum).await?;
        }
        Ok::<_, Error<ArrayError>>(())
    });
    let mut total = 0;
    while !merging.is_finished() {
        let taken = of_taker.take().expect("takes");
        assert_eq!(taken, [taken[0]; 8], "a delta is taken whole");
        total += taken[0];
    }
    assert_eq!(merging.finish(), Ok(()));
    total += of_taker.take().expect("takes")[0];
    assert_eq!(total, 100);
    assert_eq!(of_taker.to_vec(), Ok(vec![0; 8]));
}

/// Of two numbers the one that is further from zero.
#[combine]
pub(crate) fn larger(there: &mut f64, comes: f64) {
    if comes.abs() > there.abs() {
        *there = comes;
    }
}

/// Neither associative nor commutative: it shows the order.
#[combine]
fn digits(there: &mut u32, comes: u32) {
    *there = *there * 10 + comes;
}

fn elements_are_merged_by_functions_of_the_program(stage: &Stage) {
    let caller = stage.session().caller();
    let vector = Vector::named("v", 4, 1.0_f64).through(caller.clone());
    assert_eq!(vector.merge(&[-2.0, 0.5, 3.0, -0.5], larger::combine()), Ok(()));
    assert_eq!(vector.merge_at(1, -9.0, larger::combine()), Ok(-9.0));
    assert_eq!(vector.merge_range(2, &[0.0, 7.0], Combine::max()), Ok(()));
    assert_eq!(vector.merge_sparse(&[(0, 1.0), (0, 5.0)], larger::combine()), Ok(()));
    assert_eq!(vector.to_vec(), Ok(vec![5.0, -9.0, 3.0, 7.0]));
    let counts = Vector::named("counts", 2, 1_u32).through(caller);
    assert_eq!(counts.merge_sparse(&[(0, 2), (1, 5), (0, 3)], digits::combine()), Ok(()));
    assert_eq!(counts.to_vec(), Ok(vec![123, 15]));
    let unknown = Combine::<f64>::of_name("other::program");
    let refused = Error::Method(ArrayError::Combine(CombineError::Unknown("other::program".to_owned())));
    assert_eq!(vector.merge(&[0.0; 4], unknown), Err(refused.clone()));
    assert_eq!(vector.merge_sparse(&[(0, 1.0)], unknown), Err(refused));
    let of_others = vector.merge_at(0, 1.0, Combine::of_name(digits::combine().name()));
    assert!(matches!(of_others, Err(Error::Method(ArrayError::Combine(CombineError::Value { .. })))), "{of_others:?}");
    assert_eq!(vector.to_vec(), Ok(vec![5.0, -9.0, 3.0, 7.0]));
}

fn a_delta_of_another_shape_is_an_error_and_changes_nothing(stage: &Stage) {
    let vector = Vector::named("v", 3, 1.0_f32).through(stage.session().caller());
    let shape = |found| {
        let (expected, found) = (Shape::Vector(3), Shape::Vector(found));
        Err(Error::Method(ArrayError::Shape { expected, found }))
    };
    assert_eq!(vector.merge(&[2.0; 4], Op::Sum), shape(4));
    assert_eq!(vector.merge(&[], Op::Sum), shape(0));
    let out = |index| Error::Method(ArrayError::Index(OutOfRange { index, length: 3 }));
    assert_eq!(vector.get(3), Err(out(3)));
    assert_eq!(vector.set(4, 2.0), Err(out(4)));
    assert_eq!(vector.merge_at(5, 2.0, Op::Sum), Err(out(5)));
    assert_eq!(vector.merge_range(2, &[2.0, 2.0], Op::Sum), Err(out(4)));
    assert_eq!(vector.merge_range(usize::MAX, &[2.0, 2.0], Op::Sum), Err(out(usize::MAX)));
    assert_eq!(vector.merge_sparse(&[(0, 2.0), (3, 2.0)], Op::Sum), Err(out(3)));
    assert_eq!(vector.range(1..4), Err(out(4)));
    assert_eq!(vector.to_vec(), Ok(vec![1.0; 3]));
    let text = shape(4).map_err(|error: Error<ArrayError>| error.to_string());
    assert_eq!(text, Err::<(), _>("what came has length 4, and length 3 was expected".to_owned()));
}

fn a_vector_larger_than_a_message_goes_in_pieces(stage: &Stage) {
    const LENGTH: usize = (33 << 20) / 8;
    let vector = Vector::named("v", LENGTH, 1_u64).through(stage.session().caller());
    let delta: Vec<u64> = (0..LENGTH as u64).collect();
    vector.merge(&delta, Op::Sum).expect("merges 33 MiB");
    let expected = |values: Vec<u64>| values.into_iter().eq((0..LENGTH as u64).map(|value| value + 1));
    assert!(expected(vector.to_vec().expect("reads")));
    assert!(expected(vector.take().expect("takes")));
    assert_eq!(vector.range(LENGTH - 2..), Ok(vec![1, 1]), "it is as it was at first");
}

fn numbers_of_another_type_are_refused(stage: &Stage) {
    let caller = stage.session().caller();
    assert_eq!(Vector::named("v", 3, 0_u32).through(caller.clone()).len(), Ok(3));
    let typed = Vector::named("v", 3, 0_i32).through(caller.clone()).len();
    assert!(matches!(typed, Err(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. })), "{typed:?}");
    let untyped = VectorObject::existing("v").through(caller).fill(Elements::F64(vec![1.0]));
    let error = ArrayError::Type { expected: "u32".to_owned(), found: "f64".to_owned() };
    assert_eq!(untyped, Err(Error::Method(error)));
}

fn a_vector_that_would_be_too_large_is_refused(stage: &Stage) {
    let caller = stage.session().caller();
    for length in [(1 << 27) + 1, usize::MAX] {
        let refused = Vector::named("v", length, 0.0_f64).through(caller.clone()).len();
        assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::Constructor(_), .. })), "{refused:?}");
    }
    let nothing = Vector::named("nothing", 0, 0.0_f64).through(caller);
    assert_eq!((nothing.is_empty(), nothing.to_vec(), nothing.sum()), (Ok(true), Ok(vec![]), Ok(0.0)));
    assert_eq!(nothing.merge(&[], Op::Sum), Ok(()));
}

fn every_number_type_travels(stage: &Stage) {
    fn round_trip<T: Element>(stage: &Stage, values: [T; 3]) {
        let vector = Vector::named(T::NAME, 3, T::default()).through(stage.session().caller());
        vector.merge(&values, Op::Replace).expect("merges");
        assert_eq!(vector.to_vec(), Ok(values.to_vec()));
        let state = &stage.describe(vector.object())["state"];
        assert_eq!((&state["type"], &state["shape"]), (&T::NAME.into(), &"length 3".into()));
    }
    round_trip(stage, [f64::MIN, -0.0, f64::INFINITY]);
    round_trip(stage, [f32::MIN, f32::EPSILON, 1.5]);
    round_trip(stage, [i64::MIN, -1, i64::MAX]);
    round_trip(stage, [0, 1, u64::MAX]);
    round_trip(stage, [i32::MIN, -1, i32::MAX]);
    round_trip(stage, [0, 1, u32::MAX]);
}

/// What an operation makes of two numbers, as one would write it by hand.
pub(crate) fn by_hand(op: Op, there: i64, came: i64) -> i64 {
    match op {
        Op::Sum => there.wrapping_add(came),
        Op::Min => there.min(came),
        Op::Max => there.max(came),
        Op::Product => there.wrapping_mul(came),
        Op::Replace => came,
    }
}

pub(crate) fn ops() -> impl Strategy<Value = Op> {
    proptest::sample::select(&[Op::Sum, Op::Min, Op::Max, Op::Product, Op::Replace][..])
}

/// What is done to a vector of both kinds; all have the length 6.
#[derive(Clone, Debug)]
enum Change {
    Merge(Vec<i64>, Op),
    At(usize, i64, Op),
    Range(usize, Vec<i64>, Op),
    Sparse(Vec<(usize, i64)>, Op),
    Set(usize, i64),
    Fill(i64),
    Take,
}

fn change() -> impl Strategy<Value = Change> {
    let numbers = |length| proptest::collection::vec(any::<i64>(), length);
    // One index in seven is out of range.
    let index = 0..7_usize;
    prop_oneof![
        (numbers(6..=6), ops()).prop_map(|(delta, op)| Change::Merge(delta, op)),
        (index.clone(), any::<i64>(), ops()).prop_map(|(index, value, op)| Change::At(index, value, op)),
        (index.clone(), numbers(0..=4), ops()).prop_map(|(start, delta, op)| Change::Range(start, delta, op)),
        (proptest::collection::vec((index.clone(), any::<i64>()), 1..=4), ops())
            .prop_map(|(delta, op)| Change::Sparse(delta, op)),
        (index, any::<i64>()).prop_map(|(index, value)| Change::Set(index, value)),
        any::<i64>().prop_map(Change::Fill),
        Just(Change::Take),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_vector_is_a_vec_of_numbers(changes in proptest::collection::vec(change(), 1..50)) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (vector, mut vec) = (Vector::named(key, 6, 3_i64).through(caller), vec![3_i64; 6]);
        for change in changes {
            // As one would do it by hand, on a copy that counts only if all indices are there.
            let mut after = vec.clone();
            let mut combine = |index: usize, value: i64, op: Op| {
                after.get_mut(index).map(|there| *there = by_hand(op, *there, value)).is_some()
            };
            let (said, expected) = match change {
                Change::Merge(delta, op) => {
                    let all = delta.iter().enumerate().all(|(index, &value)| combine(index, value, op));
                    (vector.merge(&delta, op).is_ok(), all)
                }
                Change::At(index, value, op) => {
                    let there = combine(index, value, op);
                    let said = vector.merge_at(index, value, op);
                    prop_assert_eq!(said.as_ref().ok(), after.get(index));
                    (said.is_ok(), there)
                }
                Change::Range(start, delta, op) => {
                    let all = delta.iter().enumerate().all(|(index, &value)| combine(start + index, value, op));
                    (vector.merge_range(start, &delta, op).is_ok(), all && start <= 6)
                }
                Change::Sparse(delta, op) => {
                    let all = delta.iter().all(|&(index, value)| combine(index, value, op));
                    (vector.merge_sparse(&delta, op).is_ok(), all)
                }
                Change::Set(index, value) => {
                    (vector.set(index, value).is_ok(), combine(index, value, Op::Replace))
                }
                Change::Fill(value) => {
                    after = vec![value; 6];
                    (vector.fill(value).is_ok(), true)
                }
                Change::Take => {
                    after = vec![3; 6];
                    prop_assert_eq!(vector.take(), Ok(vec.clone()));
                    (true, true)
                }
            };
            prop_assert_eq!(said, expected);
            if expected {
                vec = after;
            }
            prop_assert_eq!(vector.to_vec(), Ok(vec.clone()));
        }
        prop_assert_eq!(vector.sum(), Ok(vec.iter().fold(0, |sum: i64, value| sum.wrapping_add(*value))));
        prop_assert_eq!(vector.range(2..=4), Ok(vec[2..=4].to_vec()));
        prop_assert_eq!((vector.len(), vector.get(5)), (Ok(6), Ok(vec[5])));
    }
}

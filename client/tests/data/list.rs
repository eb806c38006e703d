//! `List`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use greenroom::collections::{List, OutOfRange, ReadError};
use greenroom::{Error, Refusal};
use proptest::prelude::*;

use crate::stage::{self, Stage, scenarios};
use crate::{cases, fresh};

scenarios! {
    an_index_that_is_out_of_range_is_an_error_and_changes_nothing,
    what_many_push_at_the_same_time_is_all_there,
    a_list_larger_than_a_page_is_read_as_it_was_at_one_moment,
    an_iterator_goes_on_while_the_list_changes,
    more_than_a_call_can_carry_goes_in_several,
    a_list_of_another_type_is_refused,
    a_list_tells_people_how_long_it_is,
}

fn an_index_that_is_out_of_range_is_an_error_and_changes_nothing(stage: &Stage) {
    let list = List::named("l").through(stage.session().caller());
    list.extend(["a", "b"].map(str::to_owned)).expect("extends");
    let out = |index, length| Err(Error::Method(OutOfRange { index, length }));
    assert_eq!(list.set(2, "x".to_owned()), out(2, 2));
    assert_eq!(list.replace(7, "x".to_owned()).map(drop), out(7, 2));
    assert_eq!(list.insert(3, "x".to_owned()), out(3, 2));
    assert_eq!(list.remove(usize::MAX).map(drop), out(usize::MAX, 2));
    assert_eq!(list.swap(0, 2), out(2, 2));
    assert_eq!(list.get(2), Ok(None));
    let range = |range: std::ops::Range<usize>| list.range(range).map(drop);
    let out = |index, length| Err(Error::Method(ReadError::OutOfRange(OutOfRange { index, length })));
    assert_eq!(range(0..3), out(3, 2));
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let backwards = range(2..1);
    assert_eq!(backwards, out(2, 1));
    assert_eq!(range(2..2), Ok(()));
    assert_eq!(list.range(..=usize::MAX).map(drop), out(usize::MAX, 2));
    assert_eq!(list.to_vec(), Ok(vec!["a".to_owned(), "b".to_owned()]));
    let text = Error::Method(OutOfRange { index: 2, length: 2 }).to_string();
    assert_eq!(text, "index 2 is out of range for length 2");
}

fn what_many_push_at_the_same_time_is_all_there(stage: &Stage) {
    let sessions: [_; 3] = stage.sessions();
    let pushing: Vec<_> = (0..30_u32)
        .map(|number| {
            let list = List::named("l").through(sessions[number as usize % 3].caller());
            stage.start(async move {
                list.push_async(number).await?;
                list.extend_async([number + 100, number + 200]).await
            })
        })
        .collect();
    for task in pushing {
        assert_eq!(task.finish(), Ok(()));
    }
    let values: Vec<u32> = List::named("l").through(sessions[0].caller()).to_vec().expect("reads");
    for number in 0..30 {
        let together = values.windows(2).any(|two| two == [number + 100, number + 200]);
        assert!(together && values.contains(&number), "{number} in {values:?}");
    }
    assert_eq!(values.len(), 90);
}

/// Values of 10 kB, 100 of which fill a page.
fn value(number: usize) -> (usize, String) {
    (number, "x".repeat(10_000))
}

fn a_list_larger_than_a_page_is_read_as_it_was_at_one_moment(stage: &Stage) {
    let [reader, writer] = stage.sessions();
    let list = List::named("l").through(reader.caller());
    list.extend((0..250).map(value)).expect("extends");
    let (swapping, stop) = (List::<(usize, String)>::named("l").through(writer.caller()), Arc::default());
    let stopped: Arc<AtomicBool> = Arc::clone(&stop);
    let swaps = stage.start(async move {
        let mut swaps = 0_usize;
        while !stopped.load(Ordering::Relaxed) {
            swapping.swap_async(swaps % 250, 249 - swaps % 250).await.expect("swaps");
            swaps += 1;
        }
        swaps
    });
    for _ in 0..5 {
        let mut numbers: Vec<usize> = list.to_vec().expect("reads").into_iter().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..250), "a value is there twice, or not at all");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swaps.finish() > 0);
}

fn an_iterator_goes_on_while_the_list_changes(stage: &Stage) {
    let list = List::named("l").through(stage.session().caller());
    list.extend((0..250).map(value)).expect("extends");
    let numbers: Vec<usize> = list.iter().map(|value| value.expect("reads").0).collect();
    assert!(numbers.into_iter().eq(0..250));
    let mut iterator = list.iter();
    assert_eq!(iterator.next(), Some(Ok(value(0))));
    list.truncate(1).expect("truncates");
    assert!(iterator.all(|value| value.is_ok()), "the page is there, and then the list has ended");
    assert_eq!(iterator.next(), None);
    let asynchronous = stage.start(async move {
        let mut iterator = list.iter();
        (iterator.next_async().await, iterator.next_async().await)
    });
    assert_eq!(asynchronous.finish(), (Some(Ok(value(0))), None));
}

fn more_than_a_call_can_carry_goes_in_several(stage: &Stage) {
    let list = List::named("l").through(stage.session().caller());
    let values = |of: usize| (of..9).map(|number| number.to_string().repeat(4 << 20));
    list.extend(values(0)).expect("extends by 36 MiB");
    assert_eq!(list.len(), Ok(9));
    assert!(list.iter().map(|value| value.expect("reads")).eq(values(0)));
    assert_eq!(list.remove_all(&values(1).collect::<Vec<_>>()), Ok(8));
    assert_eq!(list.len(), Ok(1));
    let too_large = list.retain_all(&values(0).collect::<Vec<_>>());
    // The pure state machine has no limit on what a message may carry.
    let refused = matches!(too_large, Err(Error::Refused { refusal: Refusal::TooLarge { .. }, .. }));
    assert!(refused || too_large == Ok(0), "{too_large:?}");
}

fn a_list_of_another_type_is_refused(stage: &Stage) {
    let caller = stage.session().caller();
    List::<u64>::named("l").through(caller.clone()).push(1).expect("pushes");
    let refused = List::<String>::named("l").through(caller).first();
    assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. })), "{refused:?}");
}

fn a_list_tells_people_how_long_it_is(stage: &Stage) {
    let list = List::named("l").through(stage.session().caller());
    list.extend([1_u8, 2]).expect("extends");
    let state = &stage.describe(list.object())["state"];
    assert_eq!((&state["length"], &state["value_bytes"]), (&2.into(), &2.into()), "{state}");
}

/// What is done to a list of both kinds.
#[derive(Clone, Debug)]
enum Op {
    Push(u8),
    Extend(Vec<u8>),
    Pop,
    Insert(usize, u8),
    Remove(usize),
    Set(usize, u8),
    Replace(usize, u8),
    Swap(usize, usize),
    Clear,
    Truncate(usize),
    RemoveValue(u8),
    RemoveAll(Vec<u8>),
    RetainAll(Vec<u8>),
}

fn op() -> impl Strategy<Value = Op> {
    // Few values and short lists, so that what is searched for is found, and indices are just within and just outside.
    let (value, index) = (0..6_u8, 0..12_usize);
    let values = proptest::collection::vec(value.clone(), 0..4);
    prop_oneof![
        3 => value.clone().prop_map(Op::Push),
        3 => values.clone().prop_map(Op::Extend),
        1 => Just(Op::Pop),
        3 => (index.clone(), value.clone()).prop_map(|(index, value)| Op::Insert(index, value)),
        2 => index.clone().prop_map(Op::Remove),
        1 => (index.clone(), value.clone()).prop_map(|(index, value)| Op::Set(index, value)),
        1 => (index.clone(), value.clone()).prop_map(|(index, value)| Op::Replace(index, value)),
        1 => (index.clone(), index.clone()).prop_map(|(first, second)| Op::Swap(first, second)),
        1 => Just(Op::Clear),
        1 => index.prop_map(Op::Truncate),
        1 => value.prop_map(Op::RemoveValue),
        1 => values.clone().prop_map(Op::RemoveAll),
        1 => values.prop_map(Op::RetainAll),
    ]
}

/// The index, if the vector has it, or the error that says that it has not.
fn within(index: usize, length: usize) -> Result<usize, Error<OutOfRange>> {
    if index < length { Ok(index) } else { Err(Error::Method(OutOfRange { index, length })) }
}

fn keep(vec: &mut Vec<u8>, keep: impl Fn(&u8) -> bool) -> usize {
    let before = vec.len();
    vec.retain(keep);
    before - vec.len()
}

/// Does the same to both, and compares what they say.
fn play(list: &List<u8>, vec: &mut Vec<u8>, op: Op) -> Result<(), TestCaseError> {
    let length = vec.len();
    match op {
        Op::Push(value) => prop_assert_eq!(list.push(value), Ok(vec.push(value))),
        Op::Extend(values) => prop_assert_eq!(list.extend(values.clone()), Ok(vec.extend(values))),
        Op::Pop => prop_assert_eq!(list.pop(), Ok(vec.pop())),
        Op::Insert(index, value) => {
            let expected = if index == length { Ok(index) } else { within(index, length) };
            prop_assert_eq!(list.insert(index, value), expected.map(|index| vec.insert(index, value)));
        }
        Op::Remove(index) => {
            prop_assert_eq!(list.remove(index), within(index, length).map(|index| vec.remove(index)));
        }
        Op::Set(index, value) => {
            prop_assert_eq!(list.set(index, value), within(index, length).map(|index| vec[index] = value));
        }
        Op::Replace(index, value) => {
            let expected = within(index, length).map(|index| std::mem::replace(&mut vec[index], value));
            prop_assert_eq!(list.replace(index, value), expected);
        }
        Op::Swap(first, second) => {
            let both = within(first, length).and_then(|first| Ok((first, within(second, length)?)));
            prop_assert_eq!(list.swap(first, second), both.map(|(first, second)| vec.swap(first, second)));
        }
        Op::Clear => prop_assert_eq!(list.clear(), Ok(vec.clear())),
        Op::Truncate(length) => prop_assert_eq!(list.truncate(length), Ok(vec.truncate(length))),
        Op::RemoveValue(value) => {
            let index = vec.iter().position(|there| *there == value);
            prop_assert_eq!(list.remove_value(&value), Ok(index.map(|index| vec.remove(index)).is_some()));
        }
        Op::RemoveAll(values) => {
            prop_assert_eq!(list.remove_all(&values), Ok(keep(vec, |there| !values.contains(there))));
        }
        Op::RetainAll(values) => {
            prop_assert_eq!(list.retain_all(&values), Ok(keep(vec, |there| values.contains(there))));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_list_is_a_vec(ops in proptest::collection::vec(op(), 1..50)) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (list, mut vec) = (List::named(key).through(caller), Vec::new());
        for op in ops {
            play(&list, &mut vec, op)?;
            prop_assert_eq!(list.len(), Ok(vec.len()));
        }
        prop_assert_eq!(list.is_empty(), Ok(vec.is_empty()));
        prop_assert_eq!((list.first(), list.last()), (Ok(vec.first().copied()), Ok(vec.last().copied())));
        for index in 0..12 {
            prop_assert_eq!(list.get(index), Ok(vec.get(index).copied()));
        }
        for value in 0..6 {
            prop_assert_eq!(list.contains(&value), Ok(vec.contains(&value)));
            prop_assert_eq!(list.index_of(&value), Ok(vec.iter().position(|there| *there == value)));
            prop_assert_eq!(list.last_index_of(&value), Ok(vec.iter().rposition(|there| *there == value)));
            let both = [value, 5];
            prop_assert_eq!(list.contains_all(&both), Ok(both.iter().all(|value| vec.contains(value))));
        }
        prop_assert_eq!(list.contains_all(&[]), Ok(true));
        let middle = vec.len() / 3..vec.len() / 2 + vec.len() % 2;
        prop_assert_eq!(list.range(middle.clone()), Ok(vec[middle].to_vec()));
        prop_assert_eq!(list.iter().collect::<Result<Vec<_>, _>>(), Ok(vec.clone()));
        prop_assert_eq!(list.to_vec(), Ok(vec));
    }
}

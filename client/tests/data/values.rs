//! `Cell` and `Counter` beside plain values.

use greenroom::{Cell, Combine, Counter, Error};
use proptest::prelude::*;

use crate::anew::Between;
use crate::stage::{self, Stage, scenarios};
use crate::{cases, fresh};

scenarios! {
    an_update_of_a_cell_is_made_again_when_another_came_between,
    an_update_of_a_cell_that_was_made_anew_is_made_of_the_new_one,
    a_value_is_updated_that_no_message_would_carry_twice,
    many_values_are_merged_into_a_cell_at_once,
}

fn an_update_of_a_cell_is_made_again_when_another_came_between(stage: &Stage) {
    let [one, other] = stage.sessions();
    let cell = Cell::named("c", "a".to_owned()).through(one.caller());
    let of_other = cell.through(other.caller());
    let mut seen = Vec::new();
    let before = cell.update(|value| {
        seen.push(value.clone());
        match seen.len() {
            1 => of_other.set("b".to_owned()).expect("comes between"),
            // The same value is another version all the same.
            2 => of_other.set("b".to_owned()).expect("comes between"),
            _ => {}
        }
        value + "!"
    });
    assert_eq!(before, Ok("b".to_owned()), "it is the one that was changed");
    assert_eq!(seen, ["a", "b", "b"]);
    assert_eq!(of_other.get(), Ok("b!".to_owned()));
}

fn an_update_of_a_cell_that_was_made_anew_is_made_of_the_new_one(stage: &Stage) {
    let [one, other] = stage.sessions();
    let of_other = Cell::named("c", 1_u32).through(other.caller());
    of_other.set(5).expect("sets");
    let replaced = of_other.clone();
    let between = Between::new(one.caller(), move || {
        assert_eq!(replaced.object().delete(), Ok(true));
        replaced.set(7).expect("makes it anew");
    });
    assert_eq!(of_other.through(between).update(|value| value + 100), Ok(7));
    assert_eq!(of_other.get(), Ok(107));
}

fn a_value_is_updated_that_no_message_would_carry_twice(stage: &Stage) {
    let cell = Cell::named("c", String::new()).through(stage.session().caller());
    let large = "x".repeat(20 << 20);
    cell.set(large.clone()).expect("sets");
    let before = cell.update(|value| value + "!");
    assert!(before == Ok(large), "it is what was there");
    let after = cell.get().expect("reads");
    assert!(after.len() == (20 << 20) + 1 && after.ends_with("x!"));
}

fn many_values_are_merged_into_a_cell_at_once(stage: &Stage) {
    let caller = stage.session().caller();
    let log = Cell::named("log", vec![0_u32]).through(caller.clone());
    assert_eq!(log.merge_all((1..5).map(|number| vec![number]), Combine::append()), Ok(()));
    assert_eq!(log.merge_all([], Combine::append()), Ok(()), "nothing is called");
    assert_eq!(log.get(), Ok(vec![0, 1, 2, 3, 4]));
    let sum = Cell::named("sum", 1_i64).through(caller);
    assert_eq!(sum.merge_all(1..=100, Combine::sum()), Ok(()));
    assert!(matches!(sum.merge_all([1], Combine::of_name("no such function")), Err(Error::Method(_))));
    assert_eq!(sum.get(), Ok(5051));
}

/// What is done to a cell and to a plain value.
#[derive(Clone, Debug)]
enum OnCell {
    Set(String),
    Replace(String),
    Exchange(String, String),
    Append(String),
    AppendAll(Vec<String>),
    Last(String),
    Update(String),
}

fn on_cell() -> impl Strategy<Value = OnCell> {
    // Few values, so that a compare-and-set succeeds now and then.
    let value = || proptest::sample::select(vec!["", "a", "b", "ab"]).prop_map(str::to_owned);
    prop_oneof![
        2 => value().prop_map(OnCell::Set),
        1 => value().prop_map(OnCell::Replace),
        4 => (value(), value()).prop_map(|(current, new)| OnCell::Exchange(current, new)),
        2 => value().prop_map(OnCell::Append),
        1 => proptest::collection::vec(value(), 0..3).prop_map(OnCell::AppendAll),
        1 => value().prop_map(OnCell::Last),
        1 => value().prop_map(OnCell::Update),
    ]
}

/// What is done to a counter and to a plain number.
#[derive(Clone, Debug)]
enum OnCounter {
    Add(i64),
    Increment,
    Decrement,
    Set(i64),
    Reset,
}

fn on_counter() -> impl Strategy<Value = OnCounter> {
    let value = || prop_oneof![-3..4_i64, Just(i64::MIN), Just(i64::MAX)];
    prop_oneof![
        4 => value().prop_map(OnCounter::Add),
        1 => Just(OnCounter::Increment),
        1 => Just(OnCounter::Decrement),
        2 => value().prop_map(OnCounter::Set),
        1 => Just(OnCounter::Reset),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_cell_is_a_value(ops in proptest::collection::vec(on_cell(), 1..50)) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (cell, mut plain) = (Cell::named(key, "a".to_owned()).through(caller), "a".to_owned());
        for op in ops {
            match op {
                OnCell::Set(value) => {
                    prop_assert_eq!(cell.set(value.clone()), Ok(()));
                    plain = value;
                }
                OnCell::Replace(value) => {
                    prop_assert_eq!(cell.replace(value.clone()), Ok(std::mem::replace(&mut plain, value)));
                }
                OnCell::Exchange(current, new) => {
                    let said = cell.compare_exchange(&current, new.clone());
                    let expected = if plain == current { Ok(std::mem::replace(&mut plain, new)) } else { Err(plain.clone()) };
                    prop_assert_eq!(said, Ok(expected));
                }
                OnCell::Append(value) => {
                    plain += &value;
                    prop_assert_eq!(cell.merge(value, Combine::<String>::append()), Ok(plain.clone()));
                }
                OnCell::AppendAll(values) => {
                    plain += &values.concat();
                    prop_assert_eq!(cell.merge_all(values, Combine::<String>::append()), Ok(()));
                }
                OnCell::Last(value) => {
                    plain.clone_from(&value);
                    prop_assert_eq!(cell.merge(value, Combine::last()), Ok(plain.clone()));
                }
                OnCell::Update(suffix) => {
                    let after = plain.clone() + &suffix;
                    let before = std::mem::replace(&mut plain, after);
                    prop_assert_eq!(cell.update(|value| value + &suffix), Ok(before));
                }
            }
            prop_assert_eq!(cell.get(), Ok(plain.clone()));
        }
    }

    #[test]
    fn a_counter_is_a_number(ops in proptest::collection::vec(on_counter(), 1..50)) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (counter, mut plain) = (Counter::named(key).through(caller), 0_i64);
        for op in ops {
            let before = plain;
            match op {
                OnCounter::Add(delta) => {
                    plain = plain.wrapping_add(delta);
                    prop_assert_eq!(counter.add(delta), Ok(plain));
                }
                OnCounter::Increment => {
                    plain = plain.wrapping_add(1);
                    prop_assert_eq!(counter.increment(), Ok(plain));
                }
                OnCounter::Decrement => {
                    plain = plain.wrapping_sub(1);
                    prop_assert_eq!(counter.decrement(), Ok(plain));
                }
                OnCounter::Set(value) => {
                    plain = value;
                    prop_assert_eq!(counter.set(value), Ok(before));
                }
                OnCounter::Reset => {
                    plain = 0;
                    prop_assert_eq!(counter.reset(), Ok(before));
                }
            }
            prop_assert_eq!(counter.get(), Ok(plain));
        }
    }
}

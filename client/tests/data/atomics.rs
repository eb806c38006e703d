//! Atomics, the counter and the cell.

use std::sync::atomic::Ordering::SeqCst;

use greenroom::sync::atomic::{
    AtomicBool, AtomicF64, AtomicI32, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize,
};
use greenroom::{Cell, Combine, CombineError, Counter, Error, Refusal};
use proptest::prelude::*;

use crate::stage::{self, Stage, scenarios};
use crate::{cases, fresh};

scenarios! {
    what_many_add_at_the_same_time_adds_up,
    an_update_is_made_again_when_another_came_between,
    an_update_that_says_none_changes_nothing,
    everybody_names_the_same_initial_value,
    a_counter_is_reset_to_zero,
    a_cell_merges_what_many_bring,
    a_merge_that_cannot_be_made_changes_nothing,
}

fn what_many_add_at_the_same_time_adds_up(stage: &Stage) {
    let sessions: [_; 4] = stage.sessions();
    let adding: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (sum, mean) = (AtomicU64::named("sum", 7), AtomicF64::named("mean", 0.5));
            let (sum, mean) = (sum.through(session.caller()), mean.through(session.caller()));
            stage.start(async move {
                for number in 0..25 {
                    sum.fetch_add_async(number).await?;
                    sum.fetch_update_async(|before| Some(before + 1)).await?.expect("is made");
                    mean.fetch_add_async(0.25).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for task in adding {
        assert_eq!(task.finish(), Ok(()));
    }
    assert_eq!(AtomicU64::named("sum", 7).through(sessions[0].caller()).load(), Ok(7 + 4 * (300 + 25)));
    assert_eq!(AtomicF64::named("mean", 0.5).through(sessions[0].caller()).load(), Ok(25.5));
}

fn an_update_is_made_again_when_another_came_between(stage: &Stage) {
    let [one, other] = stage.sessions();
    let (of_one, of_other) = (AtomicI64::named("a", 1), AtomicI64::named("a", 1));
    let (of_one, of_other) = (of_one.through(one.caller()), of_other.through(other.caller()));
    let mut seen = Vec::new();
    let updated = of_one.fetch_update(|value| {
        seen.push(value);
        if value == 1 {
            of_other.store(5).expect("comes between");
        }
        Some(value * 10)
    });
    assert_eq!(updated, Ok(Ok(5)));
    assert_eq!(seen, [1, 5]);
    assert_eq!(of_other.load(), Ok(50));
}

fn an_update_that_says_none_changes_nothing(stage: &Stage) {
    let flag = AtomicBool::named("flag", true).through(stage.session().caller());
    assert_eq!(flag.fetch_update(|_| None), Ok(Err(true)));
    assert_eq!(flag.fetch_update(|value| Some(!value)), Ok(Ok(true)));
    assert_eq!(flag.load(), Ok(false));
}

fn everybody_names_the_same_initial_value(stage: &Stage) {
    let [one, other] = stage.sessions();
    assert_eq!(AtomicI64::named("a", 1).through(one.caller()).load(), Ok(1));
    let refused = AtomicI64::named("a", 2).through(other.caller()).fetch_add(1).expect_err("another value");
    assert!(matches!(refused, Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. }), "{refused}");
    assert_eq!(AtomicI64::existing("a").through(other.caller()).load(), Ok(1));
}

fn a_counter_is_reset_to_zero(stage: &Stage) {
    let counter = Counter::named("c").through(stage.session().caller());
    assert_eq!(counter.add(41), Ok(41));
    assert_eq!(counter.increment(), Ok(42));
    assert_eq!(counter.reset(), Ok(42), "it says what was there");
    assert_eq!(counter.get(), Ok(0));
    assert_eq!(counter.decrement(), Ok(-1));
}

fn a_cell_merges_what_many_bring(stage: &Stage) {
    let sessions: [_; 3] = stage.sessions();
    let merging: Vec<_> = (0..30_i64)
        .map(|number| {
            let caller = sessions[number as usize % 3].caller();
            let (best, all) = (Cell::named("best", 100_i64), Cell::named("all", Vec::<i64>::new()));
            let (best, all) = (best.through(caller.clone()), all.through(caller));
            stage.start(async move {
                let least = best.merge_async(number - 10, Combine::min()).await?;
                assert!(least <= number - 10, "it says what came of it");
                all.merge_async(vec![number], Combine::<Vec<i64>>::append()).await
            })
        })
        .collect();
    for task in merging {
        task.finish().expect("merges");
    }
    assert_eq!(Cell::named("best", 100_i64).through(sessions[0].caller()).get(), Ok(-10));
    let mut all = Cell::named("all", Vec::<i64>::new()).through(sessions[0].caller()).get().expect("reads");
    all.sort_unstable();
    assert_eq!(all, (0..30).collect::<Vec<_>>());
}

fn a_merge_that_cannot_be_made_changes_nothing(stage: &Stage) {
    let cell = Cell::named("c", "text".to_owned()).through(stage.session().caller());
    let unknown = cell.merge("more".to_owned(), Combine::of_name("no such function"));
    assert_eq!(unknown, Err(Error::Method(CombineError::Unknown("no such function".to_owned()))));
    let undecodable = cell.merge("more".to_owned(), Combine::of_name("sum f64"));
    assert!(matches!(undecodable, Err(Error::Method(CombineError::Value { .. }))), "{undecodable:?}");
    assert_eq!(cell.get(), Ok("text".to_owned()));
}

/// What is done to an atomic of both kinds.
#[derive(Clone, Debug)]
enum Op<T> {
    Load,
    Store(T),
    Swap(T),
    CompareExchange(T, T),
    Add(T),
    Sub(T),
    Max(T),
    Min(T),
    And(T),
    Or(T),
    Xor(T),
    Nand(T),
    Update(Option<T>),
}

fn op<T: Clone + std::fmt::Debug + 'static>(value: impl Strategy<Value = T> + Clone + 'static) -> BoxedStrategy<Op<T>> {
    let of = |make: fn(T) -> Op<T>| value.clone().prop_map(make);
    prop_oneof![
        Just(Op::Load),
        of(Op::Store),
        of(Op::Swap),
        (value.clone(), value.clone()).prop_map(|(current, new)| Op::CompareExchange(current, new)),
        of(Op::Add),
        of(Op::Sub),
        of(Op::Max),
        of(Op::Min),
        of(Op::And),
        of(Op::Or),
        of(Op::Xor),
        of(Op::Nand),
        proptest::option::of(value.clone()).prop_map(Op::Update),
    ]
    .boxed()
}

/// Few values, so that a compare-and-set succeeds now and then, and those at which integers wrap around.
fn ops<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = Vec<Op<T>>> {
    proptest::collection::vec(op(proptest::sample::select(values)), 1..50)
}

macro_rules! beside_std {
    ($($test:ident $shared:ident $std:path, $ops:expr;)*) => {
        proptest! {
            #![proptest_config(cases())]
            $(#[test]
            fn $test(ops in $ops) {
                let stage = Stage::pure();
                let (caller, key) = fresh(&stage);
                let first = 1;
                let (shared, std) = ($shared::named(key, first).through(caller), <$std>::new(first));
                for op in ops {
                    match op {
                        Op::Load => prop_assert_eq!(shared.load(), Ok(std.load(SeqCst))),
                        Op::Store(value) => prop_assert_eq!(shared.store(value), Ok(std.store(value, SeqCst))),
                        Op::Swap(value) => prop_assert_eq!(shared.swap(value), Ok(std.swap(value, SeqCst))),
                        Op::CompareExchange(current, new) => prop_assert_eq!(
                            shared.compare_exchange(current, new),
                            Ok(std.compare_exchange(current, new, SeqCst, SeqCst))
                        ),
                        Op::Add(value) => prop_assert_eq!(shared.fetch_add(value), Ok(std.fetch_add(value, SeqCst))),
                        Op::Sub(value) => prop_assert_eq!(shared.fetch_sub(value), Ok(std.fetch_sub(value, SeqCst))),
                        Op::Max(value) => prop_assert_eq!(shared.fetch_max(value), Ok(std.fetch_max(value, SeqCst))),
                        Op::Min(value) => prop_assert_eq!(shared.fetch_min(value), Ok(std.fetch_min(value, SeqCst))),
                        Op::And(value) => prop_assert_eq!(shared.fetch_and(value), Ok(std.fetch_and(value, SeqCst))),
                        Op::Or(value) => prop_assert_eq!(shared.fetch_or(value), Ok(std.fetch_or(value, SeqCst))),
                        Op::Xor(value) => prop_assert_eq!(shared.fetch_xor(value), Ok(std.fetch_xor(value, SeqCst))),
                        Op::Nand(value) => prop_assert_eq!(shared.fetch_nand(value), Ok(std.fetch_nand(value, SeqCst))),
                        Op::Update(value) => prop_assert_eq!(
                            shared.fetch_update(|_| value),
                            Ok(std.fetch_update(SeqCst, SeqCst, |_| value))
                        ),
                    }
                }
                prop_assert_eq!(shared.load(), Ok(std.load(SeqCst)));
            })*
        }
    };
}

beside_std! {
    an_i32_is_that_of_std AtomicI32 std::sync::atomic::AtomicI32, ops(&[i32::MIN, -1, 0, 1, 2, i32::MAX]);
    an_i64_is_that_of_std AtomicI64 std::sync::atomic::AtomicI64, ops(&[i64::MIN, -1, 0, 1, 2, i64::MAX]);
    an_isize_is_that_of_std AtomicIsize std::sync::atomic::AtomicIsize, ops(&[isize::MIN, -1, 0, 1, isize::MAX]);
    a_u32_is_that_of_std AtomicU32 std::sync::atomic::AtomicU32, ops(&[0, 1, 2, 6, u32::MAX]);
    a_u64_is_that_of_std AtomicU64 std::sync::atomic::AtomicU64, ops(&[0, 1, 2, 6, u64::MAX]);
    a_usize_is_that_of_std AtomicUsize std::sync::atomic::AtomicUsize, ops(&[0, 1, 2, 6, usize::MAX]);
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_flag_is_that_of_std(ops in ops(&[false, true])) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (shared, std) = (AtomicBool::named(key, true).through(caller), std::sync::atomic::AtomicBool::new(true));
        for op in ops {
            match op {
                Op::Load => prop_assert_eq!(shared.load(), Ok(std.load(SeqCst))),
                Op::Store(value) => prop_assert_eq!(shared.store(value), Ok(std.store(value, SeqCst))),
                Op::Swap(value) => prop_assert_eq!(shared.swap(value), Ok(std.swap(value, SeqCst))),
                Op::CompareExchange(current, new) => prop_assert_eq!(
                    shared.compare_exchange(current, new),
                    Ok(std.compare_exchange(current, new, SeqCst, SeqCst))
                ),
                Op::And(value) => prop_assert_eq!(shared.fetch_and(value), Ok(std.fetch_and(value, SeqCst))),
                Op::Or(value) => prop_assert_eq!(shared.fetch_or(value), Ok(std.fetch_or(value, SeqCst))),
                Op::Xor(value) => prop_assert_eq!(shared.fetch_xor(value), Ok(std.fetch_xor(value, SeqCst))),
                Op::Nand(value) => prop_assert_eq!(shared.fetch_nand(value), Ok(std.fetch_nand(value, SeqCst))),
                Op::Add(_) | Op::Sub(_) | Op::Max(_) | Op::Min(_) => {
                    prop_assert_eq!(shared.fetch_not(), Ok(std.fetch_not(SeqCst)));
                }
                Op::Update(value) => prop_assert_eq!(
                    shared.fetch_update(|_| value),
                    Ok(std.fetch_update(SeqCst, SeqCst, |_| value))
                ),
            }
        }
    }

    #[test]
    fn an_f64_calculates_as_f64_does(ops in ops(&[0.0, 1.5, -2.25, f64::INFINITY, f64::NEG_INFINITY, f64::NAN])) {
        let stage = Stage::pure();
        let (caller, key) = fresh(&stage);
        let (shared, mut plain) = (AtomicF64::named(key, 1.0).through(caller), 1.0_f64);
        for op in ops {
            let (before, after) = match op {
                Op::Store(value) => {
                    prop_assert_eq!(shared.store(value), Ok(()));
                    (plain, value)
                }
                Op::Swap(value) => (shared.swap(value).expect("swaps"), value),
                Op::CompareExchange(current, new) => match shared.compare_exchange(current, new).expect("compares") {
                    Ok(before) => {
                        prop_assert_eq!(before.to_bits(), current.to_bits());
                        (before, new)
                    }
                    Err(there) => {
                        prop_assert_ne!(there.to_bits(), current.to_bits());
                        (there, there)
                    }
                },
                Op::Add(value) => (shared.fetch_add(value).expect("adds"), plain + value),
                Op::Sub(value) => (shared.fetch_sub(value).expect("subtracts"), plain - value),
                Op::Max(value) => (shared.fetch_max(value).expect("compares"), plain.max(value)),
                Op::Min(value) => (shared.fetch_min(value).expect("compares"), plain.min(value)),
                Op::Update(value) => match shared.fetch_update(|_| value).expect("updates") {
                    Ok(before) => (before, value.expect("is made only then")),
                    Err(there) => (there, there),
                },
                Op::Load | Op::And(_) | Op::Or(_) | Op::Xor(_) | Op::Nand(_) => (shared.load().expect("loads"), plain),
            };
            prop_assert!(before == plain || before.is_nan() && plain.is_nan(), "{before} for {plain}");
            plain = after;
        }
    }
}

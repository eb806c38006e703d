//! The search against executions that are right by construction, against answers that are impossible, and against brute force.

mod common;

use common::*;
use greenroom_sim::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_execution_with_chosen_moments_of_effect_is_accepted(plans in plans(1..60, 40)) {
        for object_type in TYPES {
            let history = linearizable(object_type, &plans);
            prop_assert!(accepts(&history), "{history}");
        }
    }

    #[test]
    fn an_impossible_answer_is_never_accepted(plans in plans(1..30, 30), place in any::<prop::sample::Index>()) {
        for object_type in TYPES {
            let history = linearizable(object_type, &plans);
            let answered: Vec<_> = history
                .operations()
                .iter()
                .enumerate()
                .filter(|(_, operation)| matches!(operation.outcome, Outcome::Returned(..)))
                .collect();
            if answered.is_empty() {
                continue;
            }
            let changed = answered[place.index(answered.len())].0;
            let mut mutated = History::new();
            let object = mutated.object("object", object_type);
            for (index, operation) in history.operations().iter().enumerate() {
                let copy = mutated.invoke(operation.client, object, operation.call, operation.invoked_at);
                if let Outcome::Returned(reply, at) = operation.outcome {
                    mutated.returned(copy, if index == changed { impossible(reply) } else { reply }, at);
                }
            }
            // Many unanswered calls of many kinds have too many outcomes for a proof that none is right.
            let verdict = check(&mutated, &Limits { steps_max: 20_000, ..Limits::default() });
            prop_assert!(!matches!(verdict, Verdict::Linearizable), "{mutated}");
        }
    }

    #[test]
    fn the_search_and_brute_force_agree(plans in plans(1..7, 40)) {
        for object_type in TYPES {
            for history in [arbitrary(object_type, &plans), linearizable(object_type, &plans)] {
                prop_assert_eq!(accepts(&history), brute_force(&history), "{}", history);
            }
        }
    }
}

/// What no object of the random histories can have answered there.
fn impossible(reply: Reply) -> Reply {
    match reply {
        Reply::Number(_) => Reply::Number(1_000),
        Reply::Value(_) => Reply::Value(Some(1_000)),
        Reply::Exchanged(_) => Reply::Exchanged(Err(1_000)),
        Reply::Fence(_) => Reply::Fence(0),
        Reply::Passed { leader, .. } => Reply::Passed { leader, generation: 1_000 },
        Reply::Done | Reply::Refused => Reply::Number(1_000),
    }
}

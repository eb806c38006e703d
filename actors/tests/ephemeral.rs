//! Ephemeral objects: nothing of what happens to them is shipped, and what is lost is told.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use cluster::{Cluster, made_with};
use greenroom_actors::objects::{BarrierObject, CounterObject, MutexObject};
use greenroom_actors::{CallId, Durability, Fault, Lane, NodeId, Refusal, Sequence, SessionId, ViewCommand, system};

fn call(lane: u32, sequence: u64) -> CallId {
    CallId { session: SessionId(5), lane: Lane(lane), sequence: Sequence(sequence) }
}

/// A cluster whose handles say that objects are ephemeral, and its counter `hits` at 5.
fn with_counter() -> Cluster {
    let mut cluster = Cluster::new(3, 2);
    cluster.durability = Some(Durability::Ephemeral);
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(5_i64,));
    assert!(cluster.answer(add).is_none(), "that it is made is told to the other copy first");
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(add), 5);
    cluster
}

fn fault_of(cluster: &mut Cluster, call: CallId) -> Fault {
    cluster.answer(call).expect("the call is answered").result.expect_err("the call failed")
}

fn kill_primary(cluster: &mut Cluster) -> NodeId {
    let dead = cluster.primary_of::<CounterObject>("hits");
    cluster.kill(dead);
    cluster.deliver_all();
    dead
}

/// Hands the counter's slot over to its other copy.
fn hand_over(cluster: &mut Cluster) {
    let slot = cluster.slot_of::<CounterObject>("hits");
    let placement = cluster.view.placement(slot).unwrap().clone();
    let other = placement.in_sync.iter().copied().find(|node| Some(*node) != placement.primary).unwrap();
    cluster.change(&ViewCommand::HandOver(vec![(slot, placement.epoch, other)]));
    cluster.deliver_all();
    assert_eq!(cluster.primary_of::<CounterObject>("hits"), other);
}

#[test]
fn calls_of_an_ephemeral_object_are_answered_at_once_and_told_to_no_copy() {
    let mut cluster = with_counter();
    for n in 6..=20 {
        let add = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
        assert_eq!(cluster.value::<i64>(add), n);
    }
    assert!(cluster.network.is_empty(), "{:?}", cluster.network);
    let get = cluster.send::<CounterObject>(1, "hits", "get", &());
    assert_eq!(cluster.value::<i64>(get), 20);
}

#[test]
fn an_ephemeral_object_is_lost_with_its_primary_until_it_is_made_anew() {
    let mut cluster = with_counter();
    kill_primary(&mut cluster);
    for method in ["add", "get"] {
        let lost = match method {
            "add" => cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,)),
            _ => cluster.send::<CounterObject>(1, "hits", "get", &()),
        };
        cluster.deliver_all();
        assert_eq!(fault_of(&mut cluster, lost), Fault::ObjectLost);
    }
    let made = cluster.send_system::<CounterObject>("hits", system::CREATE);
    cluster.deliver_all();
    assert!(cluster.value::<bool>(made), "it was made anew");
    let again = cluster.send_system::<CounterObject>("hits", system::CREATE);
    cluster.deliver_all();
    assert!(!cluster.value::<bool>(again), "it is there");
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(add), 1);
}

#[test]
fn who_waits_in_an_ephemeral_object_learns_that_it_is_lost_and_a_retry_never_meets_the_new_one() {
    let mut cluster = Cluster::new(3, 2);
    cluster.durability = Some(Durability::Ephemeral);
    let made = || made_with(&(2_u64,));
    // The first party makes the object, the call of the second one is in no log.
    let first = call(1, 1);
    let create = cluster.send_system_made::<BarrierObject>("phase", system::CREATE, made());
    cluster.deliver_all();
    assert!(cluster.value::<bool>(create));
    cluster.send_made::<BarrierObject>(first, "phase", "wait", &(), made());
    assert!(cluster.answer(first).is_none() && cluster.network.is_empty());
    let dead = cluster.primary_of::<BarrierObject>("phase");
    cluster.kill(dead);
    cluster.deliver_all();
    cluster.retries = true;
    cluster.send_made::<BarrierObject>(first, "phase", "wait", &(), made());
    cluster.deliver_all();
    assert_eq!(fault_of(&mut cluster, first), Fault::ObjectLost);
    cluster.retries = false;
    let anew = cluster.send_system_made::<BarrierObject>("phase", system::FORCE_NEW, made());
    cluster.deliver_all();
    assert!(cluster.answer(anew).unwrap().result.is_ok());
    // Another caller's call was applied before, and it comes only now.
    cluster.retries = true;
    cluster.send_made::<BarrierObject>(call(2, 1), "phase", "wait", &(), made());
    cluster.deliver_all();
    assert!(matches!(fault_of(&mut cluster, call(2, 1)), Fault::Unknown { .. }));
}

#[test]
fn a_retry_at_the_same_primary_finds_its_answer() {
    let mut cluster = with_counter();
    cluster.send_as::<CounterObject>(call(1, 1), "hits", "add", &(1_i64,));
    assert_eq!(cluster.value::<i64>(call(1, 1)), 6);
    cluster.retries = true;
    cluster.send_as::<CounterObject>(call(1, 1), "hits", "add", &(1_i64,));
    assert_eq!(cluster.value::<i64>(call(1, 1)), 6);
    cluster.send_as::<CounterObject>(call(2, 1), "hits", "add", &(1_i64,));
    assert_eq!(cluster.value::<i64>(call(2, 1)), 7, "its first try never arrived");
}

#[test]
fn a_state_that_was_left_behind_is_never_found_again() {
    let mut cluster = with_counter();
    hand_over(&mut cluster);
    let lost = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
    cluster.deliver_all();
    assert_eq!(fault_of(&mut cluster, lost), Fault::ObjectLost);
    hand_over(&mut cluster);
    let lost = cluster.send::<CounterObject>(1, "hits", "get", &());
    cluster.deliver_all();
    assert_eq!(fault_of(&mut cluster, lost), Fault::ObjectLost);
}

#[test]
fn what_an_actor_has_yet_to_apply_when_its_copy_stops_to_order_brings_no_state_back() {
    let mut cluster = with_counter();
    cluster.hold_actors = true;
    let anew = cluster.send_system::<CounterObject>("hits", system::FORCE_NEW);
    cluster.deliver_all();
    assert!(cluster.answer(anew).is_none(), "no actor has applied it");
    hand_over(&mut cluster);
    hand_over(&mut cluster);
    cluster.release_actors();
    cluster.deliver_all();
    let lost = cluster.send::<CounterObject>(1, "hits", "get", &());
    cluster.deliver_all();
    assert_eq!(fault_of(&mut cluster, lost), Fault::ObjectLost);
}

#[test]
fn an_ephemeral_object_that_is_deleted_is_gone_on_every_copy_and_comes_again_as_the_caller_wants() {
    let mut cluster = with_counter();
    let delete = cluster.send_system::<CounterObject>("hits", system::DELETE);
    let early = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
    let refused = fault_of(&mut cluster, early);
    assert!(matches!(refused, Fault::Refused(Refusal::Unavailable(_))), "{refused:?}");
    cluster.deliver_all();
    assert!(cluster.value::<bool>(delete));
    cluster.durability = None;
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
    cluster.settle();
    assert_eq!(cluster.value::<i64>(add), 1);
    let states = cluster.states::<CounterObject>("hits");
    assert_eq!(states.len(), 2);
    assert!(states.iter().all(|(_, state)| state.is_some() && *state == states[0].1), "{states:?}");
}

#[test]
fn handles_that_say_otherwise_than_the_object_was_made_are_refused() {
    let mut cluster = with_counter();
    cluster.durability = Some(Durability::Replicated(2));
    let refused = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
    assert!(matches!(fault_of(&mut cluster, refused), Fault::Refused(Refusal::OtherDurability { .. })));
    let add = cluster.send::<CounterObject>(1, "safe", "add", &(1_i64,));
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(add), 1);
    cluster.durability = Some(Durability::Ephemeral);
    let refused = cluster.send::<CounterObject>(1, "safe", "add", &(1_i64,));
    cluster.deliver_all();
    assert!(matches!(fault_of(&mut cluster, refused), Fault::Refused(Refusal::OtherDurability { .. })));
    cluster.durability = Some(Durability::Replicated(3));
    let refused = cluster.send::<CounterObject>(1, "new", "add", &(1_i64,));
    assert_eq!(fault_of(&mut cluster, refused), Fault::Refused(Refusal::TooFewCopies { asked: 3, copies: 2 }));
    cluster.durability = None;
    for (key, value) in [("hits", 6_i64), ("safe", 2)] {
        let add = cluster.send::<CounterObject>(1, key, "add", &(1_i64,));
        cluster.deliver_all();
        assert_eq!(cluster.value::<i64>(add), value, "a handle that says nothing takes what is there");
    }
}

#[test]
fn a_primary_without_a_lease_says_nothing_of_an_ephemeral_object() {
    let mut cluster = with_counter();
    cluster.leased = false;
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
    assert_eq!(fault_of(&mut cluster, add), Fault::Moved);
}

#[test]
fn fences_grow_though_the_copy_that_gave_them_is_gone() {
    let mut cluster = Cluster::new(3, 2);
    cluster.durability = Some(Durability::Ephemeral);
    let made = || made_with(&(1_u64, bytes::Bytes::from_static(&[0])));
    let mut last = 0;
    for round in 0..3_u64 {
        let anew = cluster.send_system_made::<MutexObject>("lock", system::FORCE_NEW, made());
        cluster.settle();
        assert!(cluster.answer(anew).unwrap().result.is_ok());
        for sequence in 1..=20 {
            let taker = call(1 + u32::try_from(round).unwrap(), 2 * sequence);
            cluster.send_made::<MutexObject>(taker, "lock", "lock", &(), made());
            let locked: Result<greenroom_actors::objects::Locked, greenroom_actors::NotHeld> = cluster.value(taker);
            let locked = locked.unwrap();
            assert!(locked.fence.0 > last, "{} after {last}", locked.fence.0);
            last = locked.fence.0;
            let back = CallId { sequence: Sequence(taker.sequence.0 + 1), ..taker };
            let unchanged: Option<bytes::Bytes> = None;
            cluster.send_made::<MutexObject>(back, "lock", "unlock", &(locked.grant, unchanged), made());
            cluster.value::<Result<(), greenroom_actors::NotHeld>>(back).unwrap();
        }
        if round < 2 {
            let dead = cluster.primary_of::<MutexObject>("lock");
            cluster.kill(dead);
            cluster.settle();
            cluster.join(&format!("fresh{round}"));
            cluster.balance();
        }
    }
}

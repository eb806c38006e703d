//! Copies of a slot: what is acknowledged survives, and every copy comes to the same.

#![allow(clippy::unwrap_used, reason = "tests")]

extern crate greenroom_actors as greenroom;

mod attempts;
mod cluster;

use std::collections::BTreeSet;

use cluster::{Cluster, made_with};
use greenroom::objects::{BarrierObject, CounterObject, CounterObjectHandle};
use greenroom::{
    CallId, Error, Fault, JobId, Lane, Object, ObjectName, PeerBody, Refusal, Sequence, SessionId, Slot, Targets, Turn,
    View, ViewCommand, Waiter, Wanted, hash_object,
};
use greenroom_macros::object;
use serde::{Deserialize, Serialize};

/// Calls another object for its callers.
#[object]
#[derive(Default, Serialize, Deserialize)]
struct Relay {}

#[object]
impl Relay {
    pub fn add(&mut self, to: CounterObjectHandle, waiter: Waiter<i64>, turn: &mut Turn) {
        turn.call(to.message().add(1), Self::then_added.with((waiter,)));
    }

    fn then_added(&mut self, reply: Result<i64, Error>, waiter: Waiter<i64>) {
        waiter.reply(reply.unwrap_or(-1));
    }
}

type Waited = Result<greenroom_actors::objects::BarrierWaitResult, greenroom_actors::objects::Aborted>;

fn call(lane: u32, sequence: u64) -> CallId {
    CallId { session: SessionId(5), lane: Lane(lane), sequence: Sequence(sequence) }
}

#[test]
fn nothing_is_answered_before_every_copy_that_counts_has_it() {
    let mut cluster = Cluster::new(3, 3);
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(5_i64,));
    assert!(cluster.answer(add).is_none(), "no other copy has it");
    cluster.deliver();
    cluster.deliver();
    cluster.deliver();
    assert!(cluster.answer(add).is_none(), "one copy has not said that it has it");
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(add), 5);
}

#[test]
fn what_was_acknowledged_is_there_after_its_primary_has_died() {
    let mut cluster = Cluster::new(3, 2);
    for n in 1..=20 {
        let add = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
        cluster.deliver_all();
        assert_eq!(cluster.value::<i64>(add), n);
    }
    let dead = cluster.primary_of::<CounterObject>("hits");
    cluster.kill(dead);
    cluster.deliver_all();
    assert_ne!(cluster.primary_of::<CounterObject>("hits"), dead);
    let get = cluster.send::<CounterObject>(1, "hits", "get", &());
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(get), 20);
}

#[test]
fn what_a_backup_refused_since_it_knew_of_a_later_epoch_is_shipped_again_at_once() {
    let mut cluster = Cluster::new(3, 3);
    let (slot, primary) = (cluster.slot_of::<CounterObject>("hits"), cluster.primary_of::<CounterObject>("hits"));
    let epoch = cluster.view.placement(slot).unwrap().epoch;
    let others: Vec<_> = cluster.hosts.keys().copied().filter(|&node| node != primary).collect();
    cluster.view.apply(&ViewCommand::DropCopies(vec![(slot, epoch, others[1])]));
    let view = cluster.view.clone();
    cluster.install_on(others[0], &view);
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(5_i64,));
    cluster.deliver_all();
    assert!(cluster.answer(add).is_none(), "it was shipped in an epoch that is over");
    cluster.install_on(primary, &view);
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(add), 5);
}

#[test]
fn a_retry_after_a_failover_is_answered_and_not_run_again() {
    let mut cluster = Cluster::new(3, 2);
    cluster.send_as::<CounterObject>(call(1, 1), "hits", "add", &(7_i64,));
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(call(1, 1)), 7);
    // This one reaches the backup, and the primary dies before it hears of that.
    cluster.send_as::<CounterObject>(call(1, 2), "hits", "add", &(7_i64,));
    cluster.deliver();
    cluster.network.clear();
    let dead = cluster.primary_of::<CounterObject>("hits");
    cluster.kill(dead);
    cluster.deliver_all();
    cluster.answers.clear();
    cluster.send_as::<CounterObject>(call(1, 2), "hits", "add", &(7_i64,));
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(call(1, 2)), 14);
    let get = cluster.send::<CounterObject>(1, "hits", "get", &());
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(get), 14);
}

#[test]
fn who_waits_is_still_waiting_after_a_failover() {
    let mut cluster = Cluster::new(3, 2);
    let made = || made_with(&(2_u64,));
    cluster.send_made::<BarrierObject>(call(1, 1), "phase", "wait", &(), made());
    cluster.deliver_all();
    let dead = cluster.primary_of::<BarrierObject>("phase");
    cluster.kill(dead);
    cluster.deliver_all();
    // The caller asks again at the new primary, and the second party comes.
    cluster.send_made::<BarrierObject>(call(1, 1), "phase", "wait", &(), made());
    cluster.send_made::<BarrierObject>(call(2, 1), "phase", "wait", &(), made());
    cluster.deliver_all();
    assert!(!cluster.value::<Waited>(call(1, 1)).unwrap().is_leader());
    assert!(cluster.value::<Waited>(call(2, 1)).unwrap().is_leader());
}

#[test]
fn a_call_that_was_refused_for_want_of_arguments_and_came_again_is_kept_by_every_copy() {
    let mut cluster = Cluster::new(3, 2);
    cluster.send_made::<BarrierObject>(call(1, 1), "phase", "wait", &(), Wanted::Hash(1));
    cluster.deliver_all();
    let refused = cluster.answer(call(1, 1)).unwrap().result;
    assert_eq!(refused, Err(Fault::Refused(Refusal::NotCreated)));
    cluster.send_made::<BarrierObject>(call(1, 1), "phase", "wait", &(), made_with(&(1_u64,)));
    cluster.deliver_all();
    let first = cluster.value::<Waited>(call(1, 1)).unwrap();
    let dead = cluster.primary_of::<BarrierObject>("phase");
    cluster.kill(dead);
    cluster.deliver_all();
    cluster.send_made::<BarrierObject>(call(1, 1), "phase", "wait", &(), made_with(&(1_u64,)));
    cluster.deliver_all();
    assert_eq!(cluster.value::<Waited>(call(1, 1)).unwrap(), first);
}

#[test]
fn a_copy_that_is_made_while_calls_go_on_comes_to_the_same() {
    let mut cluster = Cluster::new(2, 2);
    for n in 0..100 {
        cluster.send::<CounterObject>(1, &format!("c{n}"), "add", &(n,));
    }
    cluster.settle();
    let dead = cluster.primary_of::<CounterObject>("c0");
    cluster.kill(dead);
    cluster.settle();
    cluster.join("fresh");
    let targets = Targets::of(&cluster.view);
    let starts = cluster.view.iter().filter_map(|(slot, placement)| {
        let node = targets.of_slot(slot).iter().find(|node| !placement.in_sync.contains(node))?;
        Some((slot, placement.epoch, *node))
    });
    let starts = ViewCommand::StartCopies(starts.collect());
    cluster.change(&starts);
    for n in 0..100 {
        cluster.send::<CounterObject>(1, &format!("c{n}"), "add", &(1_000_i64,));
        cluster.deliver();
        cluster.deliver();
    }
    cluster.settle();
    assert!(cluster.view.iter().all(|(_, placement)| placement.in_sync.len() == 2), "{:?}", cluster.view);
    for n in 0..100 {
        let states = cluster.states::<CounterObject>(&format!("c{n}"));
        assert_eq!(states.len(), 2);
        assert_eq!(states[0].1, states[1].1, "c{n}");
        assert_eq!(states[0].1.as_deref(), Some(postcard::to_allocvec(&(n + 1_000_i64)).unwrap().as_slice()));
    }
}

#[test]
fn slots_are_copied_a_few_at_a_time_and_in_small_pieces() {
    let mut cluster = Cluster::new(1, 2);
    let keys: Vec<String> = (0..1_000).map(|number| format!("object {number}")).collect();
    for key in &keys {
        cluster.send::<CounterObject>(1, key, "add", &(1_i64,));
    }
    let joined = cluster.join("later");
    let starts = cluster.view.iter().map(|(slot, placement)| (slot, placement.epoch, joined)).collect();
    cluster.change(&ViewCommand::StartCopies(starts));
    let mut n_pieces = 0;
    loop {
        let images = cluster.network.iter().filter(|sent| matches!(sent.2.body, PeerBody::Image { .. }));
        let slots: BTreeSet<_> = images.clone().map(|sent| sent.2.slot).collect();
        assert!(slots.len() <= 2 && images.clone().count() <= 4, "the others wait");
        let size = images.map(|sent| postcard::to_allocvec(&sent.2).unwrap().len()).max().unwrap_or_default();
        assert!(size < 16 * 1024, "a piece of {size} bytes holds whoever takes it");
        n_pieces +=
            usize::from(matches!(cluster.network.front(), Some(sent) if matches!(sent.2.body, PeerBody::Image { .. })));
        if !cluster.deliver() {
            break;
        }
    }
    assert!(n_pieces > 1_000 / 64, "{n_pieces} pieces");
    cluster.settle();
    assert!(cluster.view.slots.iter().all(|placement| placement.in_sync.contains(&joined)));
    for key in &keys {
        let states = cluster.states::<CounterObject>(key);
        assert!(states.len() == 2 && states[0].1.is_some() && states[0].1 == states[1].1, "{key}: {states:?}");
    }
}

#[test]
fn an_image_that_does_not_arrive_holds_up_no_other() {
    let mut cluster = Cluster::new(1, 2);
    let joined = cluster.join("later");
    let starts = cluster.view.iter().map(|(slot, placement)| (slot, placement.epoch, joined)).collect();
    cluster.change(&ViewCommand::StartCopies(starts));
    let mut begun = BTreeSet::new();
    for _ in 0..8 {
        while let Some(sent) = cluster.network.front() {
            if matches!(sent.2.body, PeerBody::Image { .. }) {
                begun.insert(sent.2.slot);
                cluster.network.pop_front();
            } else {
                cluster.deliver();
            }
        }
        cluster.now_ms += 400;
        cluster.tick();
    }
    assert_eq!(begun.len(), usize::from(cluster::N_SLOTS), "the others wait for what is lost");
}

#[test]
fn a_primary_that_was_cut_off_answers_nothing_more() {
    let mut cluster = Cluster::new(3, 2);
    let cut = cluster.primary_of::<CounterObject>("hits");
    let slot = cluster.slot_of::<CounterObject>("hits");
    let backup = *cluster.view.placement(slot).unwrap().in_sync.iter().find(|&&node| node != cut).unwrap();
    cluster.cut.extend([(cut, backup), (backup, cut)]);
    let lost = cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
    cluster.deliver_all();
    // It never hears that it was replaced.
    let stale = cluster.hosts.remove(&cut).unwrap();
    let alive = cluster.hosts.keys().copied().collect();
    let command = ViewCommand::Remove { node: cut, alive };
    cluster.change(&command);
    cluster.hosts.insert(cut, stale);
    cluster.cut.clear();
    cluster.now_ms += 1_000;
    cluster.tick();
    cluster.deliver_all();
    assert!(cluster.answer(lost).is_none(), "the backup that ignores it is the primary now");
    let get = cluster.send::<CounterObject>(1, "hits", "get", &());
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(get), 0);
}

#[test]
fn a_copy_that_has_met_a_later_epoch_takes_no_view_of_an_earlier_one() {
    let mut cluster = Cluster::new(2, 2);
    let (old, slot) = (cluster.primary_of::<CounterObject>("hits"), cluster.slot_of::<CounterObject>("hits"));
    let placement = cluster.view.placement(slot).unwrap().clone();
    let new = *placement.in_sync.iter().find(|&&node| node != old).unwrap();
    // The old primary is a view behind when it hears from the new one.
    cluster.view.apply(&ViewCommand::Leave(new));
    let stale = cluster.view.clone();
    cluster.view.apply(&ViewCommand::HandOver(vec![(slot, placement.epoch, new)]));
    let handed_over = cluster.view.clone();
    cluster.install_on(new, &handed_over);
    cluster.send::<CounterObject>(1, "hits", "add", &(1_i64,));
    cluster.deliver_all();
    cluster.install_on(old, &stale);
    assert!(!cluster.hosts[&old].slot(slot).unwrap().is_serving(), "two nodes would serve the slot");
}

#[test]
fn a_node_begins_no_slot_anew_of_which_it_had_the_only_copy() {
    let mut cluster = Cluster::new(1, 1);
    let (slot, node) = (cluster.slot_of::<CounterObject>("hits"), cluster.primary_of::<CounterObject>("hits"));
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(5_i64,));
    cluster.settle();
    assert_eq!(cluster.value::<i64>(add), 5);
    // A view of a node that knows nothing yet takes nothing away.
    cluster.install_on(node, &View::default());
    assert!(cluster.hosts[&node].slot(slot).is_some());
    // However the copy was lost: it is not served as if there had never been anything.
    cluster.hosts.get_mut(&node).unwrap().slots_mut()[usize::from(slot.0)] = None;
    cluster.join("late");
    assert!(cluster.hosts[&node].slot(slot).is_none(), "an acknowledged call would be gone in silence");
    // What an operator gives up begins anew, in another generation.
    let placement = &mut cluster.view.slots[usize::from(slot.0)];
    placement.generation += 1;
    cluster.join("later");
    assert!(cluster.hosts[&node].slot(slot).is_some_and(Slot::is_serving));
}

#[test]
fn a_copy_that_was_dropped_and_is_begun_anew_before_its_node_knows_is_made_whole() {
    let mut cluster = Cluster::new(2, 2);
    let (slot, primary) = (cluster.slot_of::<CounterObject>("hits"), cluster.primary_of::<CounterObject>("hits"));
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(5_i64,));
    cluster.settle();
    assert_eq!(cluster.value::<i64>(add), 5);
    let placement = cluster.view.placement(slot).unwrap().clone();
    let other = *placement.in_sync.iter().find(|&&node| node != primary).unwrap();
    // The other node still has what it had when the primary begins to copy to it.
    cluster.view.apply(&ViewCommand::DropCopies(vec![(slot, placement.epoch, other)]));
    let dropped = cluster.view.clone();
    cluster.install_on(primary, &dropped);
    let epoch = cluster.view.placement(slot).unwrap().epoch;
    cluster.view.apply(&ViewCommand::StartCopies(vec![(slot, epoch, other)]));
    let begun = cluster.view.clone();
    cluster.install_on(primary, &begun);
    cluster.deliver_all();
    cluster.install_on(other, &begun);
    cluster.settle();
    assert_eq!(cluster.view.placement(slot).unwrap().in_sync.len(), 2, "the copy is complete");
    let states = cluster.states::<CounterObject>("hits");
    assert_eq!(states[0].1, states[1].1, "{states:?}");
}

#[test]
fn a_copy_that_failed_and_is_begun_anew_before_its_primary_knows_is_made_whole() {
    let mut cluster = Cluster::new(2, 2);
    let (slot, primary) = (cluster.slot_of::<CounterObject>("hits"), cluster.primary_of::<CounterObject>("hits"));
    let placement = cluster.view.placement(slot).unwrap().clone();
    let other = *placement.in_sync.iter().find(|&&node| node != primary).unwrap();
    cluster.change(&ViewCommand::DropCopies(vec![(slot, placement.epoch, other)]));
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(5_i64,));
    cluster.settle();
    assert_eq!(cluster.value::<i64>(add), 5);
    let mut epoch = cluster.view.placement(slot).unwrap().epoch;
    let copy = |epoch| vec![(slot, epoch, other)];
    cluster.change(&ViewCommand::StartCopies(copy(epoch)));
    cluster.deliver_all();
    // The primary knows the copy to be complete; that it was given up, and begun anew, it learns at once.
    cluster.view.apply(&ViewCommand::CopiesFailed(copy(epoch)));
    let failed = cluster.view.clone();
    cluster.install_on(other, &failed);
    epoch.0 += 1;
    cluster.change(&ViewCommand::StartCopies(copy(epoch)));
    cluster.settle();
    assert_eq!(cluster.view.placement(slot).unwrap().in_sync.len(), 2, "the copy is complete");
    let states = cluster.states::<CounterObject>("hits");
    assert_eq!(states[0].1, states[1].1, "{states:?}");
}

#[test]
fn a_copy_that_cannot_take_what_it_is_sent_does_not_count_and_is_given_up() {
    let mut cluster = Cluster::new(2, 2);
    let (slot, primary) = (cluster.slot_of::<CounterObject>("hits"), cluster.primary_of::<CounterObject>("hits"));
    let placement = cluster.view.placement(slot).unwrap().clone();
    let other = *placement.in_sync.iter().find(|&&node| node != primary).unwrap();
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(5_i64,));
    cluster.settle();
    assert_eq!(cluster.value::<i64>(add), 5);
    cluster.change(&ViewCommand::DropCopies(vec![(slot, placement.epoch, other)]));
    let epoch = cluster.view.placement(slot).unwrap().epoch;
    cluster.strangers.insert(other);
    cluster.change(&ViewCommand::StartCopies(vec![(slot, epoch, other)]));
    for _ in 0..10 {
        cluster.settle();
    }
    let placement = cluster.view.placement(slot).unwrap();
    assert_eq!((placement.in_sync.as_slice(), placement.joining), ([primary].as_slice(), None));
}

#[test]
fn a_copy_does_not_count_before_what_its_tables_know_is_committed() {
    let mut cluster = Cluster::new(3, 2);
    let (slot, first) = (cluster.slot_of::<CounterObject>("hits"), cluster.primary_of::<CounterObject>("hits"));
    let placement = cluster.view.placement(slot).unwrap().clone();
    let second = *placement.in_sync.iter().find(|&&node| node != first).unwrap();
    let third = *cluster.hosts.keys().find(|node| !placement.in_sync.contains(node)).unwrap();
    // This one never reaches the second node, and the third hears of it by the table that comes with its copy.
    cluster.cut.extend([(first, second), (second, first)]);
    cluster.send_as::<CounterObject>(call(1, 1), "hits", "add", &(1_i64,));
    cluster.change(&ViewCommand::StartCopies(vec![(slot, placement.epoch, third)]));
    cluster.deliver_all();
    cluster.now_ms += 10;
    cluster.tick();
    for command in std::mem::take(&mut cluster.proposed) {
        cluster.change(&command);
    }
    cluster.kill(first);
    cluster.deliver_all();
    assert_eq!(cluster.primary_of::<CounterObject>("hits"), second);
    cluster.send_as::<CounterObject>(call(2, 1), "hits", "add", &(10_i64,));
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(call(2, 1)), 10);
    let epoch = cluster.view.placement(slot).unwrap().epoch;
    cluster.change(&ViewCommand::StartCopies(vec![(slot, epoch, third)]));
    cluster.settle();
    cluster.kill(second);
    cluster.settle();
    cluster.send_as::<CounterObject>(call(2, 1), "hits", "add", &(10_i64,));
    cluster.settle();
    assert_eq!(cluster.value::<i64>(call(2, 1)), 10, "it is not made twice");
}

#[test]
fn a_primary_that_stood_still_drops_no_copy_before_it_has_heard_it() {
    let mut cluster = Cluster::new(2, 2);
    let add = cluster.send::<CounterObject>(1, "hits", "add", &(5_i64,));
    cluster.now_ms += 10;
    cluster.tick();
    // Its own thread was busy, or its process stopped: the answer has been there for long.
    cluster.now_ms += 60_000;
    cluster.tick();
    assert_eq!(cluster.proposed, []);
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(add), 5);
}

#[test]
fn a_late_question_is_not_answered_by_a_copy_that_takes_no_calls() {
    let mut cluster = Cluster::new(2, 2);
    let (slot, primary) = (cluster.slot_of::<CounterObject>("hits"), cluster.primary_of::<CounterObject>("hits"));
    let other = *cluster.view.placement(slot).unwrap().in_sync.iter().find(|&&node| node != primary).unwrap();
    cluster.send_as::<CounterObject>(call(1, 1), "hits", "add", &(5_i64,));
    cluster.settle();
    let now = cluster.now();
    for node in [other, primary] {
        let copy = cluster.hosts.get_mut(&node).unwrap();
        // The primary is to hand over.
        copy.tick(now, now.ms, |_| Some(other), &mut Vec::new());
        let mut effects = Vec::new();
        let hash = hash_object(JobId::DEFAULT, CounterObject::NAME, "hits");
        let object_type = CounterObject::TYPE;
        let name = ObjectName { hash, job: JobId::DEFAULT, object_type, key: "hits" };
        let answered = copy.slot_mut(slot).unwrap().handle_late_query(call(2, 1), (name, None), now, &mut effects);
        assert!(answered.is_err() && effects.is_empty(), "{node}: {answered:?}, {effects:?}");
    }
}

#[test]
fn a_late_reply_of_an_earlier_nested_call_takes_none_from_the_one_that_is_out() {
    let mut cluster = Cluster::new(3, 2);
    let to = CounterObject::named("hits");
    let first = cluster.send::<Relay>(1, "relay", "add", &(to.clone(),));
    cluster.settle();
    let asked = cluster.nested.pop().unwrap();
    cluster.answer_nested(&asked, &1_i64);
    cluster.settle();
    assert_eq!(cluster.value::<i64>(first), 1);
    let second = cluster.send::<Relay>(1, "relay", "add", &(to,));
    cluster.settle();
    let out = cluster.nested.pop().unwrap().3.call;
    assert_eq!((out.lane, cluster.answer(second)), (asked.3.call.lane, None));
    cluster.answer_nested(&asked, &1_i64);
    cluster.settle();
    let dead = cluster.primary_of::<Relay>("relay");
    cluster.kill(dead);
    cluster.settle();
    let again: Vec<_> = cluster.nested.iter().map(|nested| nested.3.call).collect();
    assert_eq!(again, [out], "it is made again by the next primary");
}

#[test]
fn a_call_is_not_refused_for_good_while_a_new_primary_applies_the_one_before_it() {
    let mut cluster = Cluster::new(3, 2);
    cluster.send_as::<CounterObject>(call(1, 1), "hits", "add", &(7_i64,));
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(call(1, 1)), 7);
    let dead = cluster.primary_of::<CounterObject>("hits");
    cluster.hold_actors = true;
    cluster.kill(dead);
    cluster.deliver_all();
    // The caller has its answer from the one that died, and goes on.
    cluster.send_as::<CounterObject>(call(1, 2), "hits", "add", &(7_i64,));
    cluster.deliver_all();
    let refused = cluster.answer(call(1, 2)).unwrap().result;
    assert!(matches!(refused, Err(Fault::Refused(Refusal::Unavailable(_)))), "{refused:?}");
    cluster.release_actors();
    cluster.send_as::<CounterObject>(call(1, 2), "hits", "add", &(7_i64,));
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(call(1, 2)), 14);
}

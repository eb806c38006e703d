//! Attempts of cloud threads: what one holds is released when it ends, and what it says later is refused, also after a failover.

use greenroom_actors::objects::{CounterObject, SemaphoreObject};
use greenroom_actors::wire::AttemptEnd;
use greenroom_actors::{CallId, Fault, Lane, Refusal, Sequence, SessionId, SlotId, ThreadId};

use crate::cluster::{Cluster, N_SLOTS, made_with};

const KEY: &str = "one at a time";

fn attempt(number: u8) -> SessionId {
    SessionId::of_attempt(ThreadId::from_random(77), number)
}

fn call(session: SessionId, lane: u32) -> CallId {
    CallId { session, lane: Lane(lane), sequence: Sequence(1) }
}

fn acquire(cluster: &mut Cluster, call: CallId) {
    cluster.send_made::<SemaphoreObject>(call, KEY, "acquire", &(1_u32,), made_with(&(1_u64,)));
    cluster.deliver_all();
}

fn was_refused(cluster: &mut Cluster, call: CallId) -> bool {
    let answer = cluster.answer(call).expect("the call is answered");
    answer.result == Err(Fault::Refused(Refusal::AttemptEnded)) && !answer.applied
}

fn end(cluster: &mut Cluster, asked: CallId, slot: SlotId, fence: bool) {
    cluster.end_attempt(asked, slot, AttemptEnd { session: attempt(1), ends_ms: Some(cluster.now_ms + 5_000), fence });
}

#[test]
fn what_an_ended_attempt_holds_goes_to_the_next_and_its_later_calls_are_refused() {
    let mut cluster = Cluster::new(3, 2);
    let (held, waits, asked) = (call(attempt(1), 1), call(attempt(1), 2), call(SessionId(5), 9));
    let slot = cluster.slot_of::<SemaphoreObject>(KEY);
    acquire(&mut cluster, held);
    assert!(cluster.answer(held).unwrap().result.is_ok());
    acquire(&mut cluster, waits);
    let next = call(SessionId(6), 1);
    acquire(&mut cluster, next);
    assert!(cluster.answer(next).is_none(), "two are before it");
    end(&mut cluster, asked, slot, false);
    // A call that comes right behind the end, before any other copy has it.
    acquire(&mut cluster, call(attempt(1), 3));
    assert!(cluster.answer(asked).unwrap().result.is_ok());
    assert_eq!(cluster.answer(waits).unwrap().result, Err(Fault::Cancelled));
    assert!(cluster.answer(next).unwrap().result.is_ok());
    assert!(was_refused(&mut cluster, call(attempt(1), 3)));
    acquire(&mut cluster, call(attempt(2), 4));
    assert!(cluster.answer(call(attempt(2), 4)).is_none(), "the next attempt waits like anybody else");
}

#[test]
fn the_end_is_not_answered_before_every_copy_that_counts_has_it() {
    let mut cluster = Cluster::new(3, 2);
    let (held, asked) = (call(attempt(1), 1), call(SessionId(5), 9));
    let slot = cluster.slot_of::<SemaphoreObject>(KEY);
    acquire(&mut cluster, held);
    end(&mut cluster, asked, slot, false);
    assert!(cluster.answer(asked).is_none());
    cluster.deliver_all();
    assert!(cluster.answer(asked).unwrap().result.is_ok());
}

#[test]
fn a_fenced_attempt_stays_fenced_after_a_failover_also_where_it_never_was() {
    let mut cluster = Cluster::new(3, 2);
    for slot in (0..N_SLOTS).map(SlotId) {
        let asked = call(SessionId(5), 100 + u32::from(slot.0));
        end(&mut cluster, asked, slot, true);
        cluster.deliver_all();
        assert!(cluster.answer(asked).unwrap().result.is_ok());
    }
    cluster.kill(cluster.primary_of::<CounterObject>("hits"));
    cluster.settle();
    let late = call(attempt(1), 1);
    cluster.send_as::<CounterObject>(late, "hits", "add", &(1_i64,));
    cluster.deliver_all();
    assert!(was_refused(&mut cluster, late));
    let next = call(attempt(2), 1);
    cluster.send_as::<CounterObject>(next, "hits", "add", &(1_i64,));
    cluster.deliver_all();
    assert_eq!(cluster.value::<i64>(next), 1, "nothing of the first attempt was applied");
}

#[test]
fn the_end_is_forgotten_once_no_call_of_the_attempt_can_come() {
    let mut cluster = Cluster::new(1, 1);
    let (slot, asked) = (cluster.slot_of::<SemaphoreObject>(KEY), call(SessionId(5), 9));
    end(&mut cluster, asked, slot, true);
    let sessions = |cluster: &mut Cluster| {
        let now = cluster.now();
        let slot = cluster.hosts.values_mut().next().unwrap().slot_mut(slot).unwrap();
        slot.trim(now);
        slot.replies().size().0
    };
    cluster.now_ms += 60_000;
    assert_eq!(sessions(&mut cluster), 1, "its deadline was later than the end");
    cluster.now_ms += 5_001;
    assert_eq!(sessions(&mut cluster), 0);
}

#[test]
fn what_was_not_used_need_not_be_ended() {
    let mut cluster = Cluster::new(1, 1);
    let (slot, asked) = (cluster.slot_of::<SemaphoreObject>(KEY), call(SessionId(5), 9));
    end(&mut cluster, asked, slot, false);
    assert!(cluster.answer(asked).unwrap().result.is_ok());
    let slot = cluster.hosts.values().next().unwrap().slot(slot).unwrap();
    assert_eq!(slot.replies().size(), (0, 0, 0));
}

//! Calls that make no sense, come too late, or fail: each has a typed answer, and nothing is half applied.

extern crate greenroom_actors as greenroom;

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::{Peer, Raw, add, node, refusal, request, value};
use greenroom::objects::{BarrierObject, CounterObject};
use greenroom::wire::{self, Frame, Request};
use greenroom::{Construction, Fault, KeyError, Lane, Object, Refusal, Sequence, SessionId, SlotId, SlotTable};
use greenroom_macros::object;
use greenroom_node::Node;
use serde::{Deserialize, Serialize};

/// Counts, and panics when it is told to.
#[object]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Fragile {
    count: u64,
    runs: Vec<u64>,
}

#[object]
impl Fragile {
    /// Adds one.
    pub fn bump(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Changes the state and then panics.
    pub fn break_down(&mut self, why: String) -> u64 {
        self.count += 1000;
        self.runs.push(self.count);
        panic!("{why}");
    }

    /// Panics while it reads.
    pub fn stumble(&self) -> u64 {
        panic!("stumbled at {}", self.count);
    }

    /// The count, and how often `break_down` has left a trace.
    pub fn state(&self) -> (u64, u64) {
        (self.count, self.runs.len() as u64)
    }
}

fn fragile<'a>(node: &Node, key: &'a str, method: &str, arguments: &impl Serialize) -> Request<'a> {
    request(node, Fragile::TYPE, key, method, arguments)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("is after the epoch");
    u64::try_from(since.as_millis()).expect("is a near year")
}

#[tokio::test]
async fn an_unknown_type_is_refused_with_the_known_ones() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    let unknown = Request { type_name: "Centroid", ..add(&node, "c", 1) };
    let Refusal::UnknownType { name, known } = refusal(peer.ask(unknown).await) else { panic!("is another refusal") };
    assert_eq!(name, "Centroid");
    assert!(known.contains("Counter") && known.contains("Fragile"), "{known}");
    let endless = "x".repeat(100_000);
    let unknown = Request { type_name: &endless, ..add(&node, "c", 1) };
    assert!(matches!(refusal(peer.ask(unknown).await), Refusal::UnknownType { .. }));
    peer.works(&node, "c", 0).await;
}

#[tokio::test]
async fn an_unknown_method_is_refused() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    for method in [u16::try_from(CounterObject::TYPE.methods.len()).expect("is small"), 999, 0xFFEF, 0xFFF4, u16::MAX] {
        let refused = refusal(peer.ask(Request { method, ..add(&node, "c", 1) }).await);
        assert_eq!(refused, Refusal::UnknownMethod { name: "Counter".to_owned(), method });
    }
    peer.works(&node, "c", 0).await;
}

#[tokio::test]
async fn arguments_of_another_shape_are_refused_and_nothing_is_applied() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    let wrong: [&[u8]; 4] = [&[], &[0x80], &[2, 2], &[0xFF; 40]];
    for arguments in wrong {
        let call = Request { arguments: arguments.to_vec().into(), ..add(&node, "c", 1) };
        let Refusal::Arguments { method, .. } = refusal(peer.ask(call).await) else { panic!("is another refusal") };
        assert_eq!(method, "add");
    }
    assert_eq!(peer.count(&node, "c").await, 0);

    let barrier = request(&node, BarrierObject::TYPE, "b", "parties", &());
    let arguments = Some(bytes::Bytes::from_static(b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));
    let made = Request { construction_arguments: arguments, ..barrier.clone() };
    assert!(matches!(refusal(peer.ask(made).await), Refusal::Arguments { method, .. } if method == "new"));
    assert_eq!(refusal(peer.ask(barrier.clone()).await), Refusal::NotCreated, "nothing was made of it");
    let none = Construction::new(postcard::to_allocvec(&(0_u32,)).expect("encodes").into());
    let made = Request { construction_arguments: Some(none.arguments), ..barrier };
    assert!(matches!(refusal(peer.ask(made).await), Refusal::Constructor(why) if why.contains("at least one")));
    peer.works(&node, "c", 0).await;
}

#[tokio::test]
async fn another_build_of_the_type_is_refused_with_the_nodes_shape() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    let call = add(&node, "c", 1);
    let other = Request { fingerprint: call.fingerprint ^ 1, ..call };
    let Refusal::Shape { caller, node: shape } = refusal(peer.ask(other).await) else { panic!("is another refusal") };
    assert_eq!(caller, "", "the caller knows its own");
    assert_eq!(shape, CounterObject::TYPE.shape());
    assert!(shape.contains("add"), "{shape}");
    peer.works(&node, "c", 0).await;
}

#[tokio::test]
async fn a_key_that_names_nothing_is_refused() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    assert_eq!(refusal(peer.ask(add(&node, "", 1)).await), Refusal::Key(KeyError::Empty));
    let long = "k".repeat(10_000);
    assert_eq!(refusal(peer.ask(add(&node, &long, 1)).await), Refusal::Key(KeyError::TooLong(10_000)));
    peer.works(&node, &long[..1024], 0).await;
}

#[tokio::test]
async fn a_call_for_another_place_is_refused_and_the_table_is_sent_once_a_stream() {
    let node = node(|_| {});
    for session in [1, 2] {
        let mut peer = Peer::open(&node, session).await;
        let right = add(&node, "c", 1);
        let wrong = [
            Request { slot: SlotId((right.slot.0 + 1) % 16), ..right.clone() },
            Request { slot: SlotId(u16::MAX), ..right },
        ];
        peer.send(&wrong[0]);
        let frame = peer.frame().await.expect("the stream is open");
        let Ok(Frame::Table(table)) = wire::decode(&frame) else { panic!("the table comes before the refusal") };
        assert_eq!(postcard::from_bytes::<SlotTable>(&table).expect("decodes"), node.table());
        assert_eq!(refusal(peer.reply().await), Refusal::WrongPlace);
        for request in wrong {
            assert_eq!(refusal(peer.ask(request).await), Refusal::WrongPlace, "without a second table");
        }
        peer.works(&node, "c", i64::try_from(session).expect("is small") - 1).await;
    }
}

#[tokio::test]
async fn a_call_of_another_cluster_is_refused() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    let other = Request { cluster: Some(greenroom::ClusterId(9)), ..add(&node, "c", 1) };
    assert_eq!(refusal(peer.ask(other).await), Refusal::WrongCluster);
    peer.works(&node, "c", 0).await;
}

#[tokio::test]
async fn a_call_that_arrives_after_its_deadline_is_refused() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    for deadline_ms in [0, 1, now_ms() - 1000] {
        let late = Request { deadline_ms: Some(deadline_ms), ..add(&node, "c", 1) };
        assert_eq!(refusal(peer.ask(late).await), Refusal::Expired);
    }
    let in_time = Request { deadline_ms: Some(now_ms() + 60_000), ..add(&node, "c", 1) };
    assert_eq!(value::<i64>(&peer.ask(in_time).await), 1);
}

#[tokio::test]
async fn a_full_mailbox_refuses_the_rest_and_nothing_is_half_applied() {
    let node = node(|options| options.mailbox_max = 4);
    let mut good = Peer::open(&node, 1).await;
    let mut raw = Raw::greeted(&node, 2).await;
    raw.send_all((0..100).map(|lane| Request { lane: Lane(lane), ..add(&node, "full", 1) }));
    let mut values = Vec::new();
    let mut n_refused = 0;
    for _ in 0..100 {
        let frame = raw.frame().await.expect("the stream is open");
        let Ok(Frame::Reply(reply)) = wire::decode(&frame) else { panic!("not a reply") };
        match reply.result {
            Ok(_) => values.push(value::<i64>(&reply)),
            Err(Fault::Refused(Refusal::Overloaded { what, count: 4 })) if !reply.applied => {
                assert!(what.contains("mailbox"), "{what}");
                n_refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((values, n_refused), (vec![1, 2, 3, 4], 96));
    assert_eq!(good.count(&node, "full").await, 4);

    // A refused call was not accepted: the same id is applied when there is room.
    raw.send_all([Request { lane: Lane(99), ..add(&node, "full", 1) }]);
    let frame = raw.frame().await.expect("the stream is open");
    assert!(matches!(wire::decode(&frame), Ok(Frame::Reply(reply)) if value::<i64>(&reply) == 5));
}

#[tokio::test]
async fn a_full_waiting_room_refuses_the_rest() {
    let node = node(|options| options.parked_max = 2);
    let mut peer = Peer::open(&node, 1).await;
    let wait = request(&node, BarrierObject::TYPE, "b", "wait", &());
    let made = Construction::new(postcard::to_allocvec(&(100_u32,)).expect("encodes").into());
    let wait = Request { construction_arguments: Some(made.arguments), ..wait };
    for lane in 0..2 {
        peer.send(&Request { lane: Lane(lane), ..wait.clone() });
    }
    // A read follows what was sent before it, so both calls are parked by then.
    assert_eq!(value::<u32>(&peer.ask(request(&node, BarrierObject::TYPE, "b", "parties", &())).await), 100);
    assert!(matches!(refusal(peer.ask(wait).await), Refusal::Overloaded { count: 2, .. }));
    peer.works(&node, "c", 0).await;
}

#[tokio::test]
async fn a_retry_over_a_second_stream_gets_the_same_answer_and_is_not_applied_again() {
    let node = node(|_| {});
    let mut first = Peer::open(&node, 7).await;
    let call = Request { lane: Lane(3), ..add(&node, "c", 5) };
    first.send(&call);
    let answered = first.reply().await;
    assert_eq!(value::<i64>(&answered), 5);

    let mut second = Peer::open(&node, 7).await;
    second.send(&Request { flags: wire::parts::RETRY, ..call.clone() });
    assert_eq!(second.reply().await, answered);
    assert_eq!(second.count(&node, "c").await, 5);

    drop(first);
    second.send(&Request { sequence: Sequence(2), ..call.clone() });
    assert_eq!(value::<i64>(&second.reply().await), 10, "the lane goes on");
    second.send(&call);
    assert_eq!(refusal(second.reply().await), Refusal::Stale, "what the lane has left behind is never run again");
    assert_eq!(second.count(&node, "c").await, 10);

    let mut other = Peer::open(&node, 8).await;
    other.send(&call);
    assert_eq!(value::<i64>(&other.reply().await), 15, "the lanes of another session are its own");
}

#[tokio::test]
async fn the_answer_to_a_call_of_another_session_names_it() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 7).await;
    let call = Request { session: Some(SessionId(9)), ..add(&node, "c", 5) };
    peer.send(&call);
    let reply = peer.reply().await;
    assert_eq!((reply.session, value::<i64>(&reply)), (Some(SessionId(9)), 5));
    peer.works(&node, "c", 5).await;
}

#[tokio::test]
async fn a_cancel_of_a_session_that_has_ended_does_not_begin_it_anew() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 7).await;
    let cancel = wire::parts::CANCEL | wire::parts::QUERY;
    peer.send(&Request { flags: cancel, session: Some(SessionId(9)), ..add(&node, "c", 5) });
    peer.works(&node, "c", 0).await;
    assert_eq!(common::status(&node).await.sessions, 1, "only the one of the stream");
}

#[tokio::test]
async fn a_panic_leaves_the_state_as_it_was_and_everything_else_alive() {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    assert_eq!(value::<u64>(&peer.ask(fragile(&node, "f", "bump", &())).await), 1);

    let broken = Request { lane: Lane(5), ..fragile(&node, "f", "break_down", &("no luck",)) };
    peer.send(&broken);
    let reply = peer.reply().await;
    let panicked = Fault::Panicked { method: "break_down".to_owned(), message: "no luck".to_owned() };
    assert_eq!(reply.result, Err(panicked));
    assert_eq!(value::<(u64, u64)>(&peer.ask(fragile(&node, "f", "state", &())).await), (1, 0));

    peer.send(&Request { flags: wire::parts::RETRY, ..broken });
    assert_eq!(peer.reply().await, reply, "a retry is told the same, and does not run");
    let read = peer.ask(fragile(&node, "f", "stumble", &())).await;
    assert!(matches!(read.result, Err(Fault::Panicked { message, .. }) if message == "stumbled at 1"));

    assert_eq!(value::<u64>(&peer.ask(fragile(&node, "f", "bump", &())).await), 2, "the object lives on");
    assert_eq!(value::<u64>(&peer.ask(fragile(&node, "other", "bump", &())).await), 1);
    Peer::open(&node, 2).await.works(&node, "c", 0).await;
    assert_eq!(common::status(&node).await.panics, 2);
}

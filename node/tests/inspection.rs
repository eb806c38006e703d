//! What a node tells operators of its objects, and what they may do without knowing a type.

mod common;

use std::collections::BTreeSet;

use common::{DEADLINE, Peer, add, node, refusal, request, soon, value};
use greenroom_actors::objects::{BarrierObject, CounterObject};
use greenroom_actors::wire::Request;
use greenroom_actors::{Construction, JobId, Object, Refusal, hash_object, system};
use greenroom_node::Node;
use greenroom_rpc::dial;
use greenroom_rpc::proto::control_client::ControlClient;
use greenroom_rpc::proto::{
    DescribeObjectReply, DescribeObjectRequest, ListObjectsReply, ListObjectsRequest, ObjectId, ObjectRow,
};
use tonic::{Code, Status};

async fn list(node: &Node, request: ListObjectsRequest) -> Result<ListObjectsReply, Status> {
    let channel = dial(node.address(), DEADLINE).await.expect("answers");
    Ok(soon("a page", ControlClient::new(channel).list_objects(request)).await?.into_inner())
}

/// All pages of a listing, and how many objects the node counted.
async fn list_all(node: &Node, mut request: ListObjectsRequest) -> (Vec<ObjectRow>, u64) {
    let (mut rows, mut count) = (Vec::new(), 0);
    loop {
        let page = list(node, request.clone()).await.expect("answers");
        assert!(page.rows.len() <= usize::try_from(request.limit).expect("is small"), "a page is no larger than asked");
        rows.extend(page.rows);
        count += page.count;
        match page.next {
            Some(next) => request.from = Some(next),
            None => return (rows, count),
        }
    }
}

async fn describe(node: &Node, id: ObjectId, known: Option<u64>) -> Result<DescribeObjectReply, Status> {
    let channel = dial(node.address(), DEADLINE).await.expect("answers");
    let request = DescribeObjectRequest { id: Some(id), known };
    Ok(soon("a description", ControlClient::new(channel).describe_object(request)).await?.into_inner())
}

fn id<T: Object>(key: &str) -> ObjectId {
    ObjectId { job: 0, type_name: T::NAME.to_owned(), key: key.to_owned() }
}

fn keys(rows: &[ObjectRow]) -> BTreeSet<String> {
    rows.iter().filter_map(|row| Some(row.id.as_ref()?.key.clone())).collect()
}

/// The call, in another job.
fn in_job<'a>(node: &Node, job: JobId, call: Request<'a>) -> Request<'a> {
    Request { job, slot: node.table().slot_of(hash_object(job, call.type_name, call.key)), ..call }
}

/// A node with 30 counters `a…` and `b…`, one more in another job, and a barrier in which a call waits.
async fn furnished() -> (Node, Peer) {
    let node = node(|_| {});
    let mut peer = Peer::open(&node, 1).await;
    for number in 0..30 {
        let key = format!("{}{number:02}", if number < 20 { "a" } else { "b" });
        peer.ask(add(&node, &key, 1)).await;
    }
    peer.ask(in_job(&node, JobId::named("other"), add(&node, "elsewhere", 1))).await;
    let made = Construction::new(postcard::to_allocvec(&(2_u32,)).expect("encodes").into());
    let barrier = request(&node, BarrierObject::TYPE, "gate", "wait", &());
    peer.send(&Request { construction_arguments: Some(made.arguments), ..barrier });
    // The barrier's slot is read after the call.
    peer.ask(request(&node, BarrierObject::TYPE, "gate", "waiting", &())).await;
    (node, peer)
}

#[tokio::test]
async fn every_object_is_on_exactly_one_page() {
    let (node, _peer) = furnished().await;
    for limit in [1, 7, 1000] {
        let (rows, count) = list_all(&node, ListObjectsRequest { limit, ..Default::default() }).await;
        assert_eq!((rows.len(), keys(&rows).len(), count), (32, 32, 32), "pages of {limit}");
    }
}

#[tokio::test]
async fn a_listing_is_narrowed_by_type_prefix_and_job() {
    let (node, _peer) = furnished().await;
    let all = ListObjectsRequest { limit: 1000, ..Default::default() };
    let of_type = ListObjectsRequest { type_name: Some("Counter".to_owned()), ..all.clone() };
    assert_eq!(list_all(&node, of_type.clone()).await.1, 31);
    let prefix = ListObjectsRequest { prefix: "a1".to_owned(), job: Some(0), ..of_type };
    let (rows, _) = list_all(&node, prefix).await;
    assert_eq!(keys(&rows), (10..20).map(|number| format!("a{number}")).collect());
    let elsewhere = ListObjectsRequest { job: Some(JobId::named("other").0), ..all.clone() };
    assert_eq!(keys(&list_all(&node, elsewhere).await.0), BTreeSet::from(["elsewhere".to_owned()]));
    let below = ListObjectsRequest { below: Some(id::<CounterObject>("a02")), job: Some(0), ..all };
    let (rows, count) = list_all(&node, below).await;
    let listed = ["a00", "a01", "gate"].map(str::to_owned);
    assert_eq!((keys(&rows), count), (BTreeSet::from(listed), 31), "the others are only counted");
}

#[tokio::test]
async fn a_row_says_what_goes_on_in_an_object() {
    let (node, _peer) = furnished().await;
    let barrier = ListObjectsRequest { type_name: Some("Barrier".to_owned()), limit: 10, ..Default::default() };
    let (rows, _) = list_all(&node, barrier.clone()).await;
    assert_eq!((rows[0].parked, rows[0].queued, rows[0].lost), (1, 0, false));
    assert_eq!(rows[0].state_bytes, None, "nobody asked for it");
    let (rows, _) = list_all(&node, ListObjectsRequest { sizes: true, ..barrier }).await;
    assert!(rows[0].state_bytes.is_some_and(|bytes| bytes > 0), "{rows:?}");
}

#[tokio::test]
async fn a_description_comes_only_when_there_is_something_new() {
    let (node, mut peer) = furnished().await;
    let first = describe(&node, id::<CounterObject>("a00"), None).await.expect("answers");
    assert!(first.description.expect("is new").contains(r#""state":{"#));
    let same = describe(&node, id::<CounterObject>("a00"), Some(first.version)).await.expect("answers");
    assert_eq!((same.description, same.version), (None, first.version));
    peer.ask(add(&node, "a00", 4)).await;
    let next = describe(&node, id::<CounterObject>("a00"), Some(first.version)).await.expect("answers");
    assert!(next.description.expect("is new").contains('5'));
    assert_ne!(next.version, first.version);

    let none = describe(&node, id::<CounterObject>("none"), None).await.expect("answers");
    assert_eq!(none.version, 0);
    assert!(none.description.expect("is new").contains(r#""exists":false"#));
    let (rows, _) = list_all(&node, ListObjectsRequest { limit: 1000, ..Default::default() }).await;
    assert!(!keys(&rows).contains("none"), "who asks makes nothing");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let node = node(|_| {});
    let unknown = ObjectId { type_name: "Centroid".to_owned(), ..id::<CounterObject>("c") };
    let status = describe(&node, unknown, None).await.expect_err("is refused");
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("no object type `Centroid`; it has ") && status.message().contains("Counter"));
    let unknown = ListObjectsRequest { type_name: Some("Centroid".to_owned()), ..Default::default() };
    assert_eq!(list(&node, unknown).await.expect_err("is refused").code(), Code::NotFound);
    let status = describe(&node, id::<CounterObject>(""), None).await.expect_err("is refused");
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "the key is empty"));
}

#[tokio::test]
async fn an_object_is_deleted_and_described_without_its_type() {
    let (node, mut peer) = furnished().await;
    let stranger = |method: u16| Request { method, fingerprint: 0, ..add(&node, "a00", 1) };
    assert!(matches!(refusal(peer.ask(stranger(system::CREATE)).await), Refusal::Shape { .. }));
    assert!(matches!(refusal(peer.ask(stranger(system::FORCE_NEW)).await), Refusal::Shape { .. }));
    assert!(value::<String>(&peer.ask(stranger(system::DESCRIBE)).await).contains(r#""exists":true"#));
    assert!(value::<bool>(&peer.ask(stranger(system::DELETE)).await), "it was there");
    assert!(!value::<bool>(&peer.ask(stranger(system::DELETE)).await), "it was not");
    let said = describe(&node, id::<CounterObject>("a00"), None).await.expect("answers");
    assert!(said.description.expect("is new").contains(r#""exists":false"#));
}

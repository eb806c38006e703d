//! What a connection keeps when its stream fails.

use std::sync::Arc;

use greenroom_actors::wire::Request;
use greenroom_actors::{ClusterId, Incarnation, Lane, NodeId, Sequence, SessionId, ShardId, SlotId};
use greenroom_rpc::Outbox;

use super::state::Stream;
use super::{Connection, Target};
use crate::Client;
use crate::settings::{Cluster, Settings};

#[tokio::test]
async fn acknowledgements_outlive_a_stream_that_takes_no_more() {
    let settings = Settings { cluster: Cluster::Nodes(vec!["127.0.0.1:1".to_owned()]), ..Settings::default() };
    let client = Client::lazy(settings, tokio::runtime::Handle::current()).expect("needs no node");
    let connection = Connection::new(Target {
        address: "127.0.0.1:1".to_owned(),
        cluster: ClusterId::default(),
        node: NodeId::default(),
        incarnation: Incarnation::default(),
        shard: ShardId::default(),
    });
    let outbox = Outbox::new(1 << 20, 1 << 20);
    outbox.close();
    let session = SessionId(1);
    connection.lock().stream = Stream::Open { outbox: Arc::clone(&outbox), session, frame_bytes_max: 1 << 20 };
    let acknowledged = (SlotId(1), Lane(2), Sequence(3));
    connection.acknowledge(acknowledged);
    assert!(connection.send(client.shared(), Request::default(), None).is_err());
    assert_eq!(connection.lock().acks, [acknowledged]);
}

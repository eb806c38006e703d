//! What a client does without a runtime, and with calls that nobody polls.

use std::time::Duration;

use greenroom_actors::objects::CounterObject;
use greenroom_node::{Node, NodeOptions};

use super::*;
use crate::Counter;

#[test]
fn a_client_whose_runtime_has_ended_closes_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("starts");
    let settings = Settings { cluster: Cluster::Nodes(vec!["127.0.0.1:1".to_owned()]), ..Settings::default() };
    let client = Client::lazy(settings, runtime.handle().clone()).expect("needs no node");
    client.raw::<CounterObject>("c").cast("increment", &());
    assert_eq!(client.shared.casts.load(Ordering::Acquire), 1, "it is on its way");
    drop(runtime);
    assert_eq!(client.shared.casts.load(Ordering::Acquire), 0, "it will not leave any more");
    let out = CastOut::new(Arc::clone(&client.shared), None);
    let began = Instant::now();
    pollster::block_on(client.close());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    drop(out);
}

#[test]
fn a_call_that_is_not_polled_holds_up_no_other() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("starts");
    let node = Node::start(NodeOptions::embedded().expect("settings"), None).expect("starts");
    let settings = Settings { cluster: Cluster::Nodes(vec![node.address().to_owned()]), ..Settings::default() };
    let client = Client::lazy(settings, runtime.handle().clone()).expect("needs no node");
    runtime.block_on(async {
        let hits = client.object(Counter::named("hits"));
        // It asks where its object is, which nobody knows yet, and then waits for somebody to poll it again.
        let mut first = std::pin::pin!(hits.increment_async());
        tokio::select! {
            biased;
            done = &mut first => panic!("nobody has answered yet: {done:?}"),
            () = std::future::ready(()) => {}
        }
        let second = tokio::time::timeout(Duration::from_secs(10), hits.increment_async()).await;
        assert!(second.expect("is not held up").is_ok());
        assert!(first.await.is_ok());
    });
}

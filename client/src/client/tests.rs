//! What a client does without a runtime.

use greenroom_actors::objects::CounterObject;

use super::*;

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

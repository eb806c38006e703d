//! Streams that are not as agreed: each is answered or closed, and the node and its other streams go on.

mod common;

use common::{DEADLINE, HERE, Peer, Raw, add, encoded, framed, hello, node, soon, status, value};
use greenroom_actors::wire::{self, Frame, Hello, HelloRefusal, Reply, WIRE_VERSION, Welcome};
use greenroom_actors::{ClusterId, Incarnation, Lane, NodeId, Object, SessionId, ShardId, objects};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn random(name: &str) -> ChaCha8Rng {
    let seed = rand::random::<u64>();
    println!("{name}: seed {seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

fn bytes(random: &mut ChaCha8Rng, length_max: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(1..=length_max)];
    random.fill_bytes(&mut bytes);
    bytes
}

#[tokio::test]
async fn random_batches_end_no_more_than_their_own_stream() {
    let node = node(|_| {});
    let mut random = random("random_batches");
    let mut good = Peer::open(&node, 1).await;
    for round in 0..300 {
        let mut raw = match round % 3 {
            0 => Raw::open(&node).await,
            _ => Raw::greeted(&node, 100 + round).await,
        };
        let mut batch = bytes(&mut random, 300);
        if round % 3 == 2 {
            // A frame of the right length and version, of any kind: it is the rest that makes no sense.
            batch[0] = random.random_range(0..8);
            batch.insert(1, WIRE_VERSION);
            batch = framed(&batch);
        }
        raw.send(batch);
        // A frame that never was one, so that the stream ends whatever the random bytes were.
        raw.send(framed(&[0xFF, 0xFF]));
        while raw.frame().await.is_some() {}
        if round % 10 == 0 {
            good.works(&node, "good", i64::try_from(round / 10).expect("is small")).await;
        }
    }
    Peer::open(&node, 2).await.works(&node, "good", 30).await;
}

#[tokio::test]
async fn random_bytes_on_the_socket_are_no_stream() {
    let node = node(|_| {});
    let mut random = random("random_bytes");
    let mut good = Peer::open(&node, 1).await;
    for round in 0..40 {
        for address in [&node.layout().shards[0], node.address()] {
            let mut socket = tokio::net::TcpStream::connect(address).await.expect("connects");
            // The node may hang up in the midst of it.
            let _ = socket.write_all(&bytes(&mut random, 2_000)).await;
            let _ = socket.shutdown().await;
            let _ = soon("the node hangs up", socket.read_to_end(&mut Vec::new())).await;
        }
        good.works(&node, "good", round).await;
    }
}

#[tokio::test]
async fn a_frame_that_is_cut_short_ends_its_stream_and_applies_nothing() {
    let node = node(|_| {});
    let mut good = Peer::open(&node, 1).await;
    let whole = encoded(|out| add(&node, "cut", 1).encode(out));
    let arguments = 1;
    for length in 0..whole.len() - arguments {
        // Once a frame that is too short, once a batch that ends within a frame.
        for batch in [framed(&whole[..length]), framed(&whole)[..4 + length].to_vec()] {
            let mut raw = Raw::greeted(&node, 100).await;
            raw.send(batch);
            assert_eq!(raw.frame().await, None, "cut at {length}");
        }
    }
    assert_eq!(good.count(&node, "cut").await, 0);
    good.works(&node, "cut", 0).await;
}

#[tokio::test]
async fn nothing_that_follows_a_malformed_frame_is_applied() {
    let node = node(|_| {});
    let mut good = Peer::open(&node, 1).await;
    let call = framed(&encoded(|out| add(&node, "after", 1).encode(out)));
    let mut raw = Raw::greeted(&node, 2).await;
    raw.send([framed(&[0xFF, WIRE_VERSION]), call].concat());
    assert_eq!(raw.frame().await, None);
    assert_eq!(good.count(&node, "after").await, 0);
}

#[tokio::test]
async fn an_oversized_frame_ends_its_stream_and_the_node_lives() {
    const FRAME_BYTES_MAX: usize = 4096;
    let node = node(|options| options.frame_bytes_max = FRAME_BYTES_MAX);
    let mut good = Peer::open(&node, 1).await;
    assert_eq!(good.link.frame_bytes_max, FRAME_BYTES_MAX, "the node says what it takes");
    let chunk = |transfer: u32, length: usize| {
        let head = [&[0], transfer.to_le_bytes().as_slice(), &[0]].concat();
        framed(&[head, vec![7; length]].concat())
    };
    let batches = [
        ("a frame above the limit", framed(&vec![3; FRAME_BYTES_MAX + 100])),
        ("a length that is only claimed", vec![0xFF; 4]),
        ("pieces above the limit together", [chunk(1, 4000), chunk(1, 4000)].concat()),
        ("too many large frames at once", (0..100).flat_map(|transfer| chunk(transfer, 1)).collect()),
        ("a piece without its head", framed(&[0, 1, 2])),
        ("a batch above the limit of messages", vec![0; greenroom_rpc::MESSAGE_BYTES_MAX + 1]),
    ];
    for (n, (what, batch)) in (0..).zip(batches) {
        let mut raw = Raw::greeted(&node, 100 + n).await;
        raw.send(batch);
        assert_eq!(raw.frame().await, None, "{what}");
        good.works(&node, "good", i64::try_from(n).expect("is small")).await;
    }
}

#[tokio::test]
async fn a_stream_that_begins_with_something_else_is_told_so() {
    let node = node(|_| {});
    let first_frames = [
        ("nothing", Vec::new()),
        ("a call", encoded(|out| add(&node, "first", 1).encode(out))),
        ("a farewell", encoded(wire::encode_goodbye)),
        ("a table", encoded(|out| wire::encode_table(b"", out))),
        ("an unknown kind", vec![99, WIRE_VERSION, 1, 2, 3]),
        ("a greeting without content", encoded(|out| wire::encode_hello(&hello(&node, 1), out))[..2].to_vec()),
    ];
    for (what, frame) in first_frames {
        let raw = Raw::open(&node).await;
        raw.send(framed(&frame));
        let refusal = raw.refusal().await;
        assert!(matches!(refusal, HelloRefusal::Malformed(_)), "{what}: {refusal:?}");
    }
    let mut good = Peer::open(&node, 1).await;
    assert_eq!(good.count(&node, "first").await, 0);
}

#[tokio::test]
async fn a_greeting_of_another_version_is_told_which_one_is_spoken() {
    let node = node(|_| {});
    let mut frame = encoded(|out| wire::encode_hello(&hello(&node, 1), out));
    frame[1] = WIRE_VERSION + 1;
    let raw = Raw::open(&node).await;
    raw.send(framed(&frame));
    let HelloRefusal::Malformed(why) = raw.refusal().await else { panic!("is another refusal") };
    let spoken = [WIRE_VERSION, WIRE_VERSION + 1].map(|version| format!("version {version}"));
    assert!(spoken.iter().all(|version| why.contains(version)), "{why}");
}

#[tokio::test]
async fn a_greeting_for_another_place_is_told_who_listens_here() {
    let node = node(|_| {});
    let incarnation = node.layout().incarnation;
    let place = HelloRefusal::Place { node: HERE.0, incarnation, shard: HERE.1 };
    let good = hello(&node, 1);
    let cases = [
        (Hello { cluster: ClusterId(1), ..good.clone() }, HelloRefusal::Cluster(node.table().cluster)),
        (Hello { incarnation: Incarnation(incarnation.0 ^ 1), ..good.clone() }, place.clone()),
        (Hello { shard: ShardId(1), ..good.clone() }, place.clone()),
        (Hello { node: NodeId(1), ..good.clone() }, place),
        (Hello { resume: true, session: SessionId(77), ..good.clone() }, HelloRefusal::SessionEnded),
    ];
    for (hello, expected) in cases {
        let raw = Raw::open(&node).await;
        raw.send(framed(&encoded(|out| wire::encode_hello(&hello, out))));
        assert_eq!(raw.refusal().await, expected, "{hello:?}");
    }
    assert_eq!(status(&node).await.sessions, 0, "a refused greeting leaves nothing behind");
    let any = Hello { cluster: ClusterId(0), incarnation: Incarnation(0), ..good.clone() };
    for hello in [good, any] {
        let mut raw = Raw::open(&node).await;
        raw.send(framed(&encoded(|out| wire::encode_hello(&hello, out))));
        assert!(matches!(raw.welcome().await, Welcome::Open { incarnation: found, .. } if found == incarnation));
    }
}

#[tokio::test]
async fn frames_of_the_other_direction_end_their_stream() {
    let node = node(|_| {});
    let mut good = Peer::open(&node, 1).await;
    let refused = Welcome::Refused(HelloRefusal::Stopping);
    let reply = Reply {
        lane: Lane(1),
        sequence: greenroom_actors::Sequence(1),
        session: None,
        applied: true,
        index: None,
        table: None,
        fence: None,
        result: Ok(bytes::Bytes::new()),
    };
    let frames = [
        encoded(|out| wire::encode_hello(&hello(&node, 5), out)),
        encoded(|out| wire::encode_welcome(&refused, out)),
        encoded(|out| wire::encode_table(b"", out)),
        encoded(|out| reply.encode(out)),
    ];
    for (n, frame) in (0..).zip(frames) {
        let mut raw = Raw::greeted(&node, 100).await;
        raw.send(framed(&frame));
        assert_eq!(raw.frame().await, None, "{frame:?}");
        good.works(&node, "good", n).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_stream_and_nobody_else_does() {
    const VALUE_BYTES: usize = 60_000;
    const N_READS: usize = 2_000;
    let node = node(|options| options.stream_queue_bytes_max = 1 << 20);
    let mut good = Peer::open(&node, 1).await;
    let made = postcard::to_allocvec(&(0_u64, bytes::Bytes::from(vec![7; VALUE_BYTES]))).expect("encodes");
    let made = bytes::Bytes::from(made);
    let get = common::request(&node, objects::CellObject::TYPE, "large", "get", &());
    let mut create = get.clone();
    create.construction_arguments = Some(made);
    assert_eq!(value::<bytes::Bytes>(&good.ask(create).await).len(), VALUE_BYTES);

    let mut deaf = Raw::greeted(&node, 2).await;
    for lane in 0..u32::try_from(N_READS).expect("is small") {
        deaf.send_all([wire::Request { lane: Lane(lane), ..get.clone() }]);
    }
    let mut before = 0;
    soon("the stream is closed", async {
        while status(&node).await.streams > 1 {
            good.works(&node, "good", before).await;
            before += 1;
        }
    })
    .await;
    let mut n_replies = 0;
    while let Some(frame) = deaf.frame().await {
        assert!(matches!(wire::decode(&frame), Ok(Frame::Reply(_))));
        n_replies += 1;
    }
    assert!(n_replies < N_READS, "{n_replies} replies of {VALUE_BYTES} bytes waited within {DEADLINE:?}");
    good.works(&node, "good", before).await;
}

#[tokio::test]
async fn a_client_that_neither_reads_nor_sends_loses_its_stream_too() {
    const VALUE_BYTES: usize = 60_000;
    const N_WAITS: usize = 200;
    let node = node(|options| options.stream_queue_bytes_max = 1 << 20);
    let mut good = Peer::open(&node, 1).await;
    let keys: Vec<String> = (0..N_WAITS).map(|number| format!("p{number}")).collect();
    let of_promise = |lane: usize, method: &str, arguments: Vec<u8>| wire::Request {
        lane: Lane(u32::try_from(lane).expect("is small")),
        construction_arguments: Some(postcard::to_allocvec(&(0_u64,)).expect("encodes").into()),
        arguments: arguments.into(),
        ..common::request(&node, objects::PromiseObject::TYPE, &keys[lane], method, &())
    };
    let deaf = Raw::greeted(&node, 2).await;
    deaf.send_all((0..N_WAITS).map(|lane| of_promise(lane, "get", Vec::new())));
    soon("the calls are parked", async { while status(&node).await.parked < N_WAITS as u64 {} }).await;
    for lane in 0..N_WAITS {
        // Of one value there would be one copy for all.
        let value = postcard::to_allocvec(&(bytes::Bytes::from(vec![7; VALUE_BYTES]),)).expect("encodes");
        assert!(good.ask(of_promise(lane, "set", value)).await.result.is_ok());
    }
    soon("the stream is closed", async { while status(&node).await.streams > 1 {} }).await;
    good.works(&node, "good", 0).await;
    drop(deaf);
}

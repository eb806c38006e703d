//! The Raft group of the nodes: real sockets, real disks; only the shards are missing.

mod raft_world;

use std::sync::Arc;

use greenroom_actors::wire::WIRE_VERSION;
use greenroom_actors::{Changed, ClusterId, JoinRefusal, NodeId, TableVersion, View, ViewCommand};
use greenroom_node::raft::{DataError, GroupError, RaftNode, Standing};
use greenroom_rpc::group::{Admitted, GroupRefusal, decode_result, propose};
use greenroom_rpc::proto::group_client::GroupClient;
use greenroom_rpc::proto::{JoinRequest, ProposeRequest};
use greenroom_rpc::{describe, dial};

use raft_world::{CLUSTER, DEADLINE, TestNode, World, clock_ms, incarnation, options, soon};

#[tokio::test]
async fn a_cluster_is_founded_and_joined_and_all_have_one_view_and_a_lease() {
    let world = World::default();
    let nodes = world.three().await;
    let version = nodes[0].views("three members", |view| view.members.len() == 3).await.version;
    for node in &nodes {
        let view = node.views("the founder's view", |view| view.version >= version).await;
        assert_eq!(view.cluster, nodes[0].raft.cluster());
        assert_eq!(view.named(&node.me.name).map(|member| member.node), Some(node.node()));
        node.has_lease("each has a lease", true).await;
    }
}

#[tokio::test]
async fn a_follower_passes_a_proposal_on() {
    let world = World::default();
    let nodes = world.three().await;
    let follower = nodes.iter().find(|node| !node.raft.is_leading()).expect("two follow");
    let slots = vec![];
    assert_eq!(follower.proposes(ViewCommand::AcceptLoss(slots)).await, Changed::No);
    let leaving = nodes[2].node();
    assert_eq!(follower.proposes(ViewCommand::Leave(leaving)).await, Changed::Yes);
    for node in &nodes[..2] {
        node.views("all know who leaves", |view| !view.is_up(leaving)).await;
    }
    // A program that is no node may ask any of them.
    let (address, cluster) = (&follower.me.address, follower.raft.cluster());
    let answer = propose(address, cluster, &ViewCommand::Leave(leaving), DEADLINE).await;
    assert_eq!(answer, Ok(Changed::No));
    let foreign = propose(address, ClusterId(1), &ViewCommand::Leave(leaving), DEADLINE).await;
    assert_eq!(foreign, Err(GroupRefusal::OtherCluster { ours: cluster, theirs: ClusterId(1) }));
    let own = propose(address, cluster, &ViewCommand::Restore(leaving), DEADLINE).await;
    assert_eq!(own, Err(GroupRefusal::NotProposed));
    assert!(describe(address, DEADLINE).await.is_err(), "this server has no other service");
}

#[tokio::test]
async fn when_the_leader_dies_the_others_go_on_and_replace_it() {
    let world = World::default();
    let mut nodes = Vec::from(world.three().await);
    let fourth = world.joined("d", &nodes[0]).await;
    let at = nodes.iter().position(|node| node.raft.is_leading()).expect("one leads");
    let dead = nodes.remove(at);
    let (dead_node, dead_identity) = (dead.node(), dead.raft.identity());
    // It holds every slot alone unless copies are made, and nobody makes any here: give the slots to another one first.
    let heir = nodes[0].node();
    dead.views("copies are being made", |view| view.slots.iter().any(|slot| slot.joining.is_some())).await;
    hand_all_over(&dead, heir).await;
    drop(dead);

    nodes.push(fourth);
    for node in &nodes {
        node.views("the dead one is removed", |view| !view.members.contains_key(&dead_node)).await;
        node.votes("it does not vote", |voters| voters.len() == 3 && !voters.contains(&dead_identity)).await;
        node.has_lease("the others have leases", true).await;
    }
    let version = nodes[0].raft.view().borrow().version;
    assert_eq!(nodes[1].proposes(ViewCommand::Leave(nodes[2].node())).await, Changed::Yes);
    nodes[0].views("views go on", |view| view.version > version).await;
}

/// Makes `heir` the primary of every slot, by the commands with which the slots' primaries do so.
async fn hand_all_over(from: &TestNode, heir: NodeId) {
    let is_heirs = |view: &View| view.slots.iter().all(|slot| slot.primary == Some(heir));
    let handing = async {
        while !is_heirs(&from.raft.view().borrow()) {
            let view = Arc::clone(&from.raft.view().borrow());
            let joining = view.iter().filter_map(|(slot, at)| Some((slot, at.epoch, at.joining?)));
            from.proposes(ViewCommand::CopiesDone(joining.collect())).await;
            let held = view.iter().filter(|(_, at)| at.primary != Some(heir) && at.in_sync.contains(&heir));
            from.proposes(ViewCommand::HandOver(held.map(|(slot, at)| (slot, at.epoch, heir)).collect())).await;
            let without = view.iter().filter(|(_, at)| at.joining.is_none() && !at.in_sync.contains(&heir));
            from.proposes(ViewCommand::StartCopies(without.map(|(slot, at)| (slot, at.epoch, heir)).collect())).await;
        }
    };
    tokio::time::timeout(DEADLINE, handing).await.expect("all slots are handed over");
}

#[tokio::test]
async fn a_node_with_a_disk_is_the_same_one_when_it_is_started_anew() {
    let world = World::default();
    let folder = tempfile::tempdir().expect("makes a folder");
    let first = world.node("a", Some(folder.path())).await;
    assert!(!first.raft.had_group());
    let before = first.raft.found(16, 2, incarnation(), DEADLINE).await.expect("founds");
    let (identity, cluster) = (first.raft.identity(), first.raft.cluster());
    let version = first.raft.view().borrow().version;

    // Another process that wants the folder is refused.
    let refused = RaftNode::open(first.me.clone(), options(Some(folder.path()))).await.err();
    let locked = DataError::Locked { folder: folder.path().to_owned() };
    assert_eq!(refused, Some(GroupError::Data(locked)));

    drop(first);
    let again = world.node("a", Some(folder.path())).await;
    assert!(again.raft.had_group());
    assert_eq!((again.raft.identity(), again.raft.cluster()), (identity, cluster));
    let after = again.raft.found(16, 2, incarnation(), DEADLINE).await.expect("joins what it founded");
    assert_ne!(before, after, "another process is another member");
    let view = again.views("a later view", |view| view.version > version).await;
    assert_eq!(view.cluster, cluster);
    assert!(!view.members.contains_key(&before));
    assert_eq!(view.n_lost(), 16, "what the first process had in memory is lost, and the view says so");
    again.has_lease("it has a lease", true).await;
}

#[tokio::test]
async fn a_leader_that_is_started_anew_decides_nothing_before_it_knows_what_is_committed() {
    let world = World::default();
    let folder = tempfile::tempdir().expect("makes a folder");
    let a = world.node("a", Some(folder.path())).await;
    a.raft.found(16, 2, incarnation(), DEADLINE).await.expect("founds");
    let (b, c) = (world.joined("b", &a).await, world.joined("c", &a).await);
    a.votes("all three vote", |voters| voters.len() == 3).await;
    let cluster = a.raft.cluster();
    drop((a, b, c));

    // It leads on, and nobody tells it what the others have acknowledged: so it does not know who is a member.
    let again = world.node("a", Some(folder.path())).await;
    soon("it leads on", || again.raft.is_leading()).await;
    assert_eq!(again.raft.view().borrow().cluster, ClusterId(0));
    let command = postcard::to_allocvec(&ViewCommand::Forget(NodeId(1))).expect("encodes").into();
    let request = ProposeRequest { cluster: cluster.0, command, timeout_ms: 60_000, forwarded: true };
    let channel = dial(&again.me.address, DEADLINE).await.expect("answers");
    let mut client = GroupClient::new(channel);
    let answer = tokio::time::timeout(DEADLINE, client.propose(request)).await.expect("does not wait for the others");
    let answer = decode_result::<Changed>(&answer.expect("answers").into_inner().result);
    assert_eq!(answer, Err(GroupRefusal::NotReady));
}

#[tokio::test]
async fn a_leader_that_left_and_is_started_anew_is_let_in() {
    let world = World::default();
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("makes a folder")).collect();
    let a = world.node("a", Some(folders[0].path())).await;
    a.raft.found(16, 2, incarnation(), DEADLINE).await.expect("founds");
    let mut others = Vec::new();
    for (name, folder) in [("b", &folders[1]), ("c", &folders[2])] {
        let node = world.node(name, Some(folder.path())).await;
        node.raft.join(std::slice::from_ref(&a.me.address), incarnation(), DEADLINE).await.expect("joins");
        others.push(node);
    }
    a.votes("all three vote", |voters| voters.len() == 3).await;
    let (left, identity, address) = (a.node(), a.raft.identity(), a.me.address.parse().expect("is an address"));
    assert_eq!(a.proposes(ViewCommand::Leave(left)).await, Changed::Yes);
    a.votes("it does not vote any more", |voters| !voters.contains(&identity)).await;
    assert!(a.raft.is_leading(), "the others have not noticed anything yet");
    drop(a);
    let again = world.node_at("a", Some(folders[0].path()), address).await;
    let seeds: Vec<_> = others.iter().map(|node| node.me.address.clone()).collect();
    again.raft.join(&seeds, incarnation(), DEADLINE).await.expect("joins anew");
    again.belongs(&seeds).await;
    assert_ne!(again.node(), left);
}

#[tokio::test]
async fn a_voter_with_a_disk_comes_back_and_catches_up_from_a_snapshot() {
    let world = World::default();
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("makes a folder")).collect();
    let a = world.node("a", Some(folders[0].path())).await;
    a.raft.found(16, 2, incarnation(), DEADLINE).await.expect("founds");
    let seeds = [a.me.address.clone()];
    let mut others = Vec::new();
    for (name, folder) in [("b", &folders[1]), ("c", &folders[2])] {
        let node = world.node(name, Some(folder.path())).await;
        node.raft.join(&seeds, incarnation(), DEADLINE).await.expect("joins");
        others.push(node);
    }
    a.votes("all three vote", |voters| voters.len() == 3).await;
    let c = others.pop().expect("c");
    let (identity, address) = (c.raft.identity(), c.me.address.parse().expect("is an address"));
    drop(c);
    // More entries than are kept for those who are late.
    for _ in 0..1300 {
        a.proposes(ViewCommand::AcceptLoss(vec![])).await;
    }
    let c = world.node_at("c", Some(folders[2].path()), address).await;
    assert_eq!(c.raft.identity(), identity);
    c.raft.join(&[], incarnation(), DEADLINE).await.expect("joins anew, and needs no seed");
    c.belongs(&[]).await;
}

#[tokio::test]
async fn who_may_not_join_is_told_why() {
    let world = World::default();
    let a = world.founded("a").await;
    let seeds = [a.me.address.clone()];
    let taken = world.node("a", None).await;
    let refused = taken.raft.join(&seeds, incarnation(), DEADLINE).await;
    let (name, address) = ("a".to_owned(), a.me.address.clone());
    assert_eq!(refused, Err(GroupRefusal::Join(JoinRefusal::NameTaken { name, address }).into()));

    let request = |change: fn(&mut JoinRequest)| {
        let mut request = JoinRequest {
            wire_version: u32::from(WIRE_VERSION),
            cluster_name: CLUSTER.to_owned(),
            name: "b".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            incarnation: 5,
            identity: 5,
            now_ms: clock_ms(),
            ..JoinRequest::default()
        };
        change(&mut request);
        request
    };
    let ours = a.raft.cluster();
    let other = ask_to_join(&a, request(|request| request.cluster = 9)).await;
    assert_eq!(other, Err(GroupRefusal::OtherCluster { ours, theirs: ClusterId(9) }));
    let named = ask_to_join(&a, request(|request| request.cluster_name = "other".to_owned())).await;
    assert_eq!(named, Err(GroupRefusal::OtherName { ours: CLUSTER.to_owned(), theirs: "other".to_owned() }));
    let version = ask_to_join(&a, request(|request| request.wire_version += 1)).await;
    let ours = u32::from(WIRE_VERSION);
    assert_eq!(version, Err(GroupRefusal::OtherVersion { ours, theirs: ours + 1 }));
    let late = ask_to_join(&a, request(|request| request.now_ms -= 3_600_000)).await;
    assert!(matches!(late, Err(GroupRefusal::Clock { apart_ms, max_ms: 2_000 }) if apart_ms > 3_000_000), "{late:?}");
    let unfit = ask_to_join(&a, request(|request| request.name = "n".repeat(1000))).await;
    assert_eq!(unfit, Err(GroupRefusal::Join(JoinRefusal::NameUnfit)));
    assert_eq!(a.raft.view().borrow().members.len(), 1);
}

async fn ask_to_join(node: &TestNode, request: JoinRequest) -> Result<Admitted, GroupRefusal> {
    let channel = dial(&node.me.address, DEADLINE).await.expect("answers");
    decode_result(&GroupClient::new(channel).join(request).await.expect("answers").into_inner().result)
}

#[tokio::test]
async fn a_node_that_cannot_reach_the_leader_loses_its_lease_and_the_others_get_on() {
    let world = World::default();
    let nodes = world.three().await;
    for node in &nodes {
        node.has_lease("each has a lease", true).await;
    }
    let leader = nodes.iter().find(|node| node.raft.is_leading()).expect("one leads");
    let [cut_off, other] = &nodes.iter().filter(|node| !node.raft.is_leading()).collect::<Vec<_>>()[..] else {
        panic!("two follow");
    };
    world.cut(cut_off, leader);
    world.cut(cut_off, other);
    let term = leader.raft.term();
    cut_off.has_lease("its lease runs out", false).await;
    let lost = cut_off.node();
    let view = leader.views("it is removed or suspected", |view| !view.is_up(lost)).await;
    other.views("the other one knows", |now| now.version >= view.version).await;
    assert!(leader.lease.is_valid() || other.lease.is_valid(), "the others are not held up");
    assert!(!cut_off.lease.is_valid());

    world.heal();
    let standing = cut_off.stands("it is told", |standing| *standing != Standing::Member(lost)).await;
    assert_eq!(standing, Standing::Removed(lost), "it held no copy");
    cut_off.belongs(std::slice::from_ref(&leader.me.address)).await;
    assert_ne!(cut_off.node(), lost);
    assert_eq!(leader.raft.term(), term, "it has not stood for election, which would have deposed the leader");
}

#[tokio::test]
async fn a_leader_that_is_cut_off_loses_its_lease_and_follows_when_it_is_back() {
    let world = World::default();
    let mut nodes = Vec::from(world.three().await);
    let at = nodes.iter().position(|node| node.raft.is_leading()).expect("one leads");
    let old = nodes.remove(at);
    old.has_lease("the leader has a lease", true).await;
    let lost = old.node();
    for node in &nodes {
        world.cut(&old, node);
    }
    old.has_lease("its lease runs out", false).await;
    let mut version = TableVersion(0);
    for node in &nodes {
        let view = node.views("the others have a leader, which finds the old one gone", |view| !view.is_up(lost)).await;
        assert!(!old.lease.is_valid(), "its lease was over before, in the view {}", view.version);
        version = view.version;
        node.has_lease("the others have leases", true).await;
    }
    assert!(old.raft.view().borrow().is_up(lost), "it knows nothing of all this");
    let term = nodes[0].raft.term();

    world.heal();
    // It holds every slot, so it was suspected, and is restored when it renews.
    old.views("it is told, and restored", |view| view.version > version && view.is_up(lost)).await;
    old.has_lease("it has a lease again", true).await;
    assert_eq!(nodes[0].raft.term(), term, "it did not disturb the others");
}

#[tokio::test]
async fn a_lease_does_not_count_before_the_view_is_installed() {
    let world = World::default();
    let a = world.founded("a").await;
    a.has_lease("the shard that installs views has a lease", true).await;
    let late = a.raft.lease();
    assert!(!late.is_valid());
    late.installed(TableVersion(1));
    assert!(!late.is_valid(), "the view of version 1 has no member");
    late.installed(a.raft.view().borrow().version);
    soon("it has a lease with a later view", || late.is_valid()).await;
}

//! A node's process that stands still for longer than its cluster waits for it.

mod common;

use std::time::{Duration, Instant};

use common::support::{Running, command};
use common::until;
use greenroom_actors::View;
use greenroom_rpc::group::{GroupView, view};

/// Longer than it takes until the group's connection to a process that does not answer counts as broken.
const PAUSE: Duration = Duration::from_secs(4);

fn member(name: &str, join: Option<&str>) -> (Running, String) {
    let mut command = command(env!("CARGO_BIN_EXE_greenroom"));
    command.args(["node", "--name", name, "--listen", "127.0.0.1:0", "--shards", "1", "--slots", "8"]);
    command.args(join.iter().flat_map(|seed| ["--join", seed]));
    let mut process = Running::start(&mut command);
    let ready = process.line("ready: ");
    let address = ready.split_whitespace().find_map(|word| word.strip_suffix(',')).expect("names its address");
    (process, address.to_owned())
}

async fn group(seed: &str) -> Option<GroupView> {
    view(seed, common::DEADLINE).await.ok().flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_vote_and_stood_still_joins_anew() {
    let (first, seed) = member("n1", None);
    let others = ["n2", "n3"].map(|name| member(name, Some(&seed)).0);
    until("three vote", async || group(&seed).await.is_some_and(|group| group.voters.len() == 3)).await;
    let (paused, _) = member("n4", Some(&seed));
    let number = |view: &View| view.named("n4").map(|member| member.node);
    let before = group(&seed).await.as_ref().and_then(|group| number(&group.view)).expect("is a member");
    paused.signal("STOP");
    until("it is given up", async || group(&seed).await.is_some_and(|group| number(&group.view).is_none())).await;
    // The pause is the fault: in a shorter one, what the group had sent before is still read after it.
    let ends_at = Instant::now() + PAUSE;
    until("the pause is over", async || Instant::now() >= ends_at).await;
    paused.signal("CONT");
    let is_back = async || {
        let now = group(&seed).await.and_then(|group| number(&group.view));
        now.is_some_and(|node| node != before)
    };
    until("it is a member again, of another number", is_back).await;
    drop((first, others, paused));
}

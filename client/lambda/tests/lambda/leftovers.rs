//! However a local Lambda ends, no process of its functions is left.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use greenroom_lambda::LocalLambda;
use serde_json::json;

use crate::stage::{Stage, pid, stage, state, until};

/// The variable that has this program serve and invoke until it is ended.
const SERVE: &str = "LEFTOVERS_SERVE";

/// One process that runs, one that is frozen in the middle, one that is idle.
async fn three_kinds(stage: &Stage) -> Vec<u32> {
    let _running = [stage.begin(stage.waiting()), stage.begin(stage.waiting()), stage.begin(stage.waiting())];
    let all = stage.until_running(3).await;
    let _idle = pid(&stage.invoke(json!({ "do": "pid" })).await);
    stage.lambda.freeze(&all[0].request_id).await.expect("runs");
    stage.lambda.pids()
}

#[tokio::test]
async fn none_is_left_after_a_stop() {
    let stage = stage(|_| {}).await;
    let pids = three_kinds(&stage).await;
    stage.lambda.stop().await;
    assert_eq!((pids.len(), pids.into_iter().filter_map(state).count()), (4, 0));
}

#[tokio::test]
async fn none_is_left_after_a_drop() {
    let stage = stage(|_| {}).await;
    let pids = three_kinds(&stage).await;
    drop(stage);
    assert_eq!(pids.into_iter().filter_map(state).count(), 0);
}

#[tokio::test]
async fn what_a_process_started_ends_with_it() {
    let stage = stage(|_| {}).await;
    let child = pid(&stage.invoke(json!({ "do": "child" })).await);
    assert!(state(child).is_some());
    stage.lambda.stop().await;
    until("the child of the process is gone", || state(child).is_none()).await;
}

#[tokio::test]
async fn none_is_left_when_the_program_is_killed_or_ended() {
    for signal in ["KILL", "TERM", "INT"] {
        let (mut program, pids) = serving();
        assert!(pids.iter().all(|&pid| state(pid).is_some()), "SIG{signal}");
        let sent = Command::new("kill").args(["-s", signal, &program.id().to_string()]).status().expect("runs");
        assert!(sent.success());
        program.wait().expect("ends");
        until("all are gone", || pids.iter().all(|&pid| state(pid).is_none())).await;
    }
}

/// This program once more, as one that serves, and the ids of its processes.
fn serving() -> (Child, Vec<u32>) {
    let program = Command::new(std::env::current_exe().expect("has a path"))
        .args(["leftovers::serve", "--exact", "--nocapture"])
        .env(SERVE, "1")
        .stdout(Stdio::piped())
        .spawn();
    let mut program = program.expect("starts");
    let lines = BufReader::new(program.stdout.take().expect("is piped")).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("pids ")).expect("says its processes");
    (program, line.split(' ').skip(1).map(|word| word.parse().expect("is an id")).collect())
}

/// Not a test by itself: the program of the test above.
#[test]
fn serve() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    runtime.block_on(async {
        let stage = stage(|_| {}).await;
        let pids = three_kinds(&stage).await;
        let words: Vec<_> = pids.iter().map(ToString::to_string).collect();
        println!("pids {}", words.join(" "));
        std::future::pending::<LocalLambda>().await
    });
}

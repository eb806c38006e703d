//! Processes: one for each concurrent invocation, reused, frozen in between, ended after a time.

use std::time::Duration;

use serde_json::json;

use crate::stage::{DEADLINE, distinct, payload, pid, stage, state, until};

#[tokio::test]
async fn one_process_serves_one_invocation_after_the_other() {
    let stage = stage(|config| config.finishing_wait = DEADLINE).await;
    let mut pids = Vec::new();
    for _ in 0..50 {
        pids.push(pid(&stage.invoke(json!({ "do": "pid" })).await));
    }
    assert_eq!((distinct(pids), stage.lambda.pids().len()), (1, 1));
}

#[tokio::test]
async fn concurrent_invocations_have_a_process_each() {
    const N: usize = 64;
    let stage = stage(|_| {}).await;
    let running: Vec<_> = (0..N).map(|_| stage.begin(stage.waiting())).collect();
    let seen = stage.until_running(N).await;
    assert_eq!((distinct(seen.iter().map(|one| one.pid)), distinct(seen.iter().map(|one| &one.request_id))), (N, N));
    stage.release();
    for answer in running {
        assert_eq!(payload(&answer.await.expect("ends").expect("is accepted")), "waited");
    }
    assert_eq!(stage.lambda.pids().len(), N);
}

#[tokio::test]
async fn a_process_is_frozen_between_invocations_and_goes_on_with_the_next() {
    let stage = stage(|_| {}).await;
    let pid = pid(&stage.invoke(json!({ "do": "pid" })).await);
    for n in 0..20 {
        until("the idle process is frozen", || state(pid) == Some('T')).await;
        assert_eq!(payload(&stage.invoke(json!({ "do": "echo", "value": n })).await), n);
    }
}

#[tokio::test]
async fn the_process_that_was_used_last_is_used_next() {
    let stage = stage(|_| {}).await;
    let running: Vec<_> = (0..3).map(|_| stage.begin(stage.waiting())).collect();
    stage.until_running(3).await;
    stage.release();
    for answer in running {
        answer.await.expect("ends").expect("is accepted");
    }
    let idle = stage.lambda.pids();
    until("all are frozen", || idle.iter().all(|&pid| state(pid) == Some('T'))).await;
    let mut pids = Vec::new();
    for _ in 0..5 {
        pids.push(pid(&stage.invoke(json!({ "do": "pid" })).await));
        until("it is frozen again", || idle.iter().all(|&pid| state(pid) == Some('T'))).await;
    }
    assert_eq!(distinct(pids), 1);
}

#[tokio::test]
async fn an_idle_process_is_ended_after_a_time() {
    let stage = stage(|config| config.idle_timeout = Duration::from_millis(50)).await;
    let pid = pid(&stage.invoke(json!({ "do": "pid" })).await);
    tokio::time::timeout(DEADLINE, stage.lambda.pids_when(<[u32]>::is_empty)).await.expect("ends");
    assert_eq!(state(pid), None);
    stage.invoke(json!({ "do": "pid" })).await;
}

#[tokio::test]
async fn a_cold_start_is_held_up_as_long_as_it_is_told_to() {
    let held_up = Duration::from_millis(200);
    let stage = stage(|config| config.cold_start.fixed = held_up).await;
    let begun = std::time::Instant::now();
    stage.invoke(json!({ "do": "pid" })).await;
    assert!(begun.elapsed() >= held_up, "{:?}", begun.elapsed());
}

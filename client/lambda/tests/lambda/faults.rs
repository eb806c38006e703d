//! Faults on demand and by chance.

use std::time::Duration;

use greenroom_lambda::{FaultRate, Faults, LambdaError};
use serde_json::json;

use crate::stage::{distinct, error, payload, stage, state, until};

#[tokio::test]
async fn what_runs_is_frozen_and_thawed_by_its_request_id() {
    let stage = stage(|_| {}).await;
    let answer = stage.begin(stage.waiting());
    let running = stage.until_running(1).await.remove(0);
    assert_eq!(stage.lambda.freeze(&running.request_id).await.expect("runs"), 1);
    until("it is frozen", || state(running.pid) == Some('T')).await;
    assert!(stage.lambda.running()[0].frozen);
    stage.release();
    assert!(!answer.is_finished() && stage.lines("then").is_empty());
    stage.lambda.thaw(&running.request_id).await.expect("is frozen");
    assert_eq!(payload(&answer.await.expect("ends").expect("is accepted")), "waited");
    let late = stage.lambda.freeze(&running.request_id).await;
    assert!(matches!(late, Err(LambdaError::NotRunning { .. })), "{late:?}");
}

#[tokio::test]
async fn what_runs_is_killed_by_its_request_id() {
    let stage = stage(|_| {}).await;
    let answer = stage.begin(stage.waiting());
    let running = stage.until_running(1).await.remove(0);
    stage.lambda.kill(&running.request_id).await.expect("runs");
    let output = answer.await.expect("ends").expect("is accepted");
    assert!(error(&output).1.ends_with("signal: killed"), "{:?}", error(&output));
}

#[tokio::test]
async fn a_frozen_process_is_killed_at_its_deadline_unless_it_is_to_outlive_it() {
    let stage = stage(|config| config.functions[0].timeout = Duration::from_millis(300)).await;
    let killed = stage.begin(stage.waiting());
    let running = stage.until_running(1).await.remove(0);
    stage.lambda.freeze(&running.request_id).await.expect("runs");
    assert_eq!(error(&killed.await.expect("ends").expect("is accepted")).0, "Sandbox.Timedout");
    assert_eq!(state(running.pid), None);

    let outlived = stage.begin(stage.waiting());
    let running = stage.until_running(1).await.remove(0);
    stage.lambda.outlive_deadline(&running.request_id).await.expect("runs");
    stage.lambda.freeze(&running.request_id).await.expect("runs");
    assert_eq!(error(&outlived.await.expect("ends").expect("is accepted")).0, "Sandbox.Timedout");
    until("it stays frozen", || state(running.pid) == Some('T')).await;
    stage.release();
    stage.lambda.thaw(&running.request_id).await.expect("is frozen");
    until("it went on after its caller was told", || stage.lines("then") == [running.request_id.as_str()]).await;
    until("it is killed when it answers", || state(running.pid).is_none()).await;
}

#[tokio::test]
async fn an_event_is_delivered_twice_under_one_id_to_two_processes() {
    let stage = stage(|_| {}).await;
    stage.lambda.duplicate_next("sample").expect("is there");
    let answer = stage.begin(stage.waiting());
    let running = stage.until_running(2).await;
    assert_eq!(
        (distinct(running.iter().map(|one| &one.request_id)), distinct(running.iter().map(|one| one.pid))),
        (1, 2)
    );
    stage.release();
    assert_eq!(payload(&answer.await.expect("ends").expect("is accepted")), "waited");
    until("both have run", || stage.lines("then").len() == 2).await;
    stage.invoke(json!({ "do": "count", "then": stage.file("once") })).await;
    assert_eq!(stage.lines("once").len(), 1, "only the next one is");
}

#[tokio::test]
async fn faults_by_chance_happen_as_often_as_they_are_to() {
    let always = FaultRate { rate: 1.0, ..FaultRate::default() };
    let twice = stage(|config| config.faults.duplicate = 1.0).await;
    twice.invoke(json!({ "do": "count", "then": twice.file("then") })).await;
    until("it has run twice", || twice.lines("then").len() == 2).await;

    let killed = stage(|config| config.faults.kill = always).await;
    assert!(error(&killed.invoke(killed.waiting()).await).1.ends_with("signal: killed"));

    let late = Duration::from_millis(150);
    let frozen = FaultRate { rate: 1.0, after: Duration::ZERO, lasts: late };
    let slow = FaultRate { rate: 1.0, after: Duration::ZERO, lasts: late };
    let stage = stage(|config| config.faults = Faults { freeze: frozen, slow_start: slow, ..Faults::default() }).await;
    stage.release();
    let begun = std::time::Instant::now();
    stage.invoke(stage.waiting()).await;
    assert!(begun.elapsed() >= late, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn faults_are_ordered_over_http_as_well() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let stage = stage(|_| {}).await;
    let address = stage.lambda.address();
    let say = async |words: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
        let request = format!("{words} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reads");
        answer
    };
    let answer = stage.begin(stage.waiting());
    let running = stage.until_running(1).await.remove(0);
    let id = &running.request_id;
    assert!(say("GET /greenroom/running").await.contains(&format!(r#""pid":{}"#, running.pid)));
    assert!(say(&format!("POST /greenroom/running/{id}/freeze")).await.starts_with("HTTP/1.1 200"));
    until("it is frozen", || state(running.pid) == Some('T')).await;
    assert!(say(&format!("POST /greenroom/running/{id}/thaw")).await.contains(r#"{"n_processes":1}"#));
    assert!(say(&format!("POST /greenroom/running/{id}/burn")).await.starts_with("HTTP/1.1 404"));
    assert!(say(&format!("POST /greenroom/running/{id}/kill")).await.starts_with("HTTP/1.1 200"));
    assert!(error(&answer.await.expect("ends").expect("is accepted")).1.ends_with("signal: killed"));
    assert!(say(&format!("POST /greenroom/running/{id}/kill")).await.contains(&format!("no process runs {id}")));
    assert!(say("POST /greenroom/functions/sample/duplicate-next").await.starts_with("HTTP/1.1 204"));
    assert!(say("POST /greenroom/functions/nobody/duplicate-next").await.contains("no function is named nobody"));
    stage.invoke(json!({ "do": "count", "then": stage.file("count") })).await;
    until("it has run twice", || stage.lines("count").len() == 2).await;
}

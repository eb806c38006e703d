//! However a local Lambda ends, no process of its functions is left.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use clap::Parser;
use greenroom_lambda::{Invoke, LambdaArgs, invoke, run};
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
async fn no_event_is_tried_again_when_it_stops() {
    let stage = stage(|config| config.concurrency_max = 1).await;
    for _ in 0..20 {
        stage.post(stage.waiting()).await.expect("is accepted");
    }
    stage.until_running(1).await;
    let log = stage.log.clone();
    stage.lambda.stop().await;
    assert!(!log.text().contains("is given up"), "{}", log.text());
    assert_eq!(log.text().matches("running 1 test").count(), 1, "one process was started: {}", log.text());
}

#[tokio::test]
async fn none_is_left_when_the_program_is_killed() {
    let (mut program, pids) = program("serve_as_library", "pids ");
    let pids: Vec<u32> = pids.split(' ').map(|word| word.parse().expect("is an id")).collect();
    assert_eq!(pids.iter().copied().filter_map(state).count(), 4);
    program.kill().expect("is there");
    program.wait().expect("ends");
    until("all are gone", || pids.iter().all(|&pid| state(pid).is_none())).await;
}

#[tokio::test]
async fn the_command_ends_well_at_a_signal_and_leaves_none() {
    for signal in ["TERM", "INT"] {
        let (mut program, address) = program("serve_as_command", "lambda | serves sample at http://");
        let address: SocketAddr = address.parse().expect("is an address");
        let invocation = tokio::spawn(invoke(address, Invoke { function: "sample".to_owned(), ..Invoke::default() }));
        let pid: u32 = invocation
            .await
            .expect("ends")
            .expect("is accepted")
            .log
            .lines()
            .find_map(|line| line.strip_prefix("pid ")?.parse().ok())
            .expect("says its id");
        assert!(state(pid).is_some());
        let sent = Command::new("kill").args(["-s", signal, &program.id().to_string()]).status().expect("runs");
        assert!(sent.success());
        assert!(program.wait().expect("ends").success(), "SIG{signal}");
        assert_eq!(state(pid), None, "SIG{signal}");
    }
}

/// This program once more, as one that serves, and the rest of the line that begins so.
fn program(test: &str, beginning: &str) -> (Child, String) {
    let mut command = Command::new("sh");
    // What is said on either output is read from one.
    command.args(["-c", r#"exec "$0" "$@" 2>&1"#]).arg(std::env::current_exe().expect("has a path"));
    command.args([&format!("leftovers::{test}"), "--exact", "--nocapture"]).env(SERVE, "1").stdout(Stdio::piped());
    let mut program = command.spawn().expect("starts");
    let mut lines = BufReader::new(program.stdout.take().expect("is piped")).lines().map_while(Result::ok);
    let rest = lines.find_map(|line| line.strip_prefix(beginning).map(str::to_owned)).expect("is said");
    // What it says afterwards must have somewhere to go.
    std::thread::spawn(move || lines.for_each(drop));
    (program, rest)
}

fn serve(future: impl Future<Output = ()>) {
    if std::env::var_os(SERVE).is_some() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts").block_on(future);
    }
}

/// Not a test by itself: a program that serves for its own ends, until it is killed.
#[test]
fn serve_as_library() {
    serve(async {
        let stage = stage(|_| {}).await;
        let words: Vec<_> = three_kinds(&stage).await.iter().map(ToString::to_string).collect();
        println!("\npids {}", words.join(" "));
        std::future::pending::<()>().await;
    });
}

/// Not a test by itself: the command.
#[test]
fn serve_as_command() {
    serve(async {
        let this = std::env::current_exe().expect("has a path");
        let function = format!("sample={} function_process --exact --nocapture", this.display());
        let words = ["lambda", "--listen", "127.0.0.1:0", "--function", &function];
        println!();
        run(&Words::parse_from(words).args).await.expect("serves and ends");
    });
}

#[derive(Debug, clap::Parser)]
struct Words {
    #[command(flatten)]
    args: LambdaArgs,
}

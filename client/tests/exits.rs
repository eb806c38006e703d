//! However a program ends, what its guards changed is kept, and what they held is free at once.
//!
//! Not run by the usual harness: its own `main` would stand between the programs and their ends.

mod common;

use std::time::Duration;

use common::support::{Running, command};
use common::{client, embedded, runtime};
use greenroom::sync::Mutex;

/// How this process ends, in its environment; without it, it looks at how others do.
const END: &str = "EXITS_END";
const KEY: &str = "changed at the end";
const RUNS: u64 = 20;

/// The ends, and the status of each.
const ENDS: [(&str, i32); 7] = [
    ("plain main", 0),
    ("plain main with an error", 1),
    ("panic", 101),
    ("exit", 7),
    ("tokio main", 0),
    ("tokio main on one thread", 0),
    ("exit in a task", 7),
];

fn main() -> Result<(), String> {
    match std::env::var(END).as_deref() {
        Err(_) => watch(),
        Ok("plain main") => change(),
        Ok("plain main with an error") => {
            change();
            return Err("as it was asked to".to_owned());
        }
        Ok("panic") => {
            change();
            panic!("as it was asked to");
        }
        Ok("exit") => {
            change();
            std::process::exit(7);
        }
        Ok("tokio main") => tokio_main(),
        Ok("tokio main on one thread") => tokio_main_on_one_thread(),
        Ok("exit in a task") => exit_in_a_task(),
        Ok(end) => panic!("there is no end `{end}`"),
    }
    Ok(())
}

fn shared() -> Mutex<u64> {
    Mutex::named(KEY, 0)
}

fn change() {
    *shared().lock().expect("locks") += 1;
}

async fn change_async() {
    *shared().lock_async().await.expect("locks") += 1;
}

#[tokio::main]
async fn tokio_main() {
    change_async().await;
}

#[tokio::main(flavor = "current_thread")]
async fn tokio_main_on_one_thread() {
    change_async().await;
}

#[tokio::main]
async fn exit_in_a_task() {
    let task = tokio::spawn(async {
        change_async().await;
        std::process::exit(7);
    });
    task.await.expect("does not return");
}

fn watch() {
    let runtime = runtime();
    let node = embedded(|options| options.session_grace_ms = 60_000);
    let client = runtime.block_on(client(node.address()));
    let mut changes = 0;
    for (end, status) in ENDS {
        for run in 1..=RUNS {
            let mut program = command(std::env::current_exe().expect("has a path"));
            program.env(END, end).env("GREENROOM_CLUSTER", node.address()).env("GREENROOM_JOB", "tests");
            let (ended, errors) = Running::start(&mut program).end();
            assert_eq!(ended.code(), Some(status), "{end}: {errors}");
            changes += 1;
            let shared = shared().through(std::sync::Arc::new(client.clone()));
            let guard = shared.lock_timeout(Duration::from_secs(5));
            let guard = guard.unwrap_or_else(|error| panic!("{end}, run {run}: the lock is not free: {error}"));
            assert_eq!(*guard, changes, "{end}, run {run}: the change is lost");
            guard.unlock().expect("unlocks");
        }
        println!("test {} ... ok", end.replace(' ', "_"));
    }
    // As the usual harness says it, which `.ci/run` adds up.
    println!("test result: ok. {} passed; 0 failed", ENDS.len());
}

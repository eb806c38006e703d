//! A driver that dies.

use greenroom::sync::Latch;
use greenroom::{Client, Cluster, Counter, Error, JobId, Settings, cloud};

use crate::stage::{
    SHORT_MS, Stage, addresses, alone, backend, count, drive, join, long_until, text_of, three_nodes, write_file,
};
use crate::support::{Running, command};

/// Where the driver's process finds the nodes, the local Lambda, and the files of its functions.
const NODES: &str = "FAULTS_DRIVER_NODES";
const ENDPOINT: &str = "FAULTS_DRIVER_ENDPOINT";
const SAID: &str = "FAULTS_DRIVER_SAID";
/// The job of its threads.
const JOB: &str = "a driver that dies";
const FUNCTIONS: i64 = 3;

#[cloud]
fn wait_for_the_cancellation(said: String) -> Result<(), Error> {
    Counter::named("began").increment()?;
    let waited = Latch::named("never", 1).wait();
    write_file(&said, &format!("{waited:?}"));
    waited
}

fn settings(nodes: Vec<String>) -> Settings {
    let (job, job_name) = (Some(JobId::named(JOB)), Some(JOB.to_owned()));
    Settings { cluster: Cluster::Nodes(nodes), job, job_name, ..Settings::default() }
}

#[test]
fn the_threads_of_a_driver_that_is_killed_are_cancelled() {
    if let Ok(nodes) = std::env::var(NODES) {
        return be_the_driver(nodes.split(',').map(str::to_owned).collect());
    }
    let nodes = three_nodes(SHORT_MS);
    let stage = Stage::at(&addresses(&nodes), |_| {});
    let said = stage.file("said");
    let mut driver = command(std::env::current_exe().expect("is known"));
    driver.args(["drivers::the_threads_of_a_driver_that_is_killed_are_cancelled", "--exact", "--nocapture"]);
    driver.env(NODES, addresses(&nodes).join(",")).env(ENDPOINT, stage.endpoint()).env(SAID, &said);
    let mut driver = Running::start(&mut driver);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("starts");
    let client = runtime.block_on(Client::with_settings(settings(addresses(&nodes)))).expect("connects");
    let began = client.object(Counter::named("began"));
    long_until("all have begun", || {
        assert!(!driver.has_ended(), "the driver fails");
        began.get() == Ok(FUNCTIONS)
    });
    driver.signal("KILL");
    driver.end();
    for number in 0..FUNCTIONS {
        let waited = text_of(&format!("{said}{number}"));
        assert!(waited.starts_with("Err(Cancelled"), "{waited}");
    }
    stage.until_running(0);
}

/// Begins threads and waits for the signal.
fn be_the_driver(nodes: Vec<String>) {
    greenroom::init(settings(nodes)).expect("is the first client");
    let (endpoint, said) = (std::env::var(ENDPOINT).expect("is set"), std::env::var(SAID).expect("is set"));
    let builder = cloud::Builder::new().backend(backend(&endpoint));
    let spawn = |number: i64| builder.clone().spawn(wait_for_the_cancellation::call(format!("{said}{number}")));
    let threads: Vec<_> = (0..FUNCTIONS).map(spawn).collect();
    for thread in threads {
        let _joined = thread.join();
    }
    panic!("no thread ends before its driver");
}

#[cloud]
fn count_here() -> Result<u32, Error> {
    Counter::named("of the job").increment()?;
    Ok(std::process::id())
}

#[test]
fn a_process_serves_one_driver_after_the_other_each_with_objects_of_its_own() {
    alone("drivers::a_process_serves_one_driver_after_the_other_each_with_objects_of_its_own", || {
        let nodes = three_nodes(SHORT_MS);
        let stage = Stage::at(&addresses(&nodes), |_| {});
        let drive_once = || {
            drive(&addresses(&nodes));
            let process = join(stage.spawn(count_here::call())).expect("runs");
            assert_eq!(count("of the job"), 1);
            greenroom::shutdown();
            process
        };
        assert_eq!(drive_once(), drive_once(), "the same process");
    });
}

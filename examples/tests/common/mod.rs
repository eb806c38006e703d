//! Applications as processes, and the nodes that they run on.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a run of processes may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The program without the settings of this process.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GREENROOM_")) {
        command.env_remove(name);
    }
    command
}

/// What a program that ended well printed.
pub fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("the output is one JSON object")
}

/// A run of `santa` in which elves got a turn, whatever the threads and objects: with longer holidays they do.
pub fn santa_with_elves(years: &str, backend: Option<&str>) -> Value {
    for holiday in ["20", "200", "2000", "20000"] {
        let mut santa = command(env!("CARGO_BIN_EXE_santa"));
        santa.args(["--years", years, "--holiday", holiday, "--json"]);
        santa.envs(backend.map(|backend| ("GREENROOM_BACKEND", backend)));
        let report = report(&santa.output().expect("the program can be started"));
        let played = report["played"].as_array().expect("there are three");
        if played.iter().all(|played| played["consultations"].as_u64() > Some(0)) {
            return report;
        }
    }
    panic!("no elf ever gets a turn");
}

/// What a program complained of.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + LIMIT;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        thread::park_timeout(LOOK_AGAIN);
    }
}

/// A process that ends with the test.
pub struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        // Nothing reads its log: it is written to nobody, for a full pipe would stop it.
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = piped.spawn().expect("the program can be started");
        let out = BufReader::new(process.stdout.take().expect("is piped"));
        let (tell, lines) = channel();
        // What is said later than anybody reads goes nowhere.
        thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        Self { process, lines }
    }

    /// Waits for a line that begins so, and returns the rest of it.
    pub fn line(&self, beginning: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|error| panic!("no line begins with `{beginning}`: {error}"));
            if let Some(rest) = line.trim_start().strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Nodes of an application, until the test ends: they end with the process that started them.
pub struct Dev {
    program: &'static str,
    pub cluster: String,
    /// The processes of the nodes n1, n2, …
    nodes: Vec<String>,
    /// The words by which one more node is started.
    more: Vec<String>,
    _process: Running,
}

impl Dev {
    pub fn start(program: &'static str, n_nodes: usize) -> Self {
        let mut dev = command(program);
        dev.args(["greenroom", "dev", "--nodes", &n_nodes.to_string(), "--shards", "1", "--port", "0"]);
        let process = Running::start(dev.env("GREENROOM_SLOTS", "96"));
        let cluster = process.line("export GREENROOM_CLUSTER=");
        let node =
            |number| process.line(&format!("n{number} at ")).rsplit(' ').next().expect("has a number").to_owned();
        let nodes = (1..=n_nodes).map(node).collect();
        let more = loop {
            let line = process.line("");
            if let Some((_, words)) = line.split_once(" greenroom node ") {
                break ["greenroom", "node"].into_iter().chain(words.split(' ')).map(str::to_owned).collect();
            }
        };
        Self { program, cluster, nodes, more, _process: process }
    }

    /// The program with the settings of this cluster and that job.
    pub fn command(&self, job: &str) -> Command {
        let mut command = command(self.program);
        command.env("GREENROOM_CLUSTER", &self.cluster).env("GREENROOM_JOB", job);
        command
    }

    /// A node is gone, without a word.
    pub fn kill(&self, node: usize) {
        let killed = Command::new("sh").args(["-c", &format!("kill -9 {}", self.nodes[node])]).status();
        assert!(killed.expect("starts").success(), "the node can be killed");
    }

    /// One more node, by the line that `dev` prints.
    pub fn add(&self) -> Running {
        let node = Running::start(command(self.program).args(&self.more));
        node.line("ready: ");
        node
    }

    /// Whether every slot has its copies, on exactly these nodes, and each of them serves some.
    pub fn is_on(&self, names: &[&str]) -> bool {
        let said = self.command("default").args(["greenroom", "status", "--json"]).output().expect("starts");
        let Ok(status) = serde_json::from_slice::<Value>(&said.stdout) else { return false };
        let nodes = status["nodes"].as_array().into_iter().flatten();
        let serving = nodes.filter(|node| node["primary"].as_u64() > Some(0)).filter_map(|node| node["name"].as_str());
        serving.eq(names.iter().copied()) && status["cluster"]["slots_short"] == 0
    }
}

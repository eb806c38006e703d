//! A program of its own, outside the workspace, built and run as its author would.

#[path = "external/support/mod.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{Running, Said, command, free_ports, run, until};

/// The ports of a node with two shards.
const NODE_PORTS: u16 = 3;
/// Nodes forget objects that are gone with their actors: at once, so to speak.
const FORGET_SOON: (&str, &str) = ("GREENROOM_ACTOR_IDLE_MS", "100");
const PASSED: &str = "200 items passed, their sum is 19900\n";

/// Builds the programs once, and returns where they are.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(build)
}

fn build() -> PathBuf {
    let client = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = client.join("tests/external");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("external");
    let (project, target) = (home.join("project"), home.join("target"));
    std::fs::create_dir_all(project.join("src/bin")).expect("makes the project");
    let manifest = std::fs::read_to_string(source.join("Cargo.toml.in")).expect("is there");
    let manifest = manifest.replace("@GREENROOM@", client.to_str().expect("is UTF-8"));
    std::fs::write(project.join("Cargo.toml"), manifest).expect("writes");
    for file in ["src/main.rs", "src/bin/twins.rs"] {
        std::fs::copy(source.join(file), project.join(file)).expect("copies");
    }
    // The same versions as here: what this build needed is what that build finds.
    std::fs::copy(client.join("../Cargo.lock"), project.join("Cargo.lock")).expect("copies");

    let cargo = |offline: Option<&str>| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&project).env("CARGO_TARGET_DIR", &target).args(["build", "--quiet"]).args(offline);
        // Nobody debugs it, and it builds in half the time.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_INCREMENTAL", "0");
        run(&mut cargo)
    };
    let mut built = cargo(Some("--offline"));
    if built.status != Some(0) {
        built = cargo(None);
    }
    assert_eq!(built.status, Some(0), "{}", built.err);
    target.join("debug")
}

fn bounded() -> Command {
    command(programs().join("bounded"))
}

/// Three processes of the program, each a node.
struct Nodes {
    cluster: String,
    _processes: Vec<Running>,
}

impl Nodes {
    /// Two nodes are told by words what they are, and the last by its environment alone.
    fn start() -> Self {
        let first = free_ports(3 * NODE_PORTS);
        let address = |node: u16| format!("127.0.0.1:{}", first + node * NODE_PORTS);
        let members = format!("a={},b={},c={}", address(0), address(1), address(2));
        let mut processes = Vec::new();
        for (name, address) in [("a", address(0)), ("b", address(1))] {
            let mut node = bounded();
            node.args([
                "greenroom",
                "node",
                "--shards",
                "2",
                "--name",
                name,
                "--listen",
                &address,
                "--members",
                &members,
            ]);
            processes.push(Running::start(node.env(FORGET_SOON.0, FORGET_SOON.1)));
        }
        let mut node = bounded();
        node.env("GREENROOM_ROLE", "node").env("GREENROOM_SHARDS", "2").env("GREENROOM_NODE_NAME", "c");
        node.env("GREENROOM_LISTEN", address(2)).env("GREENROOM_MEMBERS", &members);
        processes.push(Running::start(node.env(FORGET_SOON.0, FORGET_SOON.1)));
        for process in &mut processes {
            process.line("ready: ");
        }
        Self { cluster: [address(0), address(1), address(2)].join(","), _processes: processes }
    }

    fn run(&self, words: &[&str]) -> Said {
        run(bounded().args(words).env("GREENROOM_CLUSTER", &self.cluster))
    }
}

#[test]
fn the_program_runs_on_the_node_inside_it() {
    let said = run(&mut bounded());
    assert_eq!((said.status, said.out.as_str()), (Some(0), PASSED), "{said:?}");
}

#[test]
fn the_program_runs_on_three_nodes_of_itself() {
    let nodes = Nodes::start();
    let said = nodes.run(&[]);
    assert_eq!((said.status, said.out.as_str()), (Some(0), PASSED), "{said:?}");
}

#[test]
fn a_job_of_its_own_ends_with_the_program() {
    let nodes = Nodes::start();
    for _ in 0..2 {
        let said = nodes.run(&[]);
        assert_eq!((said.status, said.out.as_str()), (Some(0), PASSED), "the tally begins at 0: {said:?}");
    }
    until("no object is left", || {
        let status = nodes.run(&["greenroom", "status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status.out).expect("prints JSON");
        status["totals"]["objects"] == 0
    });
}

#[test]
fn its_object_types_can_be_called_from_a_shell() {
    let nodes = Nodes::start();
    let mut driver = bounded();
    let said = run(driver.env("GREENROOM_CLUSTER", &nodes.cluster).env("GREENROOM_JOB", "default"));
    assert_eq!(said.status, Some(0), "{said:?}");

    let call = |words: &[&str]| nodes.run(&[&["greenroom", "call"], words].concat());
    assert_eq!(call(&["Buffer/left", "len"]).out, "1\n");
    assert_eq!(call(&["Buffer/left", "take"]).out, "7\n");
    assert_eq!(call(&["Tally/passed", "totals", "--json"]).out.split_whitespace().collect::<String>(), "[200,19900]");
    assert_eq!(call(&["Buffer/fresh", "len", "--new", "[3]"]).out, "0\n");

    // The stock command knows none of the program's types, and shows its objects all the same.
    let stock = |words: &[&str]| {
        run(command(env!("CARGO_BIN_EXE_greenroom")).args(words).env("GREENROOM_CLUSTER", &nodes.cluster))
    };
    assert!(stock(&["objects"]).out.contains("\nBuffer  left"), "{:?}", stock(&["objects"]));
    assert!(stock(&["describe", "Tally/passed"]).out.contains(r#"{"count":200,"sum":19900}"#));
    assert_eq!(stock(&["delete", "Buffer/fresh"]).out, "deleted `Buffer/fresh`\n");

    let refused = call(&["Buffer/left", "resize", "0"]);
    assert_eq!(refused.status, Some(1));
    assert!(refused.err.contains("{\"least\":1}") && refused.err.contains("applied: not known"), "{refused:?}");
    let unknown = call(&["Buffers/left", "len"]);
    assert_eq!(unknown.status, Some(2));
    assert!(unknown.err.contains("Blob, Buffer, Cell"), "{unknown:?}");
}

#[test]
fn its_dev_starts_nodes_of_the_program_itself() {
    let mut dev = Running::start(bounded().args(["greenroom", "dev", "--nodes", "2", "--shards", "1", "--port", "0"]));
    let cluster = dev.line("export GREENROOM_CLUSTER=");
    let words = ["greenroom", "call", "Buffer/b", "len", "--new", "[3]", "--cluster", &cluster];
    assert_eq!(run(bounded().args(words)).out, "0\n");
    dev.signal("INT");
    assert_eq!(dev.end().0.code(), Some(0));
}

#[test]
fn an_error_of_main_is_shown_and_sets_the_status() {
    let said = run(bounded().arg("fail"));
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.err.contains("a buffer needs room for 1"), "{said:?}");
}

#[test]
fn two_types_of_one_name_are_refused_in_every_role() {
    let twins = || command(programs().join("twins"));
    let driver = run(&mut twins());
    let tool = run(twins().args(["greenroom", "types"]));
    let node = run(twins().env("GREENROOM_ROLE", "node"));
    for said in [driver, tool, node] {
        assert_eq!(said.status, Some(1), "{said:?}");
        assert!(said.err.contains("error: two object types are named `Twin`"), "{said:?}");
        assert_eq!(said.out, "");
    }
}

#[test]
fn a_role_that_is_none_is_refused() {
    let said = run(bounded().env("GREENROOM_ROLE", "worker"));
    assert_eq!(said.status, Some(2));
    assert!(said.err.contains("GREENROOM_ROLE is `worker`: it is `driver`, `node` or `function`"), "{said:?}");
}

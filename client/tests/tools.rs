//! What operators see of objects, and do to them: `objects`, `describe`, `watch`, `delete`.

mod common;
mod dev;

use std::sync::Arc;

use common::{client, embedded, soon, support, until_parked};
use dev::{Dev, GREENROOM};
use greenroom::sync::Mutex;
use greenroom::{Error, Fence, Grants, Holder, JobId, Turn, WaitQueue, Waiter, object};
use greenroom_actors::hash_object;
use greenroom_node::Node;
use greenroom_rpc::proto::control_client::ControlClient;
use greenroom_rpc::proto::{DescribeObjectRequest, ObjectId};
use greenroom_rpc::{describe, dial};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::{DEADLINE, Running, Said, command, run, until};

/// Desks that are lent, one a caller: a type that the stock command does not know.
#[object]
#[derive(Debug, Serialize, Deserialize)]
struct Desks {
    free: u32,
    lent: Grants,
    waiting: WaitQueue<Fence>,
}

#[object]
impl Desks {
    pub fn new(free: u32) -> Self {
        Self { free, lent: Grants::default(), waiting: WaitQueue::default() }
    }

    /// Waits for a desk.
    pub fn sit(&mut self, waiter: Waiter<Fence>, turn: &mut Turn) {
        self.waiting.push(waiter, ());
        while self.free > 0
            && let Some((waiter, owner, ())) = self.waiting.pop()
        {
            self.free -= 1;
            let fence = self.lent.give(waiter.id(), owner, (), turn);
            waiter.reply(fence);
        }
    }

    fn holders(&self) -> Vec<Holder> {
        self.lent.holders(|()| "desk".to_owned())
    }

    fn summary(&self) -> Value {
        json!({ "free": self.free, "waiting": self.waiting.len() })
    }
}

/// Runs the stock command against one node, in the job of the tests' clients.
fn say(node: &Node, words: &[&str]) -> Said {
    run(command(GREENROOM).args(words).args(["--cluster", node.address(), "--job", "tests"]))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("prints JSON ({error}): {text}"))
}

/// A call that waits at a barrier of two.
fn waits(dev: &Dev, key: &str) -> Running {
    let object = format!("Barrier/{key}");
    let call = Running::start(&mut dev.tool(&["call", &object, "wait", "--new", "[2]", "--timeout-ms", "600000"]));
    until("the call waits", || dev.ask(&["call", &object, "waiting", "--new", "[2]"]) == "1");
    call
}

/// The words of each line.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn objects_of_all_nodes_are_listed_in_order() {
    let dev = Dev::start();
    for key in ["b2", "a1", "b1", "c", "a2"] {
        dev.ask(&["call", &format!("Counter/{key}"), "increment"]);
    }
    dev.ask(&["call", "Counter/a3", "increment", "--job", "night"]);
    let _waits = waits(&dev, "gate");

    let header = vec!["TYPE", "KEY", "STATE", "HOLDERS", "PARKED", "QUEUED"];
    let counter = |key| vec!["Counter", key, "exists", "-", "0", "0"];
    let text = dev.ask(&["objects"]);
    let gate = vec!["Barrier", "gate", "exists", "-", "1", "0"];
    let counters = ["a1", "a2", "b1", "b2", "c"].map(counter);
    assert_eq!(rows(&text), [&[header.clone(), gate][..], &counters].concat(), "{text}");
    let text = dev.ask(&["objects", "--type", "Counter", "--prefix", "b"]);
    assert_eq!(rows(&text), [header.clone(), counter("b1"), counter("b2")]);
    assert_eq!(rows(&dev.ask(&["objects", "--prefix", "none"])), [header]);

    let text = dev.ask(&["objects", "--type", "Counter", "--limit", "2"]);
    assert!(text.contains("a1") && text.contains("a2") && !text.contains("b1"), "{text}");
    assert!(text.ends_with("\n\n3 more; --limit 5 shows all"), "{text}");

    let listing = parsed(&dev.ask(&["objects", "--all-jobs", "--sizes", "--json", "--type", "Counter"]));
    assert_eq!((&listing["count"], &listing["down"]), (&json!(6), &json!([])));
    let night = &listing["objects"][2];
    assert_eq!((&night["key"], &night["state_bytes"]), (&json!("a3"), &json!(1)));
    let id = format!("0x{:016x}", JobId::named("night").0);
    assert_eq!((&night["job"], &night["job_id"]), (&json!("night"), &json!(id)));
    assert!(dev.ask(&["objects", "--all-jobs"]).contains("  night  "));
    // A job without a name is reached by its id.
    assert!(dev.ask(&["describe", "Counter/a3", "--job", &id]).contains("job night\n"));
    assert!(dev.ask(&["describe", "Counter/a3", "--job", "night"]).contains("job night\n"));
}

#[test]
fn more_objects_than_a_page_has_are_listed_once_each() {
    let node = embedded(|_| {});
    let runtime = common::runtime();
    runtime.block_on(async {
        let client = client(node.address()).await;
        let adds: Vec<_> = (0..2500)
            .map(|key| tokio::spawn(client.object(greenroom::Counter::named(format!("{key:04}"))).add_async(1)))
            .collect();
        for add in adds {
            soon("a call", add).await.expect("runs").expect("adds");
        }
    });
    for limit in [3, 1200, 10_000] {
        let listing = parsed(&say(&node, &["objects", "--json", "--limit", &limit.to_string()]).out);
        let keys: Vec<_> = listing["objects"].as_array().into_iter().flatten().map(|one| one["key"].clone()).collect();
        assert_eq!(keys, (0..limit.min(2500)).map(|key| json!(format!("{key:04}"))).collect::<Vec<_>>());
        assert_eq!(listing["count"], 2500);
    }
}

#[test]
fn a_description_says_where_an_object_is_and_what_it_has() {
    let dev = Dev::start();
    dev.ask(&["call", "Counter/hits", "add", "5"]);
    let text = dev.ask(&["describe", "Counter/hits"]);
    assert!(text.starts_with("Counter/hits\nnode n") && text.ends_with("state, 1 byte:\n{\"value\":5}"), "{text}");
    let said = parsed(&dev.ask(&["describe", "Counter/hits", "--json"]));
    assert_eq!((&said["type"], &said["key"], &said["job"]), (&json!("Counter"), &json!("hits"), &json!("default")));
    assert_eq!((&said["state"]["value"], &said["exists"]), (&json!(5), &json!(true)));
    let status = dev.status();
    let mut nodes = status["nodes"].as_array().into_iter().flatten();
    assert!(nodes.any(|node| node["name"] == said["node"] && node["address"] == said["address"]), "{said}");

    let waits = waits(&dev, "gate");
    let text = dev.ask(&["describe", "Barrier/gate"]);
    assert!(text.contains("1 parked call:\nMETHOD  OWNER"), "{text}");
    let owner = format!("\nwait    {}@", waits.id());
    assert!(text.contains(&owner) && text.contains(" (session "), "{text}");
    assert!(text.contains("  in 9 min"), "{text}");
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_told_apart() {
    let dev = Dev::start();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["describe", "Counter/none"], 1, "`Counter/none` does not exist"),
        (&["delete", "Counter/none"], 1, "`Counter/none` does not exist"),
        (&["describe", "Centroid/c"], 2, "no object type `Centroid`; it has AtomicBool, "),
        (&["watch", "Centroid/c"], 2, "no object type `Centroid`; it has AtomicBool, "),
        (&["delete", "Centroid/c"], 2, "no object type `Centroid`; it has AtomicBool, "),
        (&["objects", "--type", "Centroid"], 2, "no object type `Centroid`; it has AtomicBool, "),
        (&["describe", "Counter/"], 2, "the key is empty"),
    ];
    for (words, status, part) in cases {
        let said = dev.say(words);
        assert_eq!(said.status, Some(status), "{words:?}: {said:?}");
        assert!(said.err.contains(part), "{words:?}: {said:?}");
        assert_eq!(said.out, "");
    }
    let said = dev.say(&["describe", "Counter/none", "--json"]);
    assert_eq!((said.status, &parsed(&said.out)["exists"]), (Some(1), &json!(false)));
    let said = dev.say(&["delete", "Counter/none", "--json"]);
    assert_eq!((said.status, parsed(&said.out)), (Some(1), json!({ "deleted": false })));
    assert_eq!(rows(&dev.ask(&["objects"])).len(), 1, "who asked has made nothing");
}

#[test]
fn names_that_people_use_are_understood_and_near_ones_are_offered() {
    let dev = Dev::start();
    for object in ["Counter/hits", "Counter/counts"] {
        dev.ask(&["call", object, "increment"]);
    }
    dev.ask(&["call", "Counter/hits", "increment", "--job", "night"]);
    dev.ask(&["call", "Counter/owls", "increment", "--job", "night"]);
    dev.ask(&["call", "Queue/jobs", "len", "--new", "[1, \"Unbounded\"]"]);
    assert!(dev.ask(&["describe", "Queue/jobs"]).starts_with("Channel/jobs\nnode n"));
    assert!(dev.ask(&["objects", "--type", "Queue"]).contains("\nChannel  jobs  "));
    let mut watch = Running::start(&mut dev.tool(&["watch", "Queue/jobs", "--interval-ms", "20"]));
    watch.line("`Channel/jobs`: ");
    watch.signal("INT");
    assert_eq!(dev.ask(&["delete", "Queue/jobs"]), "deleted `Channel/jobs`");
    assert_eq!(dev.say(&["describe", "OrderedMap/m"]).err, "error: `Map/m` does not exist\n");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["call", "counter/hits", "get"], 2, "\nDid you mean `Counter`?"),
        (&["describe", "Conuter/hits"], 2, "\nDid you mean `Counter`?"),
        (&["watch", "Mutx/m"], 2, "\nDid you mean `Mutex`?"),
        (&["delete", "Mutx/m"], 2, "\nDid you mean `Mutex`?"),
        (&["objects", "--type", "Mutx"], 2, "\nDid you mean `Mutex`?"),
        (&["describe", "Counter/hist"], 1, "does not exist\nDid you mean `Counter/hits`?"),
        (&["describe", "Cell/hits"], 1, "does not exist\nDid you mean `Counter/hits`?"),
        (&["delete", "Counter/hist"], 1, "does not exist\nDid you mean `Counter/hits`?"),
        (&["describe", "Counter/owls"], 1, "does not exist\nThere is one in another job: --job night"),
    ];
    for (words, status, part) in cases {
        let said = dev.say(words);
        assert_eq!(said.status, Some(status), "{words:?}: {said:?}");
        assert!(said.err.trim_end().ends_with(part), "{words:?}: {said:?}");
    }
}

#[test]
fn errors_are_json_for_programs() {
    let dev = Dev::start();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["describe", "Centroid/c"], 2, "no object type `Centroid`"),
        (&["describe", "Counter/"], 2, "the key is empty"),
        (&["call", "Counter/c", "bump"], 2, "no method `bump`"),
        (&["objects", "--limit", "none"], 2, "invalid value 'none'"),
        (&["delete", "Centroid/c"], 2, "no object type `Centroid`"),
        (&["status", "--cluster", "127.0.0.1:1"], 1, "cannot reach 127.0.0.1:1"),
    ];
    for (words, status, part) in cases {
        let said = dev.say(&[words, &["--json"]].concat());
        assert_eq!(said.status, Some(status), "{words:?}: {said:?}");
        let error = parsed(&said.out)["error"].as_str().map(str::to_owned).unwrap_or_default();
        assert!(error.contains(part) && said.err.is_empty(), "{words:?}: {said:?}");
    }
    let said = dev.say(&["call", "--help", "--json"]);
    assert!(said.status == Some(0) && said.out.contains("Usage: "), "help is for people: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_value_of_a_lock_is_shown_if_the_node_knows_its_type() {
    #[derive(Serialize, Deserialize)]
    struct Private(u64);

    let node = embedded(|_| {});
    let client = Arc::new(client(node.address()).await);
    let known = Mutex::named("known", vec![1_u64, 2]).through(client.clone());
    let unknown = Mutex::named("unknown", Private(300)).through(client.clone());
    let (guard, _unknown) = (known.lock_async().await.expect("locks"), unknown.lock_async().await.expect("locks"));
    let state = |key: &str| parsed(&say(&node, &["describe", &format!("Mutex/{key}"), "--json"]).out)["state"].clone();
    let said = state("known");
    assert_eq!(
        (&said["value"], &said["value_is_known"], &said["locked"]),
        (&json!([1, 2]), &json!(true), &json!(true))
    );
    let said = state("unknown");
    assert_eq!((&said["value"], &said["value_is_known"]), (&Value::Null, &json!(false)));
    assert_eq!(said["value_bytes"], 2);
    drop(guard);
}

#[test]
fn deleting_an_object_ends_the_waits_in_it() {
    let dev = Dev::start();
    let mut waits = waits(&dev, "gate");
    assert_eq!(dev.ask(&["delete", "Barrier/gate"]), "deleted `Barrier/gate`");
    let (status, errors) = waits.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("`Barrier/gate` is gone"), "{errors}");
    assert_eq!(dev.say(&["delete", "Barrier/gate"]).status, Some(1));
    assert_eq!(dev.ask(&["call", "Barrier/gate", "waiting", "--new", "[2]"]), "0", "it is made anew");
}

#[test]
fn a_watch_tells_each_change_once_until_it_is_interrupted() {
    let dev = Dev::start();
    let mut lines = Running::start(&mut dev.tool(&["watch", "Counter/c", "--interval-ms", "20"]));
    let mut objects = Running::start(&mut dev.tool(&["watch", "Counter/c", "--interval-ms", "20", "--json"]));
    let state = |json: &str| parsed(json)["state"]["value"].clone();
    assert_eq!(lines.line(""), "`Counter/c` does not exist");
    assert_eq!(state(&objects.line("")), Value::Null);
    for value in [1, 2] {
        dev.ask(&["call", "Counter/c", "increment"]);
        assert_eq!(lines.line(""), format!("`Counter/c`: {{\"value\":{value}}}; 0 holders; 0 parked calls"));
        assert_eq!(state(&objects.line("")), value);
        // What changes nothing is no line, though it is an entry of the log.
        dev.ask(&["call", "Counter/c", "add", "0"]);
        dev.ask(&["call", "Counter/c", "get"]);
    }
    dev.ask(&["delete", "Counter/c"]);
    assert_eq!(lines.line(""), "`Counter/c` does not exist");
    lines.signal("INT");
    objects.signal("TERM");
    assert_eq!((lines.end().0.code(), objects.end().0.code()), (Some(0), Some(0)));
}

#[test]
fn a_dead_node_is_told_and_the_others_are_listed() {
    let dev = Dev::with(&["--copies", "1"]);
    let keys: Vec<String> = (0..24).map(|key| format!("key{key}")).collect();
    for key in &keys {
        dev.ask(&["call", &format!("Counter/{key}"), "increment"]);
    }
    let mut watch = Running::start(&mut dev.tool(&["watch", "Counter/key0", "--interval-ms", "20"]));
    watch.line("`Counter/key0`");
    dev.kill(2);
    until("the node is down", || dev.status()["cluster"]["nodes_up"] == 2);
    let said = dev.say(&["objects", "--json"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.err.contains("is down, its objects are missing: cannot reach "), "{said:?}");
    let listing = parsed(&said.out);
    let n_listed = listing["objects"].as_array().expect("is a list").len();
    assert!((1..24).contains(&n_listed), "{listing}");
    assert_eq!(listing["down"].as_array().map(Vec::len), Some(1));
    let there = |key: &&String| dev.say(&["describe", &format!("Counter/{key}")]).status == Some(0);
    assert_eq!(keys.iter().filter(there).count(), n_listed);
    let missing = keys.iter().find(|key| !there(key)).expect("some are");
    let said = dev.say(&["describe", &format!("Counter/{missing}")]);
    assert!(said.err.contains("cannot be asked: cannot reach "), "{said:?}");
    assert!(!watch.has_ended(), "whoever watches goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_only_the_node_knows_are_shown_and_deleted() {
    let node = embedded(|_| {});
    let client = client(node.address()).await;
    let desks = client.object(Desks::named("hall", 1));
    desks.sit_async().await.expect("there is one");
    let waits = tokio::spawn(desks.sit_async());
    until_parked::<Desks>(&client, "hall", 1).await;

    let listed = say(&node, &["objects", "--type", "Desks"]).out;
    assert_eq!(rows(&listed)[1], ["Desks", "hall", "exists", "1", "1", "0"], "{listed}");
    let said = say(&node, &["describe", "Desks/hall"]);
    assert_eq!(said.status, Some(0), "{said:?}");
    let text = &said.out;
    assert!(text.contains("job tests\n"), "{text}");
    assert!(text.contains(":\n{\"free\":0,\"waiting\":1}\n"), "the summary: {text}");
    assert!(
        text.contains("\n1 holder:\nHELD  OWNER") && text.contains(&format!("\ndesk  {}@", std::process::id())),
        "{text}"
    );
    assert!(text.contains("\n1 parked call:\n") && text.contains("no deadline\n"), "{text}");

    let said = say(&node, &["delete", "Desks/hall"]);
    assert_eq!((said.status, said.out.as_str()), (Some(0), "deleted `Desks/hall`\n"), "{said:?}");
    let ended = soon("the wait ends", waits).await.expect("runs");
    assert!(matches!(ended, Err(Error::ObjectLost { .. })), "{ended:?}");
    assert_eq!(say(&node, &["describe", "Desks/hall"]).status, Some(1));
}

#[tokio::test]
async fn a_node_describes_only_what_it_serves() {
    let dev = Dev::start();
    let nodes: Vec<&str> = dev.cluster.split(',').collect();
    let (table, _) = describe(nodes[0], DEADLINE).await.expect("answers");
    let slot = table.slot_of(hash_object(JobId::DEFAULT, "Counter", "c"));
    let place = table.place(slot).expect("is a slot");
    let other = table.members.iter().find(|member| member.node != place.primary).expect("there are three");
    let channel = dial(&other.address, DEADLINE).await.expect("answers");
    let id = ObjectId { job: 0, type_name: "Counter".to_owned(), key: "c".to_owned() };
    let request = DescribeObjectRequest { id: Some(id), known: None };
    let refused = soon("an answer", ControlClient::new(channel).describe_object(request)).await;
    let status = refused.expect_err("another node serves it");
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
}

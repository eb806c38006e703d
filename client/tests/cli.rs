//! The command `greenroom`, as a person and a script use it.

#[path = "external/support/mod.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod support;

mod dev;

use std::net::{Ipv4Addr, TcpListener};

use dev::{Dev, GREENROOM, N_SLOTS, NODE_PORTS};
use serde_json::{Value, json};
use support::{Running, command, free_ports, is_free, run, until};

#[test]
fn status_shows_all_nodes_and_the_slots_spread_over_all_shards() {
    let dev = Dev::start();
    let status = dev.status();
    assert_eq!(status["cluster"]["nodes_up"], 3);
    let nodes = status["nodes"].as_array().expect("is a list");
    let names: Vec<_> = nodes.iter().map(|node| node["name"].as_str().expect("has a name")).collect();
    assert_eq!(names, ["n1", "n2", "n3"]);
    let (mut n_slots, mut n_backups) = (0, 0);
    for node in nodes {
        assert_eq!(node["state"], "up");
        n_backups += node["backup"].as_u64().expect("is a number");
        let shards = node["shards"].as_array().expect("is a list");
        assert_eq!(shards.len(), 2);
        for shard in shards {
            let slots = shard["slots"].as_u64().expect("is a number");
            assert!(slots > N_SLOTS as u64 / 6 / 3, "{shard}");
            n_slots += slots;
        }
    }
    assert_eq!((n_slots, n_backups), (N_SLOTS as u64, N_SLOTS as u64), "every slot has two copies");
    assert_eq!(status["totals"]["slots"], N_SLOTS);
    assert_eq!(status["totals"]["backup_slots"], N_SLOTS);
    let cluster = &status["cluster"];
    assert_eq!(
        (&cluster["copies"], &cluster["slots_short"], &cluster["slots_lost"]),
        (&json!(2), &json!(0), &json!(0))
    );
    let mut voters: Vec<_> = cluster["voters"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    voters.sort_unstable();
    assert_eq!(voters, ["n1", "n2", "n3"]);
    assert!(voters.contains(&cluster["leader"].as_str().expect("somebody leads")));

    let text = dev.ask(&["status"]);
    assert!(text.starts_with(&format!("3 of 3 nodes are up; {N_SLOTS} slots\nview ")), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("  up  ")).count(), 6, "{text}");
}

#[test]
fn objects_of_one_type_lie_on_all_shards() {
    let dev = Dev::start();
    let n_objects = |status: &Value| {
        let shards = status["nodes"].as_array().into_iter().flatten().flat_map(|node| node["shards"].as_array());
        shards.flatten().map(|shard| shard["objects"].as_u64().unwrap_or(0)).collect::<Vec<_>>()
    };
    for key in 0..200 {
        dev.ask(&["call", &format!("Counter/{key}"), "increment"]);
        if n_objects(&dev.status()).iter().all(|&count| count > 0) {
            return;
        }
    }
    panic!("some shard has no object: {:?}", n_objects(&dev.status()));
}

#[test]
fn calls_reach_objects_by_type_and_key() {
    let dev = Dev::start();
    assert_eq!(dev.ask(&["call", "Counter/hits", "add", "5"]), "5");
    assert_eq!(dev.ask(&["call", "Counter/hits", "add", "5"]), "10");
    assert_eq!(dev.ask(&["call", "Counter/hits", "add", "-3"]), "7");
    assert_eq!(dev.ask(&["call", "Counter/hits/of/today", "add", "1", "--json"]), "1");
    assert_eq!(dev.ask(&["call", "Counter/hits", "get", "--job", "other"]), "0");
    assert_eq!(dev.ask(&["call", "Counter/hits", "get"]), "7");

    assert_eq!(dev.ask(&["call", "Barrier/b", "parties", "--new", "[3]"]), "3");
    assert_eq!(dev.ask(&["call", "Barrier/b", "parties"]), "3");

    assert_eq!(dev.ask(&["call", "Promise/p", "set", "text", "--new", "[1]"]), "", "nothing is returned");
    assert_eq!(dev.ask(&["call", "Promise/q", "set", "[1, 2]", "--new", "[1]", "--json"]), "null");
    let value: Value = serde_json::from_str(&dev.ask(&["call", "Promise/q", "get"])).expect("prints JSON");
    assert_eq!(value, json!([1, 2]));
}

#[test]
fn a_call_that_makes_no_sense_is_told_what_would() {
    let cases: [(&[&str], &str); 9] = [
        (&["Centroid/c", "mean"], "no object type `Centroid`; it has "),
        (&["Centroid/c", "mean"], "my-app greenroom call"),
        (&["Counter", "get"], "TYPE/KEY"),
        (&["Counter/c", "bump"], "no method `bump`; it has\n  add(i64) -> i64\n"),
        (&["Counter/c", "add"], "do not fit `add(i64) -> i64`: there are none"),
        (&["Counter/c", "add", "five"], "do not fit `add(i64) -> i64`: invalid type: string \"five\", expected i64"),
        (&["Counter/c", "get", "1"], "do not fit `get() -> i64`: it takes none"),
        (&["Barrier/b", "wait", "--new", "3"], "JSON array"),
        (&["Barrier/b", "wait", "--new", "[\"x\"]"], "do not fit `Barrier::new(u64)`"),
    ];
    for (words, part) in cases {
        let said = run(command(GREENROOM).arg("call").args(words));
        assert_eq!(said.status, Some(2), "{said:?}");
        assert!(said.err.contains(part), "{words:?}: {said:?}");
        assert_eq!(said.out, "");
    }
}

#[test]
fn a_call_that_fails_says_whether_it_was_applied() {
    let dev = Dev::start();
    let cases: [(&[&str], &str, &str); 5] = [
        (&["Barrier/none", "parties"], "--new '[…]' gives those of `new(u64)`", "applied: no"),
        (&["Barrier/none", "parties", "--new", "[0]"], "at least one party", "applied: no"),
        (&["Counter/", "get"], "the key is empty", "applied: no"),
        (&["Promise/p", "get", "--new", "[1]", "--timeout-ms", "500"], "its deadline", "applied: no"),
        (
            &["Mutex/m", "unlock", "1", "null", "--new", "[1, []]"],
            "`unlock` returned an error: {\"grant\":1}",
            "applied: not known",
        ),
    ];
    for (words, part, applied) in cases {
        let said = dev.say(&[&["call"], words].concat());
        assert_eq!(said.status, Some(1), "{said:?}");
        assert!(said.err.contains(part) && said.err.contains(applied), "{words:?}: {said:?}");
        assert_eq!(said.out, "");
    }

    let said = dev.say(&["call", "Mutex/m", "unlock", "1", "null", "--json"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    let failure: Value = serde_json::from_str(&said.out).expect("prints JSON");
    assert_eq!((&failure["applied"], &failure["method_error"]), (&json!(null), &json!({ "grant": 1 })));
}

#[test]
fn a_cluster_that_is_not_there_is_an_error() {
    let nowhere = format!("127.0.0.1:{}", free_ports(1));
    for words in [["status", "--json"].as_slice(), &["call", "Counter/c", "get"]] {
        let said = run(command(GREENROOM).args(words).args(["--cluster", &nowhere]));
        assert_eq!(said.status, Some(1), "{said:?}");
        let text = if words.contains(&"--json") { &said.out } else { &said.err };
        assert!(text.contains(&nowhere) && text.contains("`dev` starts one"), "{said:?}");
    }
}

#[test]
fn an_interrupted_call_no_longer_waits() {
    let dev = Dev::start();
    let waiting = || dev.ask(&["call", "Barrier/b", "waiting", "--new", "[2]"]);
    let mut call = Running::start(&mut dev.tool(&["call", "Barrier/b", "wait", "--new", "[2]"]));
    until("the call waits", || waiting() == "1");
    call.signal("INT");
    let (status, errors) = call.end();
    assert_eq!(status.code(), Some(130), "{errors}");
    until("the seat is free", || waiting() == "0");
}

#[test]
fn sigterm_to_dev_ends_all_nodes() {
    let mut dev = Dev::start();
    assert!(dev.all_ports().all(|port| !is_free(port)));
    dev.process.signal("TERM");
    let (status, errors) = dev.process.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    until("all ports are free", || dev.all_ports().all(is_free));
}

#[test]
fn nodes_end_with_a_dev_that_is_killed() {
    let dev = Dev::start();
    dev.process.signal("KILL");
    until("all ports are free", || dev.all_ports().all(is_free));
}

#[test]
fn a_dead_node_is_reported_and_the_others_go_on() {
    let mut dev = Dev::start();
    assert_eq!(dev.ask(&["call", "Counter/hits", "add", "5"]), "5");
    dev.kill(0);
    until("the node is out", || names(&dev.status()) == ["n2", "n3"] && dev.status()["cluster"]["slots_short"] == 0);
    assert_eq!(dev.ask(&["call", "Counter/hits", "add", "5"]), "10");
    assert!(dev.ask(&["status"]).starts_with("2 of 2 nodes are up; "));
    dev.process.signal("TERM");
    let (ended, errors) = dev.process.end();
    assert_eq!(ended.code(), Some(0));
    assert!(errors.contains("n1 has ended (signal: 9 (SIGKILL)); nodes left: 2"), "{errors}");
}

#[test]
fn a_node_joins_by_the_line_that_dev_prints_and_leaves_when_it_is_told_to() {
    let dev = Dev::start();
    let counters: Vec<String> = (0..20).map(|key| format!("Counter/{key}")).collect();
    counters.iter().for_each(|counter| assert_eq!(dev.ask(&["call", counter, "add", "5"]), "5"));
    type Leave<'a> = Box<dyn FnMut(&mut Running) + 'a>;
    let mut leave: [Leave<'_>; 2] = [
        Box::new(|node| node.signal("TERM")),
        Box::new(|_| assert_eq!(dev.ask(&["leave", "n4", "--yes"]), "n4 has left")),
    ];
    for (told, leave) in leave.iter_mut().enumerate() {
        let mut node = dev.add_a_node();
        until("the node has its share", || {
            let status = dev.status();
            let of_new = status["nodes"].as_array().into_iter().flatten().find(|node| node["name"] == "n4");
            let has_share = |node: &Value| node["primary"].as_u64().is_some_and(|count| count > N_SLOTS as u64 / 8);
            of_new.is_some_and(has_share) && status["cluster"]["slots_short"] == 0
        });
        leave(&mut node);
        let (ended, errors) = node.end();
        assert_eq!(ended.code(), Some(0), "{errors}");
        until("the others have all again", || {
            names(&dev.status()) == ["n1", "n2", "n3"] && dev.status()["cluster"]["slots_short"] == 0
        });
        let expected = (5 * (2 + told)).to_string();
        counters.iter().for_each(|counter| assert_eq!(dev.ask(&["call", counter, "add", "5"]), expected));
    }
}

#[test]
fn what_the_last_copy_is_of_waits_for_its_node_until_an_operator_gives_it_up() {
    let dev = Dev::with(&["--copies", "1"]);
    let counters: Vec<String> = (0..30).map(|key| format!("Counter/{key}")).collect();
    counters.iter().for_each(|counter| drop(dev.ask(&["call", counter, "add", "5"])));
    let said = dev.say(&["forget", "n3", "--yes"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.err.contains("`n3` is not known to be gone"), "{said:?}");
    assert_eq!(dev.ask(&["accept-loss", "--yes"]), "no slot is lost");

    dev.kill(2);
    until("the node is suspected", || state(&dev.status(), "n3") == "suspect");
    let status = dev.status();
    assert!(status["cluster"]["slots_waiting"].as_u64().is_some_and(|count| count > 0), "{status}");
    let answers = || counters.iter().map(|counter| dev.say(&["call", counter, "get", "--timeout-ms", "500"]));
    assert!(answers().any(|said| said.status == Some(1) && said.err.contains("applied: no")), "some wait for it");
    let said = dev.say(&["leave", "n3", "--yes"]);
    assert!(said.err.contains("does not answer, and has the last copy of "), "{said:?}");
    let said = dev.say(&["forget", "n3"]);
    assert_eq!(said.status, Some(2), "{said:?}");
    assert!(said.err.contains("Say so by --yes; nothing was done"), "{said:?}");
    assert!(dev.ask(&["forget", "n3", "--yes"]).contains("n3 is forgotten; "));

    let n_lost = || dev.status()["cluster"]["slots_lost"].as_u64().unwrap_or_default();
    assert!(n_lost() > 0);
    assert!(dev.ask(&["status"]).contains(" slots are lost, until `greenroom accept-loss` "));
    assert!(answers().any(|said| said.err.contains("the data is lost: all nodes that had a copy are gone")));
    assert!(dev.ask(&["accept-loss", "--yes"]).contains(" begun anew, empty"));
    assert_eq!(n_lost(), 0);
    let values: Vec<String> = counters.iter().map(|counter| dev.ask(&["call", counter, "get"])).collect();
    assert!(values.iter().all(|value| value == "5" || value == "0") && values.iter().any(|value| value == "0"));
}

#[test]
fn changes_that_make_no_sense_are_told_why() {
    let dev = Dev::with(&["--nodes", "1"]);
    let cases: [(&[&str], i32, &str); 4] = [
        (&["leave", "n7", "--yes"], 1, "no member is named `n7`; there are n1"),
        (&["leave", "n1", "--yes"], 1, "`n1` is the only node that stays"),
        (&["forget", "n1"], 1, "`n1` is not known to be gone"),
        (&["leave"], 2, "<NAME>"),
    ];
    for (words, status, part) in cases {
        let said = dev.say(words);
        assert_eq!(said.status, Some(status), "{said:?}");
        assert!(said.err.contains(part), "{words:?}: {said:?}");
    }
    let listen = format!("127.0.0.1:{}", free_ports(NODE_PORTS));
    let fixed = ["node", "--shards", "2", "--listen", &listen, "--members", &format!("n1={listen}")];
    let mut fixed = Running::start(command(GREENROOM).args(fixed));
    fixed.line("ready: ");
    let said = run(command(GREENROOM).args(["leave", "n1", "--yes", "--cluster", &listen]));
    assert!(said.err.contains("the members of this cluster are fixed"), "{said:?}");
}

fn nodes(status: &Value) -> impl Iterator<Item = &Value> {
    status["nodes"].as_array().into_iter().flatten()
}

fn names(status: &Value) -> Vec<String> {
    nodes(status).filter_map(|node| node["name"].as_str()).map(str::to_owned).collect()
}

fn state(status: &Value, name: &str) -> String {
    let node = nodes(status).find(|node| node["name"] == name);
    node.and_then(|node| node["state"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn a_taken_port_is_an_error_and_nothing_is_left() {
    let first = free_ports(23);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first + 11)).expect("is free");
    let said = run(command(GREENROOM).args(["dev", "--nodes", "3", "--shards", "2", "--port", &first.to_string()]));
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.err.contains(&format!("127.0.0.1:{}", first + 11)) && said.err.contains("--port"), "{said:?}");
    drop(taken);
    until("all ports are free", || (first..first + 23).all(is_free));
}

#[test]
fn nodes_that_cannot_start_leave_nothing_behind() {
    let first = free_ports(23);
    let mut dev = command(GREENROOM);
    dev.args(["dev", "--nodes", "3", "--shards", "2", "--port", &first.to_string()]);
    let said = run(dev.env("GREENROOM_SLOTS", "1"));
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.err.contains("1 slots for 2 shards") && said.err.contains("could not be started"), "{said:?}");
    until("all ports are free", || (first..first + 23).all(is_free));
}

#[test]
fn a_node_that_is_told_twice_stops_at_once() {
    let listen = format!("127.0.0.1:{}", free_ports(NODE_PORTS));
    let mut node =
        Running::start(command(GREENROOM).args(["node", "--shards", "2", "--drain-ms", "600000", "--listen", &listen]));
    assert_eq!(node.line("ready: "), format!("n1 at {listen}, 2 shards"));
    let words = ["call", "Barrier/b", "wait", "--new", "[2]", "--cluster", &listen];
    let _waits = Running::start(command(GREENROOM).args(words));
    let waiting =
        || run(command(GREENROOM).args(["call", "Barrier/b", "waiting", "--new", "[2]", "--cluster", &listen])).out;
    until("the call waits", || waiting() == "1\n");
    // Two signals that meet are one.
    until("the node stops", || {
        node.signal("TERM");
        node.has_ended()
    });
    let (status, _) = node.end();
    assert!(matches!(status.code(), Some(0 | 130)), "{status}");
}

#[test]
fn types_lists_what_there_is_to_call() {
    let text = run(command(GREENROOM).arg("types")).out;
    assert!(text.contains("Counter\n  add(i64) -> i64\n"), "{text}");
    let types: Value =
        serde_json::from_str(&run(command(GREENROOM).args(["types", "--json"])).out).expect("prints JSON");
    let barrier = types.as_array().into_iter().flatten().find(|one| one["name"] == "Barrier").expect("is built in");
    assert_eq!(barrier["constructor"], "(u64)");
    let wait = barrier["methods"].as_array().into_iter().flatten().find(|method| method["name"] == "wait");
    assert_eq!(wait.expect("is a method")["parks"], true);
}

//! A node that dies.

use greenroom::sync::Barrier;
use greenroom::{Counter, Error, cloud};

use crate::dev::Dev;
use crate::stage::{Stage, alone, count, drive, join, long_until, until_count};

/// A debug build of this program takes some 36 MiB a process; starting them takes longest.
const FUNCTIONS: usize = 50;
/// Nodes that compete with all these processes for the machine are late, and not dead.
const PATIENT: [(&str, &str); 4] = [
    ("GREENROOM_HEARTBEAT_MS", "300"),
    ("GREENROOM_LEASE_MS", "3000"),
    ("GREENROOM_ELECTION_MS_MIN", "2000"),
    ("GREENROOM_ELECTION_MS_MAX", "3000"),
];

#[cloud]
fn meet(parties: usize) -> Result<bool, Error> {
    Counter::named("came").increment()?;
    let is_leader = Barrier::named("gate", parties).wait()?.is_leader();
    Counter::named("passed").increment()?;
    Ok(is_leader)
}

#[test]
fn a_node_dies_while_functions_wait_and_all_come_through() {
    alone("nodes::a_node_dies_while_functions_wait_and_all_come_through", || {
        let dev = Dev::with_environment(&[], &PATIENT);
        let nodes: Vec<String> = dev.cluster.split(',').map(str::to_owned).collect();
        drive(&nodes);
        let stage = Stage::at(&nodes, |_| {});
        let parties = FUNCTIONS + 1;
        let threads: Vec<_> = (0..FUNCTIONS).map(|_| stage.spawn(meet::call(parties))).collect();
        let gate = Barrier::named("gate", parties);
        long_until("all wait", || gate.waiting() == Ok(FUNCTIONS));
        long_until("every slot has its copies", || dev.status()["cluster"]["slots_short"] == 0);
        dev.kill(1);
        // The last party comes when the node is gone.
        let was_leader = gate.wait().expect("passes").is_leader();
        let joined: Vec<_> = threads.into_iter().map(join).collect();
        let leaders = joined.iter().filter(|joined| *joined.as_ref().expect("comes through")).count();
        assert_eq!(leaders + usize::from(was_leader), 1);
        until_count("passed", FUNCTIONS as i64);
        assert_eq!(count("came"), FUNCTIONS as i64);
    });
}

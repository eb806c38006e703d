//! How long checks take: `cargo run --release -p greenroom-sim --example check_speed -- [OPERATIONS] [OBJECTS] [CLIENTS]`.
//!
//! Each row is a history of one kind of objects, made by choosing when each call takes effect, with one call of a thousand
//! unanswered; then the same with one wrong answer, three quarters of the way. By default it has the size of 3 minutes at 5,000 calls a second.

#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::VecDeque;
use std::time::Instant;

use greenroom_sim::*;

/// A linear congruential generator: the histories are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The objects as they are, for the right answers.
#[derive(Clone, Default)]
struct Model {
    value: i64,
    queue: VecDeque<i64>,
    fence: u64,
    held: bool,
}

impl Model {
    fn call(&mut self, kind: &str, index: i64, random: &mut Random) -> (Call, Reply) {
        let n = random.below(4);
        match (kind, n) {
            ("counter", 0) => (Call::Counter(CounterCall::Get), Reply::Number(self.value)),
            ("counter", _) => {
                self.value += 1;
                (Call::Counter(CounterCall::Add(1)), Reply::Number(self.value))
            }
            ("register", 0) => {
                self.value = index;
                (Call::Register(RegisterCall::Write(index)), Reply::Done)
            }
            ("register", _) => (Call::Register(RegisterCall::Read), Reply::Number(self.value)),
            ("queue", 0 | 1) if self.queue.len() < 1_000 => {
                self.queue.push_back(index);
                (Call::Queue(QueueCall::Send(index)), Reply::Done)
            }
            ("queue", _) => (Call::Queue(QueueCall::TryRecv), Reply::Value(self.queue.pop_front())),
            _ if self.held => {
                self.held = false;
                (Call::Mutex(MutexCall::Unlock(self.fence)), Reply::Done)
            }
            _ => {
                (self.held, self.fence) = (true, self.fence + 1);
                (Call::Mutex(MutexCall::Lock), Reply::Fence(self.fence))
            }
        }
    }
}

fn record(kind: &str, operations: usize, objects: usize, clients: usize, wrong_at: usize) -> History {
    let object_type = match kind {
        "counter" => ObjectType::Counter { initial: 0 },
        "register" => ObjectType::Register { initial: 0 },
        "queue" => ObjectType::Queue { capacity: None },
        _ => ObjectType::Mutex,
    };
    let mut random = Random(7);
    let mut history = History::with_capacity(operations);
    let indices: Vec<_> = (0..objects).map(|number| history.object(format!("{kind} {number}"), object_type)).collect();
    let mut models = vec![Model::default(); objects];
    // The average duration of a call is such that so many clients are busy all the time.
    let mut ends = vec![0; clients];
    for index in 0..operations {
        let at = 1_000 * (index as u64 + clients as u64);
        let object = index % objects;
        let (call, reply) = models[object].call(kind, index as i64 + 1, &mut random);
        let client = index % clients;
        let from = (at - random.below(500 * clients as u64)).max(ends[client] + 1).min(at);
        let operation = history.invoke(ClientId(client as u64), indices[object], call, from);
        ends[client] = at + random.below(500 * clients as u64);
        let is_lost = random.below(1_000) == 0 && !matches!(call, Call::Mutex(_));
        if is_lost {
            history.unknown(operation, ends[client]);
            continue;
        }
        let wrong = index >= wrong_at && index < wrong_at + objects && object == 0;
        history.returned(operation, if wrong { spoil(reply) } else { reply }, ends[client]);
    }
    history
}

/// An answer that is not far from the right one.
fn spoil(reply: Reply) -> Reply {
    match reply {
        Reply::Number(number) => Reply::Number(number - 100),
        Reply::Value(Some(value)) => Reply::Value(Some(value - 1)),
        Reply::Fence(fence) => Reply::Fence(fence - 1),
        Reply::Done => Reply::Refused,
        other => other,
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let operations = arguments.next().unwrap_or(900_000);
    let objects = arguments.next().unwrap_or(50);
    let clients = arguments.next().unwrap_or(64);
    println!("{operations} operations on {objects} objects by {clients} clients");
    for kind in ["counter", "register", "queue", "mutex"] {
        for wrong_at in [usize::MAX - objects, operations / objects * 3 / 4 * objects] {
            let history = record(kind, operations, objects, clients, wrong_at);
            let start = Instant::now();
            let report = report(&history, &Limits::default());
            let (seconds, steps) = (start.elapsed().as_secs_f64(), report.steps);
            let told = match report.verdict {
                Verdict::Linearizable => "linearizable".to_owned(),
                Verdict::NotLinearizable { object, .. } => format!("{object} is not linearizable"),
                Verdict::GaveUp { why } => format!("gave up: {why}"),
            };
            println!("{kind:<10} {seconds:>7.2} s {steps:>12} steps  {told}");
        }
    }
}

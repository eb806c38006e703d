//! Recording, files, the counts of what was lost and doubled, and limits.

mod script;

use std::sync::Arc;

use greenroom_sim::Call::{Counter as counter, Mutex as mutex, Queue as queue, Register as register};
use greenroom_sim::conservation::{channel, counter_bits, open as unanswered};
use greenroom_sim::*;
use script::{answered, history, open};

#[test]
fn a_history_is_read_from_a_file_as_it_was_written() {
    let mut history = History::new();
    let lock = history.object("lock", ObjectType::Mutex);
    let barrier = history.object("barrier", ObjectType::Barrier { parties: 2 });
    let call = history.invoke(ClientId(1), lock, mutex(MutexCall::Lock), 0);
    history.returned(call, Reply::Fence(1), 10);
    history.owner_ended(ClientId(1), 20);
    let wait = history.invoke(ClientId(2), barrier, Call::BarrierWait, 5);
    history.unknown(wait, 30);
    assert_eq!(history.len(), 3, "an owner ends for the lock, and not for the barrier");

    let path = std::env::temp_dir().join(format!("greenroom-history-{}", std::process::id()));
    history.write_to(&path).expect("it can be written");
    let read = History::read_from(&path);
    std::fs::write(&path, "[]\n{\"torn").expect("it can be written");
    let torn = History::read_from(&path);
    std::fs::remove_file(&path).expect("it was written");
    assert_eq!(read.expect("it can be read"), history);
    assert!(torn.is_err());
}

#[test]
fn threads_record_into_one_history() {
    let recorder = Arc::new(Recorder::with_capacity(400));
    let object = recorder.object("hits", ObjectType::Counter { initial: 0 });
    let threads: Vec<_> = (0..4)
        .map(|client| {
            let recorder = Arc::clone(&recorder);
            let record = move || {
                for number in 0..100 {
                    let call = recorder.invoke(ClientId(client), object, counter(CounterCall::Add(1)), number);
                    recorder.returned(call, Reply::Number(1), number + 1);
                }
            };
            std::thread::Builder::new().spawn(record).expect("a thread starts")
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it records"));
    let history = Arc::into_inner(recorder).expect("all threads ended").finish();
    assert_eq!(history.len(), 400);
    assert_eq!(history.operations().iter().filter(|operation| operation.outcome == Outcome::Open).count(), 0);
}

#[test]
fn adds_to_a_counter_are_lost_doubled_or_balanced() {
    let add = |delta, from| answered(1, from, from + 5, counter(CounterCall::FetchAdd(delta)), Reply::Number(0));
    let history = history(
        ObjectType::Counter { initial: 100 },
        &[add(1, 0), add(2, 10), open(2, 20, counter(CounterCall::Add(4)))],
    );
    let account = |last| conservation::counter(&history, ObjectIndex(0), 100, last);
    assert!(account(103).is_balanced() && account(107).is_balanced());
    assert_eq!((account(102).lost(), account(102).doubled()), (1, 0));
    assert_eq!((account(109).lost(), account(109).doubled()), (0, 2));
    assert_eq!(counter_bits(&history, ObjectIndex(0), 7), (0, 0));
    assert_eq!(counter_bits(&history, ObjectIndex(0), 0b1001), (0b10, 0b1000));
    assert_eq!(unanswered(&history, ObjectIndex(0)).count(), 1);
}

#[test]
fn values_of_a_channel_are_lost_doubled_invented_or_balanced() {
    let send = |value| answered(1, 0, 5, queue(QueueCall::Send(value)), Reply::Done);
    let recv = |value| answered(2, 10, 15, queue(QueueCall::Recv), Reply::Number(value));
    let lines = [send(1), send(2), send(3), open(1, 0, queue(QueueCall::Send(4))), recv(1), recv(4)];
    let balanced = history(ObjectType::Queue { capacity: None }, &lines);
    assert!(channel(&balanced, ObjectIndex(0), &[2, 3]).is_balanced());

    let account = channel(&balanced, ObjectIndex(0), &[1, 2, 9]);
    assert_eq!((account.lost, account.doubled, account.invented), (vec![3], vec![1], vec![9]));

    let waiting = [&lines[..], &[open(3, 20, queue(QueueCall::Recv))]].concat();
    let waiting = history(ObjectType::Queue { capacity: None }, &waiting);
    assert_eq!(channel(&waiting, ObjectIndex(0), &[2, 3]).forgotten, 1);
    assert!(channel(&waiting, ObjectIndex(0), &[2]).lost.len() <= 1, "the open call may have taken it");
}

#[test]
fn a_check_gives_up_at_its_limit_and_says_where() {
    let writes: Vec<_> = (0..20)
        .map(|value| answered(value, 0, 100, register(RegisterCall::Write(value as i64)), Reply::Done))
        .chain([answered(1, 200, 210, register(RegisterCall::Read), Reply::Number(77))])
        .collect();
    let history = history(ObjectType::Register { initial: 0 }, &writes);
    let limits = Limits { steps_max: 1_000, ..Limits::default() };
    let Verdict::GaveUp { why } = check(&history, &limits) else { panic!("it is too much for 1,000 steps") };
    assert!(why.contains("too many steps on object"), "{why}");
}

#[test]
fn many_unanswered_writes_do_not_multiply_the_search() {
    let mut lines: Vec<_> =
        (0..60).map(|value| open(1, value, register(RegisterCall::Write(1_000 + value as i64)))).collect();
    for round in 0..200 {
        let at = 100 + 10 * round;
        lines.push(answered(3, at, at + 15, register(RegisterCall::Write(round as i64)), Reply::Done));
        lines.push(answered(4, at + 5, at + 15, register(RegisterCall::Read), Reply::Number(round as i64)));
    }
    lines.push(answered(4, 9_000, 9_010, register(RegisterCall::Read), Reply::Number(3)));
    let history = history(ObjectType::Register { initial: 0 }, &lines);
    let report = report(&history, &Limits::default());
    assert!(matches!(report.verdict, Verdict::NotLinearizable { .. }), "{:?}", report.verdict);
    assert!(report.steps < 200_000, "{}", report.steps);
}

#[test]
fn unanswered_adds_of_many_sizes_are_found_from_the_sum() {
    let adds = (0..50).map(|bit| open(2, bit, counter(CounterCall::Add(1 << bit))));
    let gets = [0b1010_i64, 0b1010 | 1 << 40, 0b1011 | 1 << 40 | 1 << 49];
    let gets = (100..).step_by(10).zip(gets);
    let gets = gets.map(|(at, sum)| answered(1, at, at + 5, counter(CounterCall::Get), Reply::Number(sum)));
    let mut lines: Vec<_> = adds.chain(gets).collect();
    let object_type = ObjectType::Counter { initial: 0 };
    let good = report(&history(object_type, &lines), &Limits::default());
    assert!(matches!(good.verdict, Verdict::Linearizable) && good.steps < 1_000, "{good:?}");
    lines.push(answered(1, 900, 905, counter(CounterCall::Get), Reply::Number(1)));
    let bad = report(&history(object_type, &lines), &Limits::default());
    assert!(matches!(bad.verdict, Verdict::NotLinearizable { .. }) && bad.steps < 100_000, "{bad:?}");
}

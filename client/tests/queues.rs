//! What `Queue` promises, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::collections::VecDeque;
use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use greenroom::collections::Queue;
use greenroom::sync::channel::{Channel, RecvError, SendError, TrySendError};
use greenroom::{Error, Refusal};
use proptest::prelude::*;
use stage::{Stage, scenarios, until};

scenarios! {
    values_come_out_in_the_order_in_which_they_went_in,
    who_takes_waits_for_a_value_and_is_served_in_order,
    a_bounded_queue_holds_back_who_pushes,
    a_large_queue_is_filled_and_drained_in_pages,
    what_a_drain_brought_that_was_given_up_goes_back_to_its_place,
    a_take_or_push_that_times_out_changes_nothing,
    a_queue_does_not_end_with_a_session,
    a_queue_is_a_channel_by_another_name,
    a_queue_of_another_type_or_capacity_is_refused,
}

const TIMEOUT: Duration = Duration::from_millis(100);

fn values_come_out_in_the_order_in_which_they_went_in(stage: &Stage) {
    let [pushing, popping] = stage.sessions();
    let (of_pushing, of_popping) =
        (Queue::named("q").through(pushing.caller()), Queue::<String>::named("q").through(popping.caller()));
    assert_eq!((of_popping.pop(), of_popping.peek(), of_popping.is_empty()), (Ok(None), Ok(None), Ok(true)));
    of_pushing.push("a".to_owned()).expect("pushes");
    of_pushing.push_all(["b", "c", "d"].map(str::to_owned)).expect("pushes");
    of_pushing.try_push("e".to_owned()).expect("pushes");
    assert_eq!((of_popping.len(), of_popping.capacity()), (Ok(5), Ok(None)));
    assert_eq!(of_popping.peek().expect("peeks").as_deref(), Some("a"));
    assert_eq!(of_popping.pop().expect("pops").as_deref(), Some("a"));
    assert_eq!(of_popping.take().expect("takes"), "b");
    assert_eq!(of_popping.take_timeout(TIMEOUT).expect("takes"), "c");
    assert_eq!(of_popping.drain(0), Ok(vec![]));
    assert_eq!(of_popping.drain(1), Ok(vec!["d".to_owned()]));
    assert_eq!(of_pushing.clear(), Ok(1));
    assert_eq!((of_popping.is_empty(), of_popping.drain(10), of_pushing.clear()), (Ok(true), Ok(vec![]), Ok(0)));
}

fn who_takes_waits_for_a_value_and_is_served_in_order(stage: &Stage) {
    let session = stage.session();
    let queue = Queue::named("q").through(session.caller());
    let taking: Vec<_> = (1..=3)
        .map(|place| {
            let own = queue.clone();
            let take = stage.start(async move { own.take_async().await });
            stage.until_parked(queue.object(), place);
            take
        })
        .collect();
    queue.push_all(0..4_u64).expect("pushes");
    for (value, take) in (0..).zip(taking) {
        assert_eq!(take.finish(), Ok(value));
    }
    assert_eq!(queue.pop(), Ok(Some(3)));
}

fn a_bounded_queue_holds_back_who_pushes(stage: &Stage) {
    let session = stage.session();
    let queue = Queue::bounded("q", 2).through(session.caller());
    queue.push_all([0, 1_u64]).expect("pushes");
    assert_eq!(queue.try_push(9), Err(Error::Method(TrySendError::Full(9))));
    let own = queue.clone();
    let push = stage.start(async move { own.push_all_async([2, 3, 4]).await });
    stage.until_parked(queue.object(), 1);
    assert_eq!(queue.pop(), Ok(Some(0)));
    assert_eq!(queue.len(), Ok(2));
    assert_eq!(queue.clear(), Ok(2));
    assert_eq!(push.finish(), Ok(()), "there is room now");
    assert_eq!(queue.drain(10), Ok(vec![3, 4]));
    assert_eq!(queue.capacity(), Ok(Some(2)));
}

fn a_large_queue_is_filled_and_drained_in_pages(stage: &Stage) {
    let session = stage.session();
    let queue = Queue::named("q").through(session.caller());
    let value = |number: u32| vec![number; 100_000];
    queue.push_all((0..10).map(value)).expect("pushes");
    assert_eq!(queue.drain(7), Ok((0..7).map(value).collect()));
    assert_eq!(queue.drain(usize::MAX), Ok((7..10).map(value).collect()));
    queue.push_all((0..20).map(value)).expect("pushes");
    let mut pages = Vec::new();
    while queue.is_empty() == Ok(false) {
        pages.push(queue.drain(usize::MAX).expect("drains"));
    }
    assert!(pages.iter().all(|page| (1..=11).contains(&page.len())), "one has about 1 MiB");
    assert_eq!(pages.concat(), (0..20).map(value).collect::<Vec<_>>());
}

fn what_a_drain_brought_that_was_given_up_goes_back_to_its_place(stage: &Stage) {
    let session = stage.session();
    let value = |number: u32| vec![number; 700_000];
    let given_up = (0..100).map(|attempt| {
        let queue = Queue::named(format!("q{attempt}")).through(session.caller());
        queue.push_all((0..4).map(value)).expect("pushes");
        let mut drain = Box::pin(queue.drain_async(4));
        // A machine that takes this thread's turn away in the middle of the poll may bring the answer within it.
        let pending = drain.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        until("a page is taken", || queue.len().expect("counts") < 4);
        drop(drain);
        pending.then_some(queue)
    });
    let queue = given_up.flatten().next().expect("a drain waited for its answer");
    until("it is back", || queue.len() == Ok(4));
    for number in 0..4 {
        assert_eq!(queue.pop(), Ok(Some(value(number))));
    }
}

#[test]
fn a_value_larger_than_a_call_may_be_is_refused() {
    let stage = Stage::cluster();
    let session = stage.session();
    let queue = Queue::named("q").through(session.caller());
    let too_large = queue.push("x".repeat(40 << 20));
    assert!(matches!(too_large, Err(Error::Refused { refusal: Refusal::TooLarge { .. }, .. })));
    queue.push("x".repeat(20 << 20)).expect("pushes");
    assert_eq!(queue.take().map(|value| value.len()), Ok(20 << 20));
}

fn a_take_or_push_that_times_out_changes_nothing(stage: &Stage) {
    let session = stage.session();
    let queue = Queue::bounded("q", 1).through(session.caller());
    let own = queue.clone();
    let take = stage.start(async move { own.take_timeout_async(TIMEOUT).await });
    assert_eq!(take.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Channel/q".to_owned() }));
    queue.push(0_u64).expect("pushes");
    let own = queue.clone();
    let push = stage.start(async move { own.push_timeout_async(1, TIMEOUT).await });
    assert_eq!(push.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Channel/q".to_owned() }));
    assert_eq!(queue.drain(10), Ok(vec![0]));
}

fn a_queue_does_not_end_with_a_session(stage: &Stage) {
    let [ending, staying] = stage.sessions();
    Queue::named("q").through(ending.caller()).push(1_u64).expect("pushes");
    let queue = Queue::<u64>::named("q").through(staying.caller());
    ending.end();
    assert_eq!(queue.take(), Ok(1));
    queue.push(2).expect("it is open");
    assert_eq!(queue.pop(), Ok(Some(2)));
}

fn a_queue_is_a_channel_by_another_name(stage: &Stage) {
    let session = stage.session();
    let queue = Queue::<u64>::bounded("q", 5).through(session.caller());
    let channel = Channel::<u64>::bounded("q", 5).through(session.caller());
    queue.push(1).expect("pushes");
    let sender = channel.sender().expect("is open");
    sender.send(2).expect("sends");
    assert_eq!(channel.receiver().recv(), Ok(1));
    assert_eq!(channel.receiver().close(), Ok(true));
    assert_eq!(queue.push(3), Err(Error::Method(SendError(3))));
    assert_eq!(queue.push_all([3, 4]), Err(Error::Method(SendError(vec![3, 4]))));
    assert_eq!(queue.try_push(3), Err(Error::Method(TrySendError::Closed(3))));
    assert_eq!(queue.take(), Ok(2));
    assert_eq!(queue.take(), Err(Error::Method(RecvError)));
    assert_eq!((queue.pop(), queue.drain(1)), (Ok(None), Ok(vec![])));
}

fn a_queue_of_another_type_or_capacity_is_refused(stage: &Stage) {
    fn refused<T, E>(result: Result<T, Error<E>>) -> bool {
        matches!(result, Err(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. }))
    }
    let session = stage.session();
    Queue::named("q").through(session.caller()).push(1_u64).expect("pushes");
    assert!(refused(Queue::<i64>::named("q").through(session.caller()).pop()));
    assert!(refused(Queue::<u64>::bounded("q", 5).through(session.caller()).take()));
    assert!(refused(Queue::<u64>::bounded("q", 0).through(session.caller()).push(2)));
}

#[derive(Clone, Debug)]
enum Step {
    Push(u16),
    PushAll(Vec<u16>),
    TryPush(u16),
    Pop,
    Take,
    Peek,
    Drain(usize),
    Clear,
    Len,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u16>().prop_map(Step::Push),
        2 => prop::collection::vec(any::<u16>(), 0..5).prop_map(Step::PushAll),
        3 => any::<u16>().prop_map(Step::TryPush),
        5 => Just(Step::Pop),
        2 => Just(Step::Take),
        2 => Just(Step::Peek),
        1 => (0..5_usize).prop_map(Step::Drain),
        1 => Just(Step::Clear),
        1 => Just(Step::Len),
    ]
}

/// Does the same to both, where neither has to wait; returns what each says.
fn play(queue: &Queue<u16>, model: &mut VecDeque<u16>, capacity: usize, step: Step) -> (String, String) {
    let room = capacity - model.len();
    match step {
        Step::Push(value) if room > 0 => {
            model.push_back(value);
            (format!("{:?}", queue.push(value)), "Ok(())".to_owned())
        }
        Step::PushAll(values) if room >= values.len() => {
            model.extend(&values);
            (format!("{:?}", queue.push_all(values)), "Ok(())".to_owned())
        }
        Step::TryPush(value) => {
            let expected = if room > 0 { Ok(()) } else { Err(Error::Method(TrySendError::Full(value))) };
            if room > 0 {
                model.push_back(value);
            }
            (format!("{:?}", queue.try_push(value)), format!("{expected:?}"))
        }
        Step::Take if model.is_empty() => (String::new(), String::new()),
        Step::Take => (format!("{:?}", queue.take().ok()), format!("{:?}", model.pop_front())),
        Step::Pop => (format!("{:?}", queue.pop().expect("pops")), format!("{:?}", model.pop_front())),
        Step::Peek => (format!("{:?}", queue.peek().expect("peeks")), format!("{:?}", model.front())),
        Step::Drain(max) => {
            let drained: Vec<u16> = model.drain(..max.min(model.len())).collect();
            (format!("{:?}", queue.drain(max).expect("drains")), format!("{drained:?}"))
        }
        Step::Clear => {
            let count = std::mem::take(model).len();
            (format!("{:?}", queue.clear().expect("clears")), format!("{count}"))
        }
        Step::Len => (format!("{:?}", queue.len().expect("counts")), format!("{}", model.len())),
        Step::Push(_) | Step::PushAll(_) => (String::new(), String::new()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_queue_is_a_vec_deque(capacity in prop::option::of(1..8_usize), steps in prop::collection::vec(step(), 0..50)) {
        let stage = Stage::pure();
        let session = stage.session();
        let queue = match capacity {
            Some(capacity) => Queue::bounded("q", capacity),
            None => Queue::named("q"),
        };
        let (queue, mut model) = (queue.through(session.caller()), VecDeque::new());
        for step in steps {
            let (found, expected) = play(&queue, &mut model, capacity.unwrap_or(1_000), step.clone());
            prop_assert_eq!(found, expected, "{:?}", step);
        }
        prop_assert_eq!(queue.drain(usize::MAX), Ok(Vec::from(model)));
    }
}

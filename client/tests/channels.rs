//! What channels promise, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::pin::pin;
use std::time::Duration;

use greenroom::sync::channel::{
    Channel, ChannelClosed, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError,
};
use greenroom::{Error, Refusal, Value};
use stage::{Session, Stage, Started, scenarios, until};

scenarios! {
    values_arrive_once_and_in_order,
    who_waits_to_send_is_served_in_order_and_not_overtaken,
    who_waits_to_receive_is_served_in_order_and_not_overtaken,
    in_a_rendezvous_a_send_waits_until_a_receiver_takes,
    many_values_travel_in_few_calls_and_go_in_as_there_is_room,
    after_a_close_sends_are_refused_and_receivers_drain_what_is_there,
    the_last_sender_closes_the_channel_and_ends_the_iterators,
    a_channel_that_never_had_a_sender_is_open_and_one_without_receivers_keeps_its_values,
    the_end_of_a_session_takes_its_senders_and_its_waiting_calls,
    a_send_that_timed_out_or_was_given_up_has_put_nothing_in,
    a_receive_that_timed_out_or_was_given_up_leaves_the_queue,
    what_an_unseen_answer_brought_goes_back_to_its_place,
    what_an_unseen_answer_brought_goes_to_the_next_who_waits,
    a_sender_whose_registration_nobody_saw_never_was_one,
    a_receiver_in_a_select_loses_nothing,
    a_sender_that_travels_registers_at_its_first_use,
    a_channel_of_another_type_or_capacity_is_refused,
    who_waits_in_a_deleted_channel_is_told,
    a_channel_tells_people_who_sends_and_who_waits,
}

const TIMEOUT: Duration = Duration::from_millis(100);

fn sender<T: Value>(session: &Session, channel: &Channel<T>) -> Sender<T> {
    channel.through(session.caller()).sender().expect("is open")
}

fn receiver<T: Value>(session: &Session, channel: &Channel<T>) -> Receiver<T> {
    channel.through(session.caller()).receiver()
}

/// A session with a sender and one with a receiver.
fn ends<T: Value>(stage: &Stage, channel: &Channel<T>) -> ([Session; 2], Sender<T>, Receiver<T>) {
    let sessions = stage.sessions();
    let (sender, receiver) = (sender(&sessions[0], channel), receiver(&sessions[1], channel));
    (sessions, sender, receiver)
}

fn start_send<'a, T: Value>(
    stage: &'a Stage,
    sender: &Sender<T>,
    value: T,
) -> Started<'a, Result<(), Error<SendError<T>>>> {
    let sender = sender.clone();
    stage.start(async move { sender.send_async(value).await })
}

fn start_recv<'a, T: Value>(stage: &'a Stage, receiver: &Receiver<T>) -> Started<'a, Result<T, Error<RecvError>>> {
    let receiver = receiver.clone();
    stage.start(async move { receiver.recv_async().await })
}

fn values_arrive_once_and_in_order(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage, &Channel::bounded("c", 10));
    for value in 0..10_u64 {
        sender.send(value).expect("sends");
    }
    assert_eq!((sender.len(), receiver.len(), receiver.is_empty()), (Ok(10), Ok(10), Ok(false)));
    assert_eq!((sender.capacity(), receiver.capacity()), (Ok(Some(10)), Ok(Some(10))));
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.recv_timeout(TIMEOUT), Ok(2));
    assert_eq!(receiver.recv_many(3), Ok(vec![3, 4, 5]));
    assert_eq!(receiver.recv_many(0), Ok(vec![]));
    assert_eq!(receiver.try_recv_many(2), Ok(vec![6, 7]));
    assert_eq!(receiver.try_iter().collect::<Result<Vec<_>, _>>(), Ok(vec![8, 9]));
    assert_eq!(receiver.try_recv(), Err(Error::Method(TryRecvError::Empty)));
    assert_eq!(receiver.try_recv_many(1), Err(Error::Method(TryRecvError::Empty)));
    assert_eq!((sender.is_empty(), receiver.is_closed()), (Ok(true), Ok(false)));
}

fn who_waits_to_send_is_served_in_order_and_not_overtaken(stage: &Stage) {
    let channel = Channel::bounded("c", 2);
    let (sessions, first, receiver) = ends(stage, &channel);
    let other = sender(&sessions[1], &channel);
    first.send_all([0, 1]).expect("there is room");
    let waiting: Vec<_> = (1..)
        .zip(2..6_u64)
        .map(|(parked, value)| {
            let send = start_send(stage, if value % 2 == 0 { &first } else { &other }, value);
            stage.until_parked(receiver.object(), parked);
            send
        })
        .collect();
    assert_eq!(other.try_send(100), Err(Error::Method(TrySendError::Full(100))));
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!(stage.parked(receiver.object()), 3, "one has come in");
    assert_eq!(first.try_send(101), Err(Error::Method(TrySendError::Full(101))), "others wait for the room");
    for value in 1..6 {
        assert_eq!(receiver.recv(), Ok(value));
    }
    for send in waiting {
        assert_eq!(send.finish(), Ok(()));
    }
    assert_eq!(first.try_send(6), Ok(()));
}

fn who_waits_to_receive_is_served_in_order_and_not_overtaken(stage: &Stage) {
    let channel = Channel::unbounded("c");
    let (sessions, sender, receiver) = ends(stage, &channel);
    let other = self::receiver(&sessions[0], &channel);
    let waiting: Vec<_> = (0..4)
        .map(|place| {
            let recv = start_recv(stage, if place % 2 == 0 { &receiver } else { &other });
            stage.until_parked(receiver.object(), place + 1);
            recv
        })
        .collect();
    assert_eq!(receiver.try_recv(), Err(Error::Method(TryRecvError::Empty)));
    sender.send_all(0..3_u64).expect("sends");
    assert_eq!(other.try_recv(), Err(Error::Method(TryRecvError::Empty)), "they are for those who waited");
    sender.send(3).expect("sends");
    for (place, recv) in (0..).zip(waiting) {
        assert_eq!(recv.finish(), Ok(place));
    }
}

fn in_a_rendezvous_a_send_waits_until_a_receiver_takes(stage: &Stage) {
    let channel = Channel::rendezvous("r");
    let (_sessions, sender, receiver) = ends(stage, &channel);
    assert_eq!(sender.capacity(), Ok(Some(0)));
    assert_eq!(sender.try_send(100), Err(Error::Method(TrySendError::Full(100))), "nobody waits for it");
    let sends = [(0, 1), (1, 2), (2_u64, 3)].map(|(value, parked)| {
        let send = start_send(stage, &sender, value);
        stage.until_parked(receiver.object(), parked);
        send
    });
    assert_eq!(receiver.len(), Ok(0));
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!(receiver.recv_many(10), Ok(vec![1]), "one sender and one receiver meet");
    assert_eq!(receiver.recv(), Ok(2));
    for send in sends {
        assert_eq!(send.finish(), Ok(()));
    }
    let recv = start_recv(stage, &receiver);
    stage.until_parked(receiver.object(), 1);
    assert_eq!(sender.try_send(3), Ok(()));
    assert_eq!(recv.finish(), Ok(3));
    assert_eq!(sender.try_send(4), Err(Error::Method(TrySendError::Full(4))), "its receiver has had one");
}

fn many_values_travel_in_few_calls_and_go_in_as_there_is_room(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage, &Channel::bounded("small", 3));
    let bulk = sender.clone();
    let sending = stage.start(async move { bulk.send_all_async(0..10_u64).await });
    stage.until_parked(receiver.object(), 1);
    assert_eq!(receiver.len(), Ok(3));
    assert_eq!(receiver.recv_many(4), Ok(vec![0, 1, 2, 3]), "others come in behind those that are taken");
    assert_eq!(receiver.len(), Ok(3));
    assert_eq!(receiver.recv_many(100), Ok(vec![4, 5, 6, 7, 8, 9]));
    assert_eq!(sending.finish(), Ok(()));

    let (_sessions, sender, receiver) = ends(stage, &Channel::unbounded("large"));
    let value = |number: u8| vec![number; 300 << 10];
    sender.send_all((0..10).map(value)).expect("goes in several pages");
    assert_eq!(receiver.len(), Ok(10));
    let mut received = Vec::new();
    while received.len() < 10 {
        let page = receiver.recv_many(100).expect("receives");
        assert!(page.len() <= 3, "{} values are more than 1 MiB", page.len());
        received.extend(page);
    }
    assert_eq!(received, (0..10).map(value).collect::<Vec<_>>());
    sender.send(vec![0; 3 << 20]).expect("sends");
    assert_eq!(receiver.recv_many(2).map(|page| page.len()), Ok(1), "one that is larger comes alone");
}

fn after_a_close_sends_are_refused_and_receivers_drain_what_is_there(stage: &Stage) {
    let channel = Channel::bounded("c", 2);
    let (_sessions, sender, receiver) = ends(stage, &channel);
    sender.send_all([0, 1_u64]).expect("sends");
    let single = start_send(stage, &sender, 2);
    stage.until_parked(receiver.object(), 1);
    let bulk = sender.clone();
    let bulk = stage.start(async move { bulk.send_all_async([3, 4, 5]).await });
    stage.until_parked(receiver.object(), 2);
    assert_eq!(receiver.try_recv_many(2), Ok(vec![0, 1]), "2 and 3 come in");
    assert_eq!(receiver.close(), Ok(true));
    assert_eq!(sender.close(), Ok(false), "it is closed");
    assert_eq!(single.finish(), Ok(()));
    assert_eq!(bulk.finish(), Err(Error::Method(SendError(vec![4, 5]))), "what is not in comes back");
    assert_eq!((sender.is_closed(), receiver.is_closed()), (Ok(true), Ok(true)));
    assert_eq!(sender.send(6), Err(Error::Method(SendError(6))));
    assert_eq!(sender.send_timeout(6, TIMEOUT), Err(Error::Method(SendError(6))));
    assert_eq!(sender.try_send(6), Err(Error::Method(TrySendError::Closed(6))));
    assert_eq!(sender.send_all([6, 7]), Err(Error::Method(SendError(vec![6, 7]))));
    assert_eq!(receiver.recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Ok(3));
    assert_eq!(receiver.recv(), Err(Error::Method(RecvError)));
    assert_eq!(receiver.recv_many(2), Err(Error::Method(RecvError)));
    assert_eq!(receiver.try_recv(), Err(Error::Method(TryRecvError::Disconnected)));
    assert_eq!(receiver.iter().next(), None);
    let late = channel.through(stage.session().caller()).sender();
    assert_eq!(late.map(drop), Err(Error::Method(ChannelClosed)));

    let (_sessions, sender, receiver) = ends(stage, &Channel::<u64>::bounded("empty", 2));
    let waiting = start_recv(stage, &receiver);
    stage.until_parked(receiver.object(), 1);
    assert_eq!(sender.close(), Ok(true));
    assert_eq!(waiting.finish(), Err(Error::Method(RecvError)));
    let text = sender.send(1).expect_err("is closed").to_string();
    assert_eq!(text, "the channel is closed, and the value was not sent");
}

fn the_last_sender_closes_the_channel_and_ends_the_iterators(stage: &Stage) {
    let channel = Channel::unbounded("c");
    let (sessions, first, receiver) = ends(stage, &channel);
    let second = sender(&sessions[1], &channel);
    let clone = first.clone();
    assert_eq!(receiver.sender_count(), Ok(2), "a clone is the same sender");
    drop(first);
    clone.send(1_u64).expect("its clone is there");
    drop(clone);
    until("one has left", || receiver.sender_count() == Ok(1));
    second.send(2).expect("the channel is open");
    let own = receiver.clone();
    let values = stage.start(async move {
        let mut values = Vec::new();
        while let Ok(value) = own.recv_async().await {
            values.push(value);
        }
        values
    });
    stage.until_parked(receiver.object(), 1);
    drop(second);
    assert_eq!(values.finish(), [1, 2]);
    assert_eq!(receiver.iter().count(), 0);

    let (_sessions, sender, receiver) = ends(stage, &Channel::unbounded("iterated"));
    sender.send_all(0..5_u64).expect("sends");
    drop(sender);
    assert_eq!((&receiver).into_iter().take(2).collect::<Result<Vec<_>, _>>(), Ok(vec![0, 1]));
    assert_eq!(receiver.into_iter().collect::<Result<Vec<_>, _>>(), Ok(vec![2, 3, 4]), "none is lost with an iterator");
}

fn a_channel_that_never_had_a_sender_is_open_and_one_without_receivers_keeps_its_values(stage: &Stage) {
    let channel = Channel::unbounded("c");
    let [early, sending, late] = stage.sessions();
    let waiting = start_recv(stage, &receiver(&early, &channel));
    stage.until_parked(channel.through(late.caller()).object(), 1);
    let sender = sender(&sending, &channel);
    sender.send_all([1, 2_u64]).expect("sends");
    assert_eq!(waiting.finish(), Ok(1));
    early.end();
    sender.send(3).expect("the channel needs no receiver");
    drop(sender);
    let receiver = receiver(&late, &channel);
    assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>(), Ok(vec![2, 3]));
}

fn the_end_of_a_session_takes_its_senders_and_its_waiting_calls(stage: &Stage) {
    let channel = Channel::bounded("c", 1);
    let [ending, staying, receiving] = stage.sessions();
    let (ghost, other) = (sender(&ending, &channel), sender(&staying, &channel));
    let receiver = receiver(&receiving, &channel);
    ghost.send(1_u64).expect("sends");
    let waiting = start_send(stage, &ghost, 2);
    stage.until_parked(receiver.object(), 1);
    let next = start_send(stage, &other, 3);
    stage.until_parked(receiver.object(), 2);
    ending.end();
    until("it has gone", || receiver.sender_count() == Ok(1));
    assert_eq!(receiver.recv(), Ok(1), "what is in stays in");
    assert_eq!(receiver.recv(), Ok(3), "what waited does not");
    assert_eq!(next.finish(), Ok(()));
    assert!(waiting.finish().is_err());
    assert!(matches!(ghost.send(4), Err(Error::Superseded { .. })));
    assert!(matches!(ghost.try_send(4), Err(Error::Superseded { .. })));
    let waiting = start_recv(stage, &receiver);
    stage.until_parked(receiver.object(), 1);
    staying.end();
    assert_eq!(waiting.finish(), Err(Error::Method(RecvError)), "no sender is left");
    assert_eq!(ghost.send(4), Err(Error::Method(SendError(4))));
}

fn a_send_that_timed_out_or_was_given_up_has_put_nothing_in(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage, &Channel::bounded("c", 1));
    sender.send(0_u64).expect("sends");
    let hasty = sender.clone();
    let hasty = stage.start(async move { hasty.send_timeout_async(1, TIMEOUT).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Channel/c".to_owned() }));
    let given_up = start_send(stage, &sender, 2);
    stage.until_parked(receiver.object(), 1);
    let behind = start_send(stage, &sender, 3);
    stage.until_parked(receiver.object(), 2);
    given_up.give_up();
    stage.until_parked(receiver.object(), 1);
    assert_eq!(receiver.recv(), Ok(0));
    assert_eq!(receiver.recv(), Ok(3));
    assert_eq!(behind.finish(), Ok(()));
    assert_eq!(receiver.len(), Ok(0));
}

fn a_receive_that_timed_out_or_was_given_up_leaves_the_queue(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage, &Channel::unbounded("c"));
    let hasty = receiver.clone();
    let hasty = stage.start(async move { hasty.recv_timeout_async(TIMEOUT).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Channel/c".to_owned() }));
    let given_up = start_recv(stage, &receiver);
    stage.until_parked(receiver.object(), 1);
    let behind = start_recv(stage, &receiver);
    stage.until_parked(receiver.object(), 2);
    given_up.give_up();
    stage.until_parked(receiver.object(), 1);
    sender.send(1_u64).expect("sends");
    assert_eq!(behind.finish(), Ok(1));
}

fn what_an_unseen_answer_brought_goes_back_to_its_place(stage: &Stage) {
    let channel = Channel::unbounded("c");
    let (sessions, sender, receiver) = ends(stage, &channel);
    let own = self::receiver(&sessions[0], &channel);
    // The connections are there: from here on a call is made when it is polled first.
    assert_eq!((own.len(), receiver.len()), (Ok(0), Ok(0)));
    let (mut first, mut second) = (Box::pin(receiver.recv_async()), Box::pin(receiver.recv_many_async(2)));
    stage.make(first.as_mut());
    stage.until_parked(receiver.object(), 1);
    stage.make(second.as_mut());
    stage.until_parked(receiver.object(), 2);
    sender.send(0_u64).expect("sends");
    sender.send_all([1, 2, 3]).expect("sends");
    let mut third = Box::pin(receiver.try_recv_async());
    stage.make(third.as_mut());
    until("all are taken", || own.len() == Ok(0));
    drop(first);
    until("it is given back", || own.len() == Ok(1));
    drop(third);
    until("it is given back", || own.len() == Ok(2));
    drop(second);
    until("they are given back", || own.len() == Ok(4));
    assert_eq!(own.recv_many(10), Ok(vec![0, 1, 2, 3]), "in the order in which they were sent");
}

fn what_an_unseen_answer_brought_goes_to_the_next_who_waits(stage: &Stage) {
    for key in ["bounded", "rendezvous"] {
        let channel = if key == "bounded" { Channel::bounded(key, 1) } else { Channel::rendezvous(key) };
        let (sessions, sender, receiver) = ends(stage, &channel);
        assert_eq!(receiver.len(), Ok(0));
        let mut unseen = pin!(Some(Box::pin(receiver.recv_async())));
        stage.make(unseen.as_mut().as_pin_mut().expect("is there"));
        stage.until_parked(receiver.object(), 1);
        let next = start_recv(stage, &self::receiver(&sessions[0], &channel));
        stage.until_parked(receiver.object(), 2);
        assert_eq!(sender.send(7_u64), Ok(()));
        stage.until_parked(receiver.object(), 1);
        assert!(!next.is_finished());
        unseen.set(None);
        assert_eq!(next.finish(), Ok(7));
    }
}

fn a_sender_whose_registration_nobody_saw_never_was_one(stage: &Stage) {
    let channel = Channel::<u64>::unbounded("c");
    let [session, watching] = stage.sessions();
    let (channel, receiver) = (channel.through(session.caller()), receiver(&watching, &channel));
    assert_eq!((channel.receiver().len(), receiver.len()), (Ok(0), Ok(0)));
    let mut unseen = Box::pin(channel.sender_async());
    stage.make(unseen.as_mut());
    until("it is registered", || receiver.sender_count() == Ok(1));
    drop(unseen);
    until("it is not", || receiver.sender_count() == Ok(0));
    assert_eq!(receiver.is_closed(), Ok(false), "the channel waits for its first");

    let first = channel.sender().expect("is open");
    let mut unseen = Box::pin(channel.sender_async());
    stage.make(unseen.as_mut());
    until("it is registered", || receiver.sender_count() == Ok(2));
    drop(first);
    until("one has left", || receiver.sender_count() == Ok(1));
    drop(unseen);
    until("the last has gone", || receiver.is_closed() == Ok(true));
}

fn a_receiver_in_a_select_loses_nothing(stage: &Stage) {
    const VALUES: u64 = 200;
    let (_sessions, sender, receiver) = ends(stage, &Channel::unbounded("c"));
    let (tick, mut ticks) = tokio::sync::mpsc::unbounded_channel();
    let received = stage.start(async move {
        let (mut values, mut given_up) = (Vec::new(), 0_u32);
        loop {
            tokio::select! {
                // An answer that has come meanwhile stays unseen.
                biased;
                Some(()) = ticks.recv() => given_up += 1,
                value = receiver.recv_async() => match value {
                    Ok(value) => values.push(value),
                    Err(error) => return (values, given_up, error),
                },
            }
        }
    });
    for value in 0..VALUES {
        sender.send(value).expect("sends");
        tick.send(()).expect("it listens");
    }
    drop((sender, tick));
    let (values, given_up, end) = received.finish();
    assert_eq!(end, Error::Method(RecvError));
    assert_eq!(values, (0..VALUES).collect::<Vec<_>>());
    assert!(given_up > 0, "it never gave up");
}

fn a_sender_that_travels_registers_at_its_first_use(stage: &Stage) {
    let (sessions, sender, receiver) = ends(stage, &Channel::unbounded("c"));
    let arrive = |sender: &Sender<u64>| -> Sender<u64> {
        let text = serde_json::to_string(sender).expect("encodes");
        serde_json::from_str::<Sender<u64>>(&text).expect("decodes").through(sessions[1].caller())
    };
    let (arrived, idle) = (arrive(&sender), arrive(&sender));
    assert_eq!(receiver.sender_count(), Ok(1));
    arrived.send(1).expect("sends");
    assert_eq!(receiver.sender_count(), Ok(2));
    idle.register().expect("registers");
    idle.register().expect("is registered");
    assert_eq!(receiver.sender_count(), Ok(3));
    drop((sender, idle));
    until("they have left", || receiver.sender_count() == Ok(1));
    let late = arrive(&arrived);
    drop(arrived);
    assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>(), Ok(vec![1]));
    assert_eq!(late.send(2), Err(Error::Method(SendError(2))), "it comes too late to keep the channel open");
    assert_eq!(late.register(), Err(Error::Method(ChannelClosed)));
}

fn a_channel_of_another_type_or_capacity_is_refused(stage: &Stage) {
    fn refused<T, E>(result: Result<T, Error<E>>) -> bool {
        matches!(result, Err(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. }))
    }
    let session = stage.session();
    let sender = sender(&session, &Channel::bounded("c", 2));
    sender.send(1_u64).expect("sends");
    assert!(refused(Channel::<i64>::bounded("c", 2).through(session.caller()).sender()));
    assert!(refused(receiver(&session, &Channel::<i64>::bounded("c", 2)).recv()));
    assert!(refused(receiver(&session, &Channel::<u64>::bounded("c", 3)).recv()));
    assert!(refused(receiver(&session, &Channel::<u64>::unbounded("c")).try_recv()));
    assert!(refused(receiver(&session, &Channel::<u64>::rendezvous("c")).len()));
    assert_eq!(receiver(&session, &Channel::<u64>::bounded("c", 2)).recv(), Ok(1));
}

fn who_waits_in_a_deleted_channel_is_told(stage: &Stage) {
    let channel = Channel::bounded("c", 1);
    let (_sessions, sender, receiver) = ends(stage, &channel);
    sender.send(1_u64).expect("sends");
    let waiting = start_send(stage, &sender, 2);
    stage.until_parked(receiver.object(), 1);
    assert_eq!(receiver.object().delete(), Ok(true));
    assert_eq!(waiting.finish(), Err(Error::ObjectLost { object: "Channel/c".to_owned() }));
    assert_eq!(receiver.len(), Ok(0), "it is a new one");
    assert!(matches!(sender.send(3), Err(Error::Superseded { .. })), "of the new one it is no sender");
}

fn a_channel_tells_people_who_sends_and_who_waits(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage, &Channel::bounded("c", 1));
    sender.send("one".to_owned()).expect("sends");
    let waiting = start_send(stage, &sender, "two".to_owned());
    stage.until_parked(receiver.object(), 1);
    let described = stage.describe(receiver.object());
    assert_eq!(described["type"], "Channel");
    assert_eq!(described["holders"][0]["what"], "sender");
    assert_eq!(described["parked"][0]["method"], "send");
    let state = &described["state"];
    assert_eq!((&state["kind"]["Bounded"], &state["values"]), (&1.into(), &1.into()));
    assert_eq!((&state["senders"], &state["sending"], &state["receiving"]), (&1.into(), &1.into(), &0.into()));
    waiting.give_up();
}

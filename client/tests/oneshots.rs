//! What oneshots promise, on the pure state machine and on a cluster of three nodes.

mod stage;

use std::time::Duration;

use greenroom::sync::channel::Channel;
use greenroom::sync::oneshot::{ChannelClosed, Oneshot, Receiver, RecvError, SendError, Sender, TryRecvError};
use greenroom::{Error, Refusal};
use stage::{Session, Stage, scenarios, until};

scenarios! {
    the_receiver_gets_the_value_once,
    a_receiver_that_waits_is_woken_and_can_be_awaited,
    a_sender_that_goes_without_sending_is_told_to_the_receiver,
    the_end_of_the_senders_session_is_told_to_the_receiver,
    a_receiver_that_closes_refuses_the_value,
    of_two_senders_the_first_is_heard,
    a_wait_that_times_out_or_is_given_up_takes_nothing,
    a_channel_of_the_same_key_is_another_thing,
    a_sender_that_goes_after_its_channel_was_deleted_does_not_make_it_anew,
}

const TIMEOUT: Duration = Duration::from_millis(100);

fn ends(stage: &Stage) -> ([Session; 2], Sender<u64>, Receiver<u64>) {
    let sessions = stage.sessions();
    let sender = Oneshot::named("o").through(sessions[0].caller()).sender().expect("is open");
    let receiver = Oneshot::named("o").receiver().through(sessions[1].caller());
    (sessions, sender, receiver)
}

fn the_receiver_gets_the_value_once(stage: &Stage) {
    let (sessions, sender, receiver) = ends(stage);
    assert_eq!(receiver.try_recv(), Err(Error::Method(TryRecvError::Empty)));
    assert_eq!(sender.is_closed(), Ok(false));
    assert_eq!(sender.send(42), Ok(()));
    assert_eq!(receiver.recv(), Ok(42));
    assert_eq!(receiver.recv(), Err(Error::Method(RecvError)));
    assert_eq!(receiver.try_recv(), Err(Error::Method(TryRecvError::Disconnected)));
    let again = Oneshot::<u64>::named("o").through(sessions[0].caller());
    assert_eq!(again.sender().map(drop), Err(Error::Method(ChannelClosed)), "it has one life");
    assert_eq!(receiver.object().delete(), Ok(true));
    assert_eq!(again.sender().expect("is a new one").send(43), Ok(()));
    assert_eq!(receiver.recv(), Ok(43));
}

fn a_receiver_that_waits_is_woken_and_can_be_awaited(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage);
    let (first, second) = (receiver.clone(), receiver.clone());
    let first = stage.start(async move { first.await });
    stage.until_parked(receiver.object(), 1);
    let second = stage.start(async move { second.await });
    stage.until_parked(receiver.object(), 2);
    assert_eq!(sender.send(1), Ok(()));
    assert_eq!(first.finish(), Ok(1));
    assert_eq!(second.finish(), Err(Error::Method(RecvError)), "the value is for one");
}

fn a_sender_that_goes_without_sending_is_told_to_the_receiver(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage);
    let own = receiver.clone();
    let waiting = stage.start(async move { own.recv_async().await });
    stage.until_parked(receiver.object(), 1);
    drop(sender);
    assert_eq!(waiting.finish(), Err(Error::Method(RecvError)));
    assert_eq!(receiver.try_recv(), Err(Error::Method(TryRecvError::Disconnected)));
}

fn the_end_of_the_senders_session_is_told_to_the_receiver(stage: &Stage) {
    let ([ending, _receiving], sender, receiver) = ends(stage);
    let own = receiver.clone();
    let waiting = stage.start(async move { own.recv_async().await });
    stage.until_parked(receiver.object(), 1);
    ending.end();
    assert_eq!(waiting.finish(), Err(Error::Method(RecvError)));
    assert_eq!(sender.send(1), Err(Error::Method(SendError(1))));
}

fn a_receiver_that_closes_refuses_the_value(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage);
    assert_eq!(receiver.close(), Ok(true));
    assert_eq!(receiver.close(), Ok(false), "it is closed");
    assert_eq!(sender.is_closed(), Ok(true));
    assert_eq!(sender.send(1), Err(Error::Method(SendError(1))));
    assert_eq!(receiver.recv(), Err(Error::Method(RecvError)));
}

fn of_two_senders_the_first_is_heard(stage: &Stage) {
    let (sessions, first, receiver) = ends(stage);
    let second = Oneshot::<u64>::named("o").through(sessions[1].caller()).sender().expect("is open");
    let third = Oneshot::<u64>::named("o").through(sessions[1].caller()).sender().expect("is open");
    drop(third);
    assert_eq!(second.send(2), Ok(()));
    assert_eq!(first.send(1), Err(Error::Method(SendError(1))));
    assert_eq!(receiver.recv(), Ok(2));
}

fn a_wait_that_times_out_or_is_given_up_takes_nothing(stage: &Stage) {
    let (_sessions, sender, receiver) = ends(stage);
    let hasty = receiver.clone();
    let hasty = stage.start(async move { hasty.recv_timeout_async(TIMEOUT).await });
    assert_eq!(hasty.finish_after(TIMEOUT), Err(Error::TimedOut { object: "Channel/o".to_owned() }));
    let given_up = receiver.clone();
    let given_up = stage.start(async move { given_up.recv_async().await });
    stage.until_parked(receiver.object(), 1);
    given_up.give_up();
    until("it waits no more", || stage.parked(receiver.object()) == 0);
    assert_eq!(sender.send(1), Ok(()));
    assert_eq!(receiver.recv_timeout(TIMEOUT), Ok(1));
}

fn a_channel_of_the_same_key_is_another_thing(stage: &Stage) {
    let (sessions, sender, receiver) = ends(stage);
    let channel = Channel::<u64>::bounded("o", 1).through(sessions[1].caller());
    let refused = channel.receiver().recv();
    assert!(matches!(refused, Err(Error::Refused { refusal: Refusal::DifferentArguments { .. }, .. })));
    assert_eq!(sender.send(1), Ok(()));
    assert_eq!(receiver.recv(), Ok(1));
}

fn a_sender_that_goes_after_its_channel_was_deleted_does_not_make_it_anew(stage: &Stage) {
    let ([session, _], sender, receiver) = ends(stage);
    assert_eq!(receiver.object().delete(), Ok(true));
    drop(sender);
    let other = Oneshot::<String>::named("o").through(session.caller());
    assert!(other.sender().is_ok(), "its key is free");
}

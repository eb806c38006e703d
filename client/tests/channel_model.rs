//! A channel against a model of it: several senders and receivers, in random order, on the pure state machine.
//!
//! Each call is made by one poll of its future and looked at later, or dropped with its answer unseen: so every race between
//! an answer and a caller that gives up is played.

mod stage;

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use greenroom::Error;
use greenroom::sync::channel::{Channel, Receiver, Sender, TryRecvError, TrySendError};
use proptest::prelude::*;
use stage::Stage;

const PARTIES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    SendAll(usize, u32),
    TrySend(usize),
    Recv(usize),
    RecvMany(usize, usize),
    TryRecv(usize),
    /// Looks at one of the calls that are out.
    Look(prop::sample::Index),
    /// Drops one of the calls that are out, whether it has been answered or not.
    GiveUp(prop::sample::Index),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let party = 0..PARTIES;
    prop_oneof![
        5 => party.clone().prop_map(Step::Send),
        3 => (party.clone(), 2..6_u32).prop_map(|(sender, count)| Step::SendAll(sender, count)),
        2 => party.clone().prop_map(Step::TrySend),
        6 => party.clone().prop_map(Step::Recv),
        3 => (party.clone(), 1..4_usize).prop_map(|(receiver, max)| Step::RecvMany(receiver, max)),
        2 => party.prop_map(Step::TryRecv),
        6 => any::<prop::sample::Index>().prop_map(Step::Look),
        6 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
        // Few, so that most runs are long.
        1 => Just(Step::Close),
    ]
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    /// Taken in.
    Sent,
    /// Not taken in: there is no room.
    Full,
    /// Closed; so many values came back.
    Refused(usize),
    Received(Vec<u32>),
    Empty,
    Ended,
}

/// The channel as one would describe it. A value's number is its place in the order of arrival.
struct Model {
    capacity: usize,
    closed: bool,
    store: BTreeMap<u32, u32>,
    arrived: u32,
    sending: VecDeque<(usize, VecDeque<u32>)>,
    receiving: VecDeque<(usize, usize)>,
    /// What calls came to, with the places of the values that they received.
    outcomes: BTreeMap<usize, (Outcome, Vec<u32>)>,
}

impl Model {
    fn arrive(&mut self, value: u32) {
        self.store.insert(self.arrived, value);
        self.arrived += 1;
    }

    fn has_something(&self) -> bool {
        !self.store.is_empty() || !self.sending.is_empty()
    }

    /// Lets the first who waits to send put one value in.
    fn let_one_in(&mut self) {
        let Some((call, values)) = self.sending.front_mut() else { return };
        let (call, value) = (*call, values.pop_front().expect("sends something"));
        if values.is_empty() {
            self.sending.pop_front();
            self.outcomes.insert(call, (Outcome::Sent, vec![]));
        }
        self.arrive(value);
    }

    fn fill(&mut self) {
        while self.store.len() < self.capacity && !self.sending.is_empty() {
            self.let_one_in();
        }
    }

    fn receive(&mut self, call: usize, max: usize) {
        if self.store.is_empty() {
            self.let_one_in();
        }
        let mut received = Vec::new();
        while received.len() < max
            && let Some(first) = self.store.pop_first()
        {
            received.push(first);
            self.fill();
        }
        let (places, values) = received.into_iter().unzip();
        self.outcomes.insert(call, (Outcome::Received(values), places));
    }

    fn settle(&mut self) {
        self.fill();
        while self.has_something()
            && let Some((call, max)) = self.receiving.pop_front()
        {
            self.receive(call, max);
        }
    }

    fn send(&mut self, call: usize, values: Vec<u32>) {
        if self.closed {
            self.outcomes.insert(call, (Outcome::Refused(values.len()), vec![]));
        } else {
            self.sending.push_back((call, values.into()));
            self.settle();
        }
    }

    fn try_send(&mut self, call: usize, value: u32) {
        let has_place = self.store.len() < self.capacity || !self.receiving.is_empty();
        let outcome = match (self.closed, has_place && self.sending.is_empty()) {
            (true, _) => Outcome::Refused(1),
            (false, false) => Outcome::Full,
            (false, true) => {
                self.arrive(value);
                self.settle();
                Outcome::Sent
            }
        };
        self.outcomes.insert(call, (outcome, vec![]));
    }

    fn recv(&mut self, call: usize, max: usize) {
        if self.closed && self.store.is_empty() {
            self.outcomes.insert(call, (Outcome::Ended, vec![]));
        } else {
            self.receiving.push_back((call, max));
            self.settle();
        }
    }

    fn try_recv(&mut self, call: usize) {
        if self.has_something() {
            return self.receive(call, 1);
        }
        let outcome = if self.closed { Outcome::Ended } else { Outcome::Empty };
        self.outcomes.insert(call, (outcome, vec![]));
    }

    fn close(&mut self) {
        self.closed = true;
        for (call, values) in std::mem::take(&mut self.sending) {
            self.outcomes.insert(call, (Outcome::Refused(values.len()), vec![]));
        }
        for (call, _) in std::mem::take(&mut self.receiving) {
            self.outcomes.insert(call, (Outcome::Ended, vec![]));
        }
    }

    fn give_up(&mut self, call: usize) {
        self.sending.retain(|(other, _)| *other != call);
        self.receiving.retain(|(other, _)| *other != call);
        if let Some((Outcome::Received(values), places)) = self.outcomes.remove(&call) {
            self.store.extend(places.into_iter().zip(values));
            self.settle();
        }
    }
}

type Out = Pin<Box<dyn Future<Output = Outcome>>>;

fn unexpected<T, E>(error: Error<E>) -> T
where
    Error<E>: std::fmt::Display,
{
    panic!("the call fails: {error}")
}

fn sending(sender: Sender<u32>, values: Vec<u32>) -> Out {
    Box::pin(async move {
        match sender.send_all_async(values).await {
            Ok(()) => Outcome::Sent,
            Err(Error::Method(refused)) => Outcome::Refused(refused.0.len()),
            Err(error) => unexpected(error),
        }
    })
}

fn trying_to_send(sender: Sender<u32>, value: u32) -> Out {
    Box::pin(async move {
        match sender.try_send_async(value).await {
            Ok(()) => Outcome::Sent,
            Err(Error::Method(TrySendError::Full(_))) => Outcome::Full,
            Err(Error::Method(TrySendError::Closed(_))) => Outcome::Refused(1),
            Err(error) => unexpected(error),
        }
    })
}

fn receiving(receiver: Receiver<u32>, max: usize) -> Out {
    Box::pin(async move {
        match receiver.recv_many_async(max).await {
            Ok(values) => Outcome::Received(values),
            Err(Error::Method(_)) => Outcome::Ended,
            Err(error) => unexpected(error),
        }
    })
}

fn trying_to_receive(receiver: Receiver<u32>) -> Out {
    Box::pin(async move {
        match receiver.try_recv_async().await {
            Ok(value) => Outcome::Received(vec![value]),
            Err(Error::Method(TryRecvError::Empty)) => Outcome::Empty,
            Err(Error::Method(TryRecvError::Disconnected)) => Outcome::Ended,
            Err(error) => unexpected(error),
        }
    })
}

/// The channel, the model, and the calls that are out.
struct Play {
    senders: Vec<Sender<u32>>,
    receivers: Vec<Receiver<u32>>,
    model: Model,
    out: Vec<(usize, Out)>,
    n_calls: usize,
    next_value: u32,
    seen: Vec<u32>,
}

impl Play {
    fn new(stage: &Stage, capacity: Option<usize>) -> Self {
        let channel = match capacity {
            Some(capacity) => Channel::bounded("c", capacity),
            None => Channel::unbounded("c"),
        };
        let of_sessions = |_| channel.through(stage.session().caller());
        Self {
            senders: (0..PARTIES).map(of_sessions).map(|channel| channel.sender().expect("is open")).collect(),
            receivers: (0..PARTIES).map(of_sessions).map(|channel| channel.receiver()).collect(),
            model: Model {
                capacity: capacity.unwrap_or(usize::MAX),
                closed: false,
                store: BTreeMap::new(),
                arrived: 0,
                sending: VecDeque::new(),
                receiving: VecDeque::new(),
                outcomes: BTreeMap::new(),
            },
            out: Vec::new(),
            n_calls: 0,
            next_value: 0,
            seen: Vec::new(),
        }
    }

    /// Makes a call; its answer is looked at later.
    fn make(&mut self, mut call: Out) -> usize {
        assert_eq!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        self.n_calls += 1;
        self.out.push((self.n_calls, call));
        self.n_calls
    }

    fn values(&mut self, count: u32) -> Vec<u32> {
        self.next_value += count;
        (self.next_value - count..self.next_value).collect()
    }

    fn play(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Send(sender) => self.send(*sender, 1),
            Step::SendAll(sender, count) => self.send(*sender, *count),
            Step::TrySend(sender) => {
                let value = self.values(1)[0];
                let call = self.make(trying_to_send(self.senders[*sender].clone(), value));
                self.model.try_send(call, value);
            }
            Step::Recv(receiver) => self.recv(*receiver, 1),
            Step::RecvMany(receiver, max) => self.recv(*receiver, *max),
            Step::TryRecv(receiver) => {
                let call = self.make(trying_to_receive(self.receivers[*receiver].clone()));
                self.model.try_recv(call);
            }
            Step::Look(_) | Step::GiveUp(_) if self.out.is_empty() => {}
            Step::Look(index) => self.look(index.index(self.out.len()))?,
            Step::GiveUp(index) => {
                let (call, future) = self.out.remove(index.index(self.out.len()));
                drop(future);
                self.model.give_up(call);
            }
            Step::Close => {
                prop_assert_eq!(self.receivers[0].close(), Ok(!self.model.closed));
                self.model.close();
            }
        }
        Ok(())
    }

    fn send(&mut self, sender: usize, count: u32) {
        let values = self.values(count);
        let call = self.make(sending(self.senders[sender].clone(), values.clone()));
        self.model.send(call, values);
    }

    fn recv(&mut self, receiver: usize, max: usize) {
        let call = self.make(receiving(self.receivers[receiver].clone(), max));
        self.model.recv(call, max);
    }

    /// Looks at a call that is out: it is answered if and as the model says.
    fn look(&mut self, place: usize) -> Result<(), TestCaseError> {
        // Its answer follows all calls before it, so theirs are there.
        prop_assert_eq!(self.receivers[0].len(), Ok(self.model.store.len() as u64));
        let (call, future) = &mut self.out[place];
        let expected = match self.model.outcomes.get(call) {
            Some((outcome, _)) => Poll::Ready(outcome.clone()),
            None => Poll::Pending,
        };
        let found = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        prop_assert_eq!(&found, &expected, "call {}", call);
        if let Poll::Ready(outcome) = found {
            self.model.outcomes.remove(call);
            drop(self.out.remove(place));
            if let Outcome::Received(values) = outcome {
                self.seen.extend(values);
            }
        }
        Ok(())
    }

    /// Gives up all that is out, and takes what is left.
    fn end(mut self) -> Result<(), TestCaseError> {
        for (call, future) in std::mem::take(&mut self.out) {
            drop(future);
            self.model.give_up(call);
        }
        let left: Vec<u32> = std::mem::take(&mut self.model.store).into_values().collect();
        let found = self.receivers[1].try_iter().collect::<Result<Vec<_>, _>>();
        prop_assert_eq!(found.as_ref(), Ok(&left));
        self.seen.extend(left);
        prop_assert_eq!(self.seen.len(), self.model.arrived as usize, "each value that came in is seen");
        self.seen.sort_unstable();
        self.seen.dedup();
        prop_assert_eq!(self.seen.len(), self.model.arrived as usize, "and seen once");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_channel_is_its_model(
        capacity in prop::option::weighted(0.8, 0..4_usize),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let stage = Stage::pure();
        let mut play = Play::new(&stage, capacity);
        for step in &steps {
            play.play(step)?;
        }
        play.end()?;
    }
}

//! `OnceCell` beside a model of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::task::Poll;

use greenroom::Error;
use greenroom::sync::{OnceCell, SetError};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use tokio::sync::oneshot;

use crate::calls::Calls;
use crate::stage::Stage;
use crate::{cases, index, session};

#[derive(Clone, Debug)]
enum Step {
    GetOrInit(usize),
    Wait(usize),
    Set(usize),
    /// Looks at one of the calls that are out: one whose turn it is goes into its closure.
    Look(Index),
    /// A closure comes to its end, with a value.
    Finish(Index),
    /// A closure fails.
    Fail(Index),
    GiveUp(Index),
    End(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => session().prop_map(Step::GetOrInit),
        2 => session().prop_map(Step::Wait),
        10 => index().prop_map(Step::Look),
        4 => index().prop_map(Step::Fail),
        4 => index().prop_map(Step::GiveUp),
        2 => session().prop_map(Step::End),
        // Few, so that most runs are long.
        1 => index().prop_map(Step::Finish),
        1 => session().prop_map(Step::Set),
    ]
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Value(u64),
    Failed,
    Set(Result<(), SetError>),
}

/// The cell as one would describe it; calls with their sessions.
#[derive(Default)]
struct Model {
    value: Option<u64>,
    initializer: Option<(usize, usize)>,
    candidates: VecDeque<(usize, usize)>,
    waiting: Vec<(usize, usize)>,
    outcomes: BTreeMap<usize, Outcome>,
    /// Who has been told that it is its turn, and has seen it.
    in_closure: BTreeSet<usize>,
}

impl Model {
    fn hand_over(&mut self) {
        if self.initializer.is_none() {
            self.initializer = self.candidates.pop_front();
        }
    }

    fn get_or_init(&mut self, call: usize, session: usize) {
        match self.value {
            Some(value) => drop(self.outcomes.insert(call, Outcome::Value(value))),
            None => {
                self.candidates.push_back((call, session));
                self.hand_over();
            }
        }
    }

    fn wait(&mut self, call: usize, session: usize) {
        match self.value {
            Some(value) => drop(self.outcomes.insert(call, Outcome::Value(value))),
            None => self.waiting.push((call, session)),
        }
    }

    fn set(&mut self, call: usize, value: u64) {
        let set = match (self.value, self.initializer) {
            (Some(_), _) => Err(SetError::AlreadySet),
            (None, Some(_)) => Err(SetError::Initializing),
            (None, None) => Ok(()),
        };
        if set.is_ok() {
            self.install(value);
        }
        self.outcomes.insert(call, Outcome::Set(set));
    }

    fn install(&mut self, value: u64) {
        self.value = Some(value);
        let waiting = self.candidates.drain(..).chain(self.waiting.drain(..));
        self.outcomes.extend(waiting.map(|(call, _)| (call, Outcome::Value(value))));
    }

    fn finish(&mut self, call: usize, value: u64) {
        self.leave(call);
        self.install(value);
        self.outcomes.insert(call, Outcome::Value(value));
    }

    /// The turn of a call is over, if it is its turn.
    fn leave(&mut self, call: usize) {
        self.in_closure.remove(&call);
        self.initializer.take_if(|(initializer, _)| *initializer == call);
    }

    fn give_up(&mut self, call: usize) {
        self.candidates.retain(|(other, _)| *other != call);
        self.waiting.retain(|(other, _)| *other != call);
        self.outcomes.remove(&call);
        self.leave(call);
        self.hand_over();
    }

    fn end(&mut self, session: usize) {
        self.candidates.retain(|(_, of)| *of != session);
        self.waiting.retain(|(_, of)| *of != session);
        if let Some((call, _)) = self.initializer.filter(|(_, of)| *of == session) {
            self.leave(call);
            self.hand_over();
        }
    }

    fn look(&mut self, call: usize) -> Poll<Outcome> {
        if self.initializer.is_some_and(|(initializer, _)| initializer == call) {
            self.in_closure.insert(call);
        }
        self.outcomes.remove(&call).map_or(Poll::Pending, Poll::Ready)
    }

    fn summary(&self) -> serde_json::Value {
        json!({
            // Values are small, and take one byte each.
            "value_bytes": self.value.map(|_| 1),
            "initializing": self.initializer.is_some(),
            "waiting": self.candidates.len() + self.waiting.len(),
        })
    }
}

/// The cell, the model, and what tells closures how to end.
struct Play<'s> {
    stage: &'s Stage,
    observer: OnceCell<u64>,
    calls: Calls<'s, Outcome>,
    model: Model,
    tells: BTreeMap<usize, oneshot::Sender<Result<u64, ()>>>,
    next_value: u64,
}

fn outcome<E: std::fmt::Debug>(answer: Result<u64, Error<E>>) -> Outcome {
    match answer {
        Ok(value) => Outcome::Value(value),
        Err(Error::Method(_)) => Outcome::Failed,
        Err(error) => panic!("the call fails: {error:?}"),
    }
}

impl<'s> Play<'s> {
    fn new(stage: &'s Stage) -> Self {
        let observer = OnceCell::named("o").through(stage.session().caller());
        let (model, tells) = (Model::default(), BTreeMap::new());
        Self { stage, observer, calls: Calls::new(stage), model, tells, next_value: 0 }
    }

    fn cell(&self, session: usize) -> OnceCell<u64> {
        self.observer.through(self.calls.caller(session))
    }

    fn value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value
    }

    fn play(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::GetOrInit(session) => {
                let (cell, (tell, told)) = (self.cell(*session), oneshot::channel());
                let makes = async move {
                    let closure = async || told.await.expect("its sender is kept");
                    outcome(cell.get_or_try_init_async(closure).await)
                };
                let call = self.calls.make(*session, Box::pin(makes));
                self.tells.insert(call, tell);
                self.model.get_or_init(call, *session);
            }
            Step::Wait(session) => {
                let cell = self.cell(*session);
                let call = self.calls.make(*session, Box::pin(async move { outcome(cell.wait_async().await) }));
                self.model.wait(call, *session);
            }
            Step::Set(session) => {
                let (cell, value) = (self.cell(*session), self.value());
                let sets = async move {
                    match cell.set_async(value).await {
                        Ok(()) => Outcome::Set(Ok(())),
                        Err(Error::Method(refused)) => Outcome::Set(Err(refused)),
                        Err(error) => panic!("the call fails: {error}"),
                    }
                };
                let call = self.calls.make(*session, Box::pin(sets));
                self.model.set(call, value);
            }
            Step::Look(index) => self.look(index)?,
            Step::Finish(index) => {
                let Some(call) = self.in_closure(index) else { return Ok(()) };
                let value = self.value();
                self.tell(call, Ok(value));
                prop_assert_eq!(self.calls.look(call), Poll::Pending, "its value is on the way");
                self.model.finish(call, value);
            }
            Step::Fail(index) => {
                let Some(call) = self.in_closure(index) else { return Ok(()) };
                self.tell(call, Err(()));
                prop_assert_eq!(self.calls.look(call), Poll::Ready(Outcome::Failed));
                self.model.give_up(call);
            }
            Step::GiveUp(index) => {
                let Some(call) = self.calls.pick(index) else { return Ok(()) };
                self.calls.give_up(call);
                self.model.give_up(call);
            }
            Step::End(session) => {
                self.calls.end(*session);
                self.model.end(*session);
            }
        }
        Ok(())
    }

    /// One of the calls that are in their closures; there may be several, whose sessions have not ended.
    fn in_closure(&self, index: &Index) -> Option<usize> {
        let out: Vec<usize> = self.model.in_closure.iter().copied().collect();
        (!out.is_empty()).then(|| out[index.index(out.len())])
    }

    fn tell(&mut self, call: usize, end: Result<u64, ()>) {
        let tell = self.tells.remove(&call).expect("is in its closure");
        tell.send(end).expect("its closure listens");
    }

    /// Looks at a call that is out: it is answered if and as the model says.
    fn look(&mut self, index: &Index) -> Result<(), TestCaseError> {
        // Also one that follows a cell that is not there yet.
        prop_assert_eq!(self.observer.get(), Ok(self.model.value));
        prop_assert_eq!(&self.stage.describe(self.observer.object())["state"], &self.model.summary());
        let Some(call) = self.calls.pick(index) else { return Ok(()) };
        prop_assert_eq!(self.calls.look(call), self.model.look(call), "call {}", call);
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_once_cell_is_its_model(steps in prop::collection::vec(step(), 0..60)) {
        let stage = Stage::pure();
        let mut play = Play::new(&stage);
        for step in &steps {
            play.play(step)?;
        }
    }
}

//! `Notify` beside a model of it.

use std::collections::{BTreeMap, VecDeque};
use std::task::Poll;

use greenroom::sync::Notify;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use crate::calls::Calls;
use crate::stage::Stage;
use crate::{cases, index, session};

#[derive(Clone, Debug)]
enum Step {
    NotifyOne(usize),
    NotifyWaiters(usize),
    Notified(usize),
    TryNotified(usize),
    Look(Index),
    GiveUp(Index),
    End(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => session().prop_map(Step::NotifyOne),
        1 => session().prop_map(Step::NotifyWaiters),
        6 => session().prop_map(Step::Notified),
        2 => session().prop_map(Step::TryNotified),
        5 => index().prop_map(Step::Look),
        5 => index().prop_map(Step::GiveUp),
        1 => session().prop_map(Step::End),
    ]
}

/// What a call came to.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// It has notified.
    Done,
    /// It was notified, and nobody else.
    One,
    /// It was notified, as all who waited.
    All,
    /// It did not wait: whether there was a permit.
    Tried(bool),
}

/// The `Notify` as one would describe it.
#[derive(Default)]
struct Model {
    permit: bool,
    /// Calls with their sessions.
    waiting: VecDeque<(usize, usize)>,
    told: BTreeMap<usize, Told>,
}

impl Model {
    fn notify_one(&mut self) {
        match self.waiting.pop_front() {
            Some((call, _)) => drop(self.told.insert(call, Told::One)),
            None => self.permit = true,
        }
    }

    fn notified(&mut self, call: usize, session: usize) {
        if std::mem::take(&mut self.permit) {
            self.told.insert(call, Told::One);
        } else {
            self.waiting.push_back((call, session));
        }
    }

    fn give_up(&mut self, call: usize) {
        self.waiting.retain(|(other, _)| *other != call);
        if let Some(Told::One | Told::Tried(true)) = self.told.remove(&call) {
            self.notify_one();
        }
    }

    fn look(&mut self, call: usize) -> Poll<bool> {
        match self.told.remove(&call) {
            Some(Told::Done | Told::One | Told::All) => Poll::Ready(true),
            Some(Told::Tried(taken)) => Poll::Ready(taken),
            None => Poll::Pending,
        }
    }
}

fn play(stage: &Stage, steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut calls, mut model) = (Calls::<bool>::new(stage), Model::default());
    let observer = Notify::named("n").through(stage.session().caller());
    for step in steps {
        let of = |session: usize| Notify::named("n").through(calls.caller(session));
        match *step {
            Step::NotifyOne(session) => {
                let notify = of(session);
                let call = calls.make(session, Box::pin(async move { notify.notify_one_async().await.is_ok() }));
                model.notify_one();
                model.told.insert(call, Told::Done);
            }
            Step::NotifyWaiters(session) => {
                let notify = of(session);
                let call = calls.make(session, Box::pin(async move { notify.notify_waiters_async().await.is_ok() }));
                for (waiting, _) in std::mem::take(&mut model.waiting) {
                    model.told.insert(waiting, Told::All);
                }
                model.told.insert(call, Told::Done);
            }
            Step::Notified(session) => {
                let notify = of(session);
                let call = calls.make(session, Box::pin(async move { notify.notified_async().await.is_ok() }));
                model.notified(call, session);
            }
            Step::TryNotified(session) => {
                let notify = of(session);
                let tries = async move { notify.try_notified_async().await.expect("is answered") };
                let call = calls.make(session, Box::pin(tries));
                let permit = std::mem::take(&mut model.permit);
                model.told.insert(call, Told::Tried(permit));
            }
            Step::Look(ref index) => {
                let state = &stage.describe(observer.object())["state"];
                if let Some(call) = calls.pick(index) {
                    prop_assert_eq!(state, &json!({ "permit": model.permit, "waiting": model.waiting.len() }));
                    prop_assert_eq!(calls.look(call), model.look(call), "call {}", call);
                }
            }
            Step::GiveUp(ref index) => {
                if let Some(call) = calls.pick(index) {
                    calls.give_up(call);
                    model.give_up(call);
                }
            }
            Step::End(session) => {
                calls.end(session);
                model.waiting.retain(|(_, of)| *of != session);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_notify_is_its_model(steps in prop::collection::vec(step(), 0..60)) {
        play(&Stage::pure(), &steps)?;
    }
}

//! `Phaser` beside a model of it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Poll;

use greenroom::Error;
use greenroom::sync::{Party, Phaser, PhaserError};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use crate::calls::{Calls, Out};
use crate::stage::Stage;
use crate::{cases, index, session};

#[derive(Clone, Debug)]
enum Step {
    Register(usize),
    Arrive(Index),
    ArriveAndWait(Index),
    ArriveAndDeregister(Index),
    Deregister(Index),
    DropParty(Index),
    /// Waits for a phase: 0 is the one before that which goes on.
    Wait(usize, u64),
    Look(Index),
    GiveUp(Index),
    End(usize),
    Terminate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => session().prop_map(Step::Register),
        40 => index().prop_map(Step::Arrive),
        60 => index().prop_map(Step::ArriveAndWait),
        10 => index().prop_map(Step::ArriveAndDeregister),
        10 => index().prop_map(Step::Deregister),
        10 => index().prop_map(Step::DropParty),
        30 => (session(), 0..4_u64).prop_map(|(session, phase)| Step::Wait(session, phase)),
        100 => index().prop_map(Step::Look),
        40 => index().prop_map(Step::GiveUp),
        10 => session().prop_map(Step::End),
        // Few, so that most runs are long.
        1 => Just(Step::Terminate),
    ]
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Registered,
    Phase(u64),
    Left,
    Refused(PhaserError),
}

/// The phaser as one would describe it. A party is named by the call that registered it.
#[derive(Default)]
struct Model {
    phase: u64,
    /// With their sessions.
    parties: BTreeMap<usize, usize>,
    /// With the calls that wait, for those that do.
    arrived: BTreeMap<usize, Option<usize>>,
    /// Calls with their sessions and phases.
    waiting: Vec<(usize, usize, u64)>,
    terminated: bool,
    outcomes: BTreeMap<usize, Outcome>,
    /// The parties of calls with which they leave: to drop one of those is to leave.
    leaving: BTreeMap<usize, usize>,
}

impl Model {
    fn register(&mut self, call: usize, session: usize) {
        let outcome = if self.terminated {
            Outcome::Refused(PhaserError::Terminated)
        } else {
            self.parties.insert(call, session);
            Outcome::Registered
        };
        self.outcomes.insert(call, outcome);
    }

    fn check(&self, party: usize) -> Result<(), PhaserError> {
        match () {
            () if self.terminated => Err(PhaserError::Terminated),
            () if !self.parties.contains_key(&party) => Err(PhaserError::NotRegistered),
            () if self.arrived.contains_key(&party) => Err(PhaserError::AlreadyArrived { phase: self.phase }),
            () => Ok(()),
        }
    }

    fn arrive(&mut self, call: usize, party: usize) {
        let outcome = match self.check(party) {
            Ok(()) => Outcome::Phase(self.phase),
            Err(error) => Outcome::Refused(error),
        };
        if let Outcome::Phase(_) = outcome {
            self.arrived.insert(party, None);
            self.advance_if_complete();
        }
        self.outcomes.insert(call, outcome);
    }

    fn arrive_and_wait(&mut self, call: usize, party: usize) {
        match self.check(party) {
            Ok(()) => {
                self.arrived.insert(party, Some(call));
                self.advance_if_complete();
            }
            Err(error) => drop(self.outcomes.insert(call, Outcome::Refused(error))),
        }
    }

    fn arrive_and_deregister(&mut self, call: usize, party: usize) {
        let outcome = match self.check(party) {
            Ok(()) => Outcome::Phase(self.phase),
            Err(error) => Outcome::Refused(error),
        };
        if let Outcome::Phase(_) = outcome {
            self.remove(party);
        }
        self.outcomes.insert(call, outcome);
        self.leaving.insert(call, party);
    }

    fn deregister(&mut self, call: usize, party: usize) {
        let left = if self.remove(party) { Outcome::Left } else { Outcome::Refused(PhaserError::NotRegistered) };
        self.outcomes.insert(call, left);
    }

    fn remove(&mut self, party: usize) -> bool {
        let removed = self.parties.remove(&party).is_some();
        if removed {
            if let Some(Some(call)) = self.arrived.remove(&party) {
                self.outcomes.insert(call, Outcome::Refused(PhaserError::NotRegistered));
            }
            self.advance_if_complete();
        }
        removed
    }

    fn advance_if_complete(&mut self) {
        if self.terminated || self.arrived.len() < self.parties.len() {
            return;
        }
        self.phase += 1;
        let over = self.waiting.extract_if(.., |(_, _, phase)| *phase < self.phase).map(|(call, ..)| call);
        let arrived = std::mem::take(&mut self.arrived).into_values().flatten();
        self.outcomes.extend(over.chain(arrived).map(|call| (call, Outcome::Phase(self.phase))));
    }

    fn wait(&mut self, call: usize, session: usize, phase: u64) {
        let outcome = match () {
            () if self.terminated => Outcome::Refused(PhaserError::Terminated),
            () if phase < self.phase => Outcome::Phase(self.phase),
            () => return self.waiting.push((call, session, phase)),
        };
        self.outcomes.insert(call, outcome);
    }

    fn terminate(&mut self) {
        self.terminated = true;
        let arrived = std::mem::take(&mut self.arrived).into_values().flatten();
        let told = arrived.chain(self.waiting.drain(..).map(|(call, ..)| call));
        self.outcomes.extend(told.map(|call| (call, Outcome::Refused(PhaserError::Terminated))));
    }

    fn give_up(&mut self, call: usize) {
        self.waiting.retain(|(other, ..)| *other != call);
        self.arrived.retain(|_, waits| *waits != Some(call));
        if let Some(Outcome::Registered) = self.outcomes.remove(&call) {
            self.remove(call);
        }
        if let Some(party) = self.leaving.remove(&call) {
            self.remove(party);
        }
    }

    fn end(&mut self, session: usize) {
        self.waiting.retain(|(_, of, _)| *of != session);
        let before = self.parties.len();
        self.parties.retain(|_, of| *of != session);
        self.arrived.retain(|party, _| self.parties.contains_key(party));
        if self.parties.len() < before {
            self.advance_if_complete();
        }
    }

    fn look(&mut self, call: usize) -> Poll<Outcome> {
        let Some(outcome) = self.outcomes.remove(&call) else { return Poll::Pending };
        if let Some(party) = self.leaving.remove(&call)
            && let Outcome::Refused(_) = outcome
        {
            self.remove(party);
        }
        Poll::Ready(outcome)
    }

    fn summary(&self) -> serde_json::Value {
        json!({
            "phase": self.phase,
            "registered": self.parties.len(),
            "arrived": self.arrived.len(),
            "waiting": self.waiting.len(),
            "terminated": self.terminated,
        })
    }
}

/// What a call brings: an outcome, and the party that it registered.
type Brought = (Outcome, Option<Party>);

fn phase(answer: Result<u64, Error<PhaserError>>) -> Brought {
    match answer {
        Ok(phase) => (Outcome::Phase(phase), None),
        Err(error) => refused(error),
    }
}

fn refused(error: Error<PhaserError>) -> Brought {
    match error {
        Error::Method(refused) => (Outcome::Refused(refused), None),
        error => panic!("the call fails: {error}"),
    }
}

/// A party that somebody has, with the session that it is of.
struct Kept {
    number: usize,
    session: usize,
    party: Rc<Party>,
}

/// The phaser, the model, and the parties that are kept.
struct Play<'s> {
    stage: &'s Stage,
    observer: Phaser,
    calls: Calls<'s, Brought>,
    parties: Vec<Kept>,
    model: Model,
}

impl<'s> Play<'s> {
    fn new(stage: &'s Stage) -> Self {
        let observer = Phaser::named("ph").through(stage.session().caller());
        observer.phase().expect("makes it");
        Self { stage, observer, calls: Calls::new(stage), parties: Vec::new(), model: Model::default() }
    }

    fn phaser(&self, session: usize) -> Phaser {
        self.observer.through(self.calls.caller(session))
    }

    /// A call of one of the parties, if there are any; with the party's number.
    fn of_party(&mut self, index: &Index, call: impl FnOnce(Rc<Party>) -> Out<Brought>) -> Option<(usize, usize)> {
        let kept = (!self.parties.is_empty()).then(|| &self.parties[index.index(self.parties.len())])?;
        let call = self.calls.make(kept.session, call(Rc::clone(&kept.party)));
        Some((call, kept.number))
    }

    /// A party of which no call is out, taken from those that are kept.
    fn take_idle(&mut self, index: &Index) -> Option<(usize, usize, Party)> {
        let place = (!self.parties.is_empty()).then(|| index.index(self.parties.len()))?;
        (Rc::strong_count(&self.parties[place].party) == 1).then_some(())?;
        let Kept { number, session, party } = self.parties.swap_remove(place);
        Some((number, session, Rc::into_inner(party)?))
    }

    fn play(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Register(session) => {
                let phaser = self.phaser(*session);
                let registers = async move {
                    match phaser.register_async().await {
                        Ok(party) => (Outcome::Registered, Some(party)),
                        Err(error) => refused(error),
                    }
                };
                let call = self.calls.make(*session, Box::pin(registers));
                self.model.register(call, *session);
            }
            Step::Wait(session, ahead) => {
                let (phaser, waits_for) = (self.phaser(*session), (self.model.phase + ahead).saturating_sub(1));
                let waits = Box::pin(async move { phase(phaser.wait_async(waits_for).await) });
                let call = self.calls.make(*session, waits);
                self.model.wait(call, *session, waits_for);
            }
            Step::Look(index) => self.look(index)?,
            Step::GiveUp(index) => {
                let Some(call) = self.calls.pick(index) else { return Ok(()) };
                self.calls.give_up(call);
                self.model.give_up(call);
            }
            Step::End(session) => {
                self.calls.end(*session);
                let of_session = self.parties.extract_if(.., |kept| kept.session == *session);
                of_session.for_each(std::mem::forget);
                self.model.end(*session);
            }
            Step::Terminate => {
                prop_assert_eq!(self.observer.terminate(), Ok(()));
                self.model.terminate();
            }
            of_a_party => self.play_party(of_a_party),
        }
        Ok(())
    }

    fn play_party(&mut self, step: &Step) {
        match step {
            Step::Arrive(index) => {
                let arrive =
                    |party: Rc<Party>| -> Out<Brought> { Box::pin(async move { phase(party.arrive_async().await) }) };
                if let Some((call, party)) = self.of_party(index, arrive) {
                    self.model.arrive(call, party);
                }
            }
            Step::ArriveAndWait(index) => {
                let wait = |party: Rc<Party>| -> Out<Brought> {
                    Box::pin(async move { phase(party.arrive_and_wait_async().await) })
                };
                if let Some((call, party)) = self.of_party(index, wait) {
                    self.model.arrive_and_wait(call, party);
                }
            }
            Step::ArriveAndDeregister(index) => {
                let Some((number, session, party)) = self.take_idle(index) else { return };
                let leaves = Box::pin(async move { phase(party.arrive_and_deregister_async().await) });
                let call = self.calls.make(session, leaves);
                self.model.arrive_and_deregister(call, number);
            }
            Step::Deregister(index) => {
                let Some((number, session, party)) = self.take_idle(index) else { return };
                let leaves = async move {
                    match party.deregister_async().await {
                        Ok(()) => (Outcome::Left, None),
                        Err(error) => refused(error),
                    }
                };
                let call = self.calls.make(session, Box::pin(leaves));
                self.model.deregister(call, number);
            }
            Step::DropParty(index) => {
                let Some((number, _, party)) = self.take_idle(index) else { return };
                drop(party);
                self.model.remove(number);
            }
            _ => {}
        }
    }

    /// Looks at a call that is out: it is answered if and as the model says.
    fn look(&mut self, index: &Index) -> Result<(), TestCaseError> {
        prop_assert_eq!(&self.stage.describe(self.observer.object())["state"], &self.model.summary());
        let Some(call) = self.calls.pick(index) else { return Ok(()) };
        let session = self.calls.session_of(call);
        let (found, party) = match self.calls.look(call) {
            Poll::Ready((outcome, party)) => (Poll::Ready(outcome), party),
            Poll::Pending => (Poll::Pending, None),
        };
        prop_assert_eq!(found, self.model.look(call), "call {}", call);
        self.parties.extend(party.map(|party| Kept { number: call, session, party: Rc::new(party) }));
        Ok(())
    }

    /// Gives up all that is out, and looks at what is left.
    fn end(mut self) -> Result<(), TestCaseError> {
        for call in self.calls.all() {
            self.calls.give_up(call);
            self.model.give_up(call);
        }
        for Kept { number, party, .. } in std::mem::take(&mut self.parties) {
            drop(party);
            self.model.remove(number);
        }
        prop_assert_eq!(&self.stage.describe(self.observer.object())["state"], &self.model.summary());
        prop_assert_eq!(self.observer.registered(), Ok(0));
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_phaser_is_its_model(steps in prop::collection::vec(step(), 0..80)) {
        let stage = Stage::pure();
        let mut play = Play::new(&stage);
        for step in &steps {
            play.play(step)?;
        }
        play.end()?;
    }
}

//! Carrying out what slots ask for, in order, and the objects' actors.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use greenroom_actors::{Effect, NodeId, ObjectNumber, Outcomes, SharedInstance, SlotId};

use super::World;
use super::actor::{Actor, Done, Task};
use super::events::Event;
use super::message::{Endpoint, Message};
use super::process::{Origin, ProcessId};

impl World {
    /// The process installs the view that it has applied.
    pub(crate) fn install(&mut self, id: ProcessId) {
        let (seed, now) = (self.draws.number(), self.now);
        let process = &mut self.processes[id.0];
        let time = process.now(now, seed);
        let mut effects = Vec::new();
        process.host.install(Arc::clone(&process.view), time, &mut effects);
        let version = process.view.version;
        self.say(|| format!("p{}        installs view {version}", id.0));
        self.perform(id, effects);
    }

    pub(crate) fn tick_host(&mut self, id: ProcessId) {
        let (seed, now) = (self.draws.number(), self.now);
        let process = &mut self.processes[id.0];
        let (time, steady_ms) = (process.now(now, seed), process.steady_ms(now));
        let (view, targets) = (Arc::clone(process.host.view()), &process.targets);
        let wanted = |slot: SlotId| -> Option<NodeId> { targets.wanted_primary(&view, slot) };
        let mut effects = Vec::new();
        process.host.tick(time, steady_ms, wanted, &mut effects);
        self.perform(id, effects);
    }

    /// What happened at one slot.
    pub(crate) fn perform_at(&mut self, id: ProcessId, slot: SlotId, effects: Vec<Effect>) {
        let effects: Vec<_> = effects.into_iter().map(|effect| (slot, effect)).collect();
        self.perform_all(id, effects, BTreeSet::from([slot]));
    }

    pub(crate) fn perform(&mut self, id: ProcessId, effects: Vec<(SlotId, Effect)>) {
        self.perform_all(id, effects, BTreeSet::new());
    }

    fn perform_all(&mut self, id: ProcessId, effects: Vec<(SlotId, Effect)>, mut touched: BTreeSet<SlotId>) {
        let mut queue: VecDeque<(SlotId, Effect)> = effects.into();
        let mut out = Vec::new();
        loop {
            while let Some((slot, effect)) = queue.pop_front() {
                touched.insert(slot);
                self.carry_out(id, slot, effect, &mut out);
                queue.extend(out.drain(..).map(|effect| (slot, effect)));
            }
            let Some(slot) = touched.pop_first() else { return };
            self.processes[id.0].host.ship(slot, &mut out);
            queue.extend(out.drain(..).map(|effect| (slot, effect)));
        }
    }

    fn carry_out(&mut self, id: ProcessId, slot: SlotId, effect: Effect, out: &mut Vec<Effect>) {
        match effect {
            Effect::Apply { object, entry } => {
                self.note_handed_out(id, slot, object, &entry);
                self.enqueue(id, slot, object, Task::Apply(entry), out);
            }
            Effect::Image { object } => self.enqueue(id, slot, object, Task::Image, out),
            Effect::Reply { call, answer } => {
                self.check_reply(id, slot, call, &answer);
                self.reply(id, call, answer);
            }
            Effect::Nested { object, call, .. } => {
                let origin = Origin { slot, object, call: call.clone(), send_at_ms: 0 };
                self.processes[id.0].nested.insert(call.call, origin);
            }
            Effect::Send { to, message } => {
                if let (Some(process), Some(me)) = (self.process_of(to), self.processes[id.0].node) {
                    self.send(Endpoint::Process(id), Endpoint::Process(process), Message::Peer(me, message));
                }
            }
            Effect::Serving { sessions } => {
                let now_ms = self.processes[id.0].steady_ms(self.now);
                self.say(|| format!("p{}        serves slot {slot}", id.0));
                self.processes[id.0].sessions.expect(sessions, now_ms);
            }
            Effect::Propose(command) => {
                let process = &self.processes[id.0];
                if let (Some(leader), Some(me)) = (process.raft.leader, process.node) {
                    self.say(|| format!("p{}        proposes {command:?}", id.0));
                    self.send(Endpoint::Process(id), Endpoint::Process(leader), Message::Propose(me, command));
                }
            }
            Effect::Dropped => {
                let process = &mut self.processes[id.0];
                process.actors.retain(|key, _| key.0 != slot);
                process.nested.retain(|_, origin| origin.slot != slot);
                self.ghost.forget_copy(id, slot);
                self.say(|| format!("p{}        drops slot {slot}", id.0));
            }
        }
    }

    /// Puts something into the mailbox of an object's actor.
    fn enqueue(&mut self, id: ProcessId, slot: SlotId, object: ObjectNumber, task: Task, out: &mut Vec<Effect>) {
        let process = &mut self.processes[id.0];
        let Some(copy) = process.host.slot_mut(slot) else { return };
        let Some(instance) = copy.objects().get(object).map(|entry| Rc::clone(entry.instance())) else {
            if let Task::Image = task {
                copy.handle_image(object, None, out);
            }
            return;
        };
        let actor = process.actors.entry((slot, object)).or_insert_with(|| Actor::new(Rc::clone(&instance)));
        if !Rc::ptr_eq(&actor.instance, &instance) {
            *actor = Actor::new(instance);
        }
        actor.tasks.push_back(task);
        if !std::mem::replace(&mut actor.is_scheduled, true) {
            let delay = if self.draws.one_in(20) { self.draws.below(30_000) } else { self.draws.below(400) };
            self.events.add(self.now + delay, Event::Act(id, slot, object));
        }
    }

    /// An actor does some of what it was asked.
    pub(crate) fn act(&mut self, id: ProcessId, slot: SlotId, object: ObjectNumber) {
        let Some(actor) = self.processes[id.0].actors.get_mut(&(slot, object)) else { return };
        if !actor.done.is_empty() {
            return;
        }
        if actor.tasks.is_empty() {
            actor.is_scheduled = false;
            return;
        }
        let instance = Rc::clone(&actor.instance);
        let mut done = VecDeque::new();
        if let Some(Task::Image) = actor.tasks.front() {
            actor.tasks.pop_front();
            done.push_back(Done::Imaged(instance.borrow().to_image()));
        } else {
            let count = 1 + usize::try_from(self.draws.below(actor.tasks.len() as u64 * 2)).unwrap_or(0);
            let n_entries = actor.tasks.iter().take(count).take_while(|task| matches!(task, Task::Apply(_))).count();
            let tasks: Vec<Task> = actor.tasks.drain(..n_entries).collect();
            done.push_back(Done::Applied(self.apply(id, (slot, object), &instance, tasks)));
        }
        if let Some(actor) = self.processes[id.0].actors.get_mut(&(slot, object)) {
            actor.done = done;
        }
        let delay = if self.draws.one_in(20) { self.draws.below(30_000) } else { self.draws.below(400) };
        self.events.add(self.now + delay, Event::Outcome(id, slot, object));
    }

    /// Applies a batch of entries. Whoever has given up is told apart within the batch, or before the next one.
    fn apply(
        &mut self,
        id: ProcessId,
        (slot, object): (SlotId, ObjectNumber),
        instance: &SharedInstance,
        tasks: Vec<Task>,
    ) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for task in tasks {
            let Task::Apply(entry) = task else { continue };
            instance.borrow_mut().apply(&entry, &mut self.scratch, &mut outcomes);
            self.note_applied(id, (slot, object), &instance.borrow(), &entry);
        }
        self.note_answers(id, slot, &outcomes);
        outcomes
    }

    /// What an actor did is told to its slot.
    pub(crate) fn tell_outcome(&mut self, id: ProcessId, slot: SlotId, object: ObjectNumber) {
        let leased = self.processes[id.0].has_lease(self.now);
        let Some(actor) = self.processes[id.0].actors.get_mut(&(slot, object)) else { return };
        let done = std::mem::take(&mut actor.done);
        if done.is_empty() {
            return;
        }
        let mut effects = Vec::new();
        for done in done {
            let Some(copy) = self.processes[id.0].host.slot_mut(slot) else { return };
            match done {
                Done::Applied(outcomes) => copy.handle_outcomes(object, outcomes, leased, &mut effects),
                Done::Imaged(image) => copy.handle_image(object, image, &mut effects),
            }
        }
        self.perform_at(id, slot, effects);
        if let Some(actor) = self.processes[id.0].actors.get_mut(&(slot, object)) {
            actor.is_scheduled = !actor.tasks.is_empty();
            if actor.is_scheduled {
                let delay = self.draws.below(400);
                self.events.add(self.now + delay, Event::Act(id, slot, object));
            }
        }
    }
}

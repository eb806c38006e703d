//! One slot and its objects, without threads or clocks: calls go in, answers come out.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use bytes::Bytes;
use greenroom_actors::{
    Answer, Arrival, CallId, Construction, Effect, Entry, Epoch, Fault, JobId, Lane, Limits, NestedCall, Now, Object,
    ObjectName, Outcomes, Owner, Refusal, Sequence, SessionId, Slot, SlotId, Wanted, hash_object,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One slot, whose objects' actors are played by `settle`.
pub struct Bench {
    pub slot: Slot,
    pub now_ms: u64,
    answers: Vec<(CallId, Answer)>,
    effects: Vec<Effect>,
    scratch: Vec<u8>,
    next_lane: u32,
    /// Nested calls to be answered by the test instead of this slot.
    pub held: Vec<NestedCall>,
    pub hold_nested: bool,
    /// Whether an actor applies all entries that it has before the slot hears of any.
    pub in_runs: bool,
    origins: Vec<(CallId, u32)>,
    /// Calls whose answers the slot need not keep for a cancel.
    pub taken_back: Vec<CallId>,
}

/// What a test calls.
pub struct Request<'a> {
    pub key: &'a str,
    pub construction: Wanted,
    pub deadline_ms: Option<u64>,
    pub session: u64,
    pub chain: Vec<u64>,
}

impl<'a> Request<'a> {
    pub fn of(key: &'a str) -> Self {
        Self { key, construction: Wanted::Anything, deadline_ms: None, session: 1, chain: Vec::new() }
    }

    pub fn made_with<A: Serialize>(key: &'a str, arguments: &A) -> Self {
        let arguments = postcard::to_allocvec(arguments).expect("encodes");
        Self { construction: Wanted::Arguments(Construction::new(arguments.into())), ..Self::of(key) }
    }

    pub fn by(mut self, session: u64) -> Self {
        self.session = session;
        self
    }

    pub fn until(mut self, deadline_ms: u64) -> Self {
        self.deadline_ms = Some(deadline_ms);
        self
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        Self {
            slot: Slot::new(SlotId(0), Epoch(1), limits, Now { ms: 0, seed: 7 }),
            now_ms: 1_000,
            answers: Vec::new(),
            effects: Vec::new(),
            scratch: Vec::new(),
            next_lane: 0,
            held: Vec::new(),
            hold_nested: false,
            in_runs: false,
            origins: Vec::new(),
            taken_back: Vec::new(),
        }
    }

    pub fn now(&self) -> Now {
        Now { ms: self.now_ms, seed: 7 }
    }

    /// Makes a call on a lane of its own; returns its id. The answer is in `answer`, once there is one.
    pub fn send<T: Object, A: Serialize>(&mut self, request: &Request<'_>, method: &str, arguments: &A) -> CallId {
        self.next_lane += 1;
        let call = CallId { session: SessionId(request.session), lane: Lane(self.next_lane), sequence: Sequence(1) };
        self.send_as::<T, A>(call, request, method, arguments);
        call
    }

    /// Makes a call with that id: a second time, it is a retry.
    pub fn send_as<T: Object, A: Serialize>(
        &mut self,
        call: CallId,
        request: &Request<'_>,
        method: &str,
        arguments: &A,
    ) {
        let number = T::TYPE.method_number(method).expect("there is such a method");
        self.send_number::<T>(call, request, number, postcard::to_allocvec(arguments).expect("encodes").into());
        self.settle();
    }

    /// Orders a call without having it applied: `settle` does that.
    pub fn send_number<T: Object>(&mut self, call: CallId, request: &Request<'_>, method: u16, arguments: Bytes) {
        let arrival = Arrival {
            call,
            owner: Owner::Session(call.session),
            object: name::<T>(request.key),
            method,
            arguments,
            construction: request.construction.clone(),
            durability: None,
            retry: false,
            deadline_ms: request.deadline_ms,
            chain: &request.chain,
        };
        let now = self.now();
        self.slot.handle_call(arrival, now, &mut self.effects);
    }

    /// A call arrives, and is applied.
    pub fn arrive(&mut self, arrival: &Arrival<'_>) {
        let now = self.now();
        self.slot.handle_call(arrival.clone(), now, &mut self.effects);
        self.settle();
    }

    /// Plays the objects' actors, and this slot as the only one, until nothing is under way.
    pub fn settle(&mut self) {
        while let Some(effect) = pop_front(&mut self.effects) {
            match effect {
                Effect::Apply { object, entry } => {
                    let mut outcomes = Outcomes::default();
                    let instance = self.slot.objects().get(object).expect("the object is there").instance().clone();
                    instance.borrow_mut().apply(&entry, &mut self.scratch, &mut outcomes);
                    while let Some(entry) = self.next_of_run(object) {
                        instance.borrow_mut().apply(&entry, &mut self.scratch, &mut outcomes);
                    }
                    self.taken_back.extend(&outcomes.taken_back);
                    self.slot.handle_outcomes(object, outcomes, true, &mut self.effects);
                }
                Effect::Reply { call, answer } => self.reply(call, answer),
                Effect::Nested { object, job, call } => self.nested(object, job, call),
                // A slot with one copy says nothing to others.
                Effect::Send { .. }
                | Effect::Image { .. }
                | Effect::Serving { .. }
                | Effect::Propose(_)
                | Effect::Dropped => {}
            }
        }
    }

    /// The entry that the object's actor applies in the same run, if there is one.
    fn next_of_run(&mut self, run_of: u32) -> Option<Entry> {
        match self.effects.first() {
            Some(Effect::Apply { object, .. }) if self.in_runs && *object == run_of => {}
            _ => return None,
        }
        match self.effects.remove(0) {
            Effect::Apply { entry, .. } => Some(entry),
            _ => None,
        }
    }

    fn reply(&mut self, call: CallId, answer: Answer) {
        if let Some(position) = self.origins.iter().position(|(origin, _)| *origin == call) {
            let (_, object) = self.origins.remove(position);
            let now = self.now();
            let id = (call.lane, call.sequence);
            self.slot.handle_nested_reply(object, id, answer.result, now, &mut self.effects);
        } else {
            self.answers.push((call, answer));
        }
    }

    fn nested(&mut self, object: u32, job: JobId, call: NestedCall) {
        self.origins.push((call.call, object));
        if self.hold_nested {
            return self.held.push(call);
        }
        let hash = hash_object(job, call.object_type.name, &call.key);
        let arrival = Arrival {
            call: call.call,
            owner: Owner::Session(call.call.session),
            object: ObjectName { hash, job, object_type: call.object_type, key: &call.key },
            method: call.method,
            arguments: call.arguments.clone(),
            construction: call.construction.as_deref().map_or(Wanted::Anything, |made| Wanted::Arguments(made.clone())),
            durability: call.durability,
            retry: call.again,
            deadline_ms: Some(call.deadline_ms),
            chain: &call.chain,
        };
        let now = self.now();
        self.slot.handle_call(arrival, now, &mut self.effects);
    }

    /// Lets time pass to that moment.
    pub fn advance(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        let now = self.now();
        self.slot.handle_tick(now, &mut self.effects);
        self.settle();
    }

    pub fn cancel<T: Object>(&mut self, call: CallId, key: &str) {
        self.give_up(call, name::<T>(key));
    }

    /// Orders that the caller of a call gives up, without having it applied.
    pub fn order_cancel<T: Object>(&mut self, call: CallId, key: &str) {
        let now = self.now();
        self.slot.handle_cancel(call, name::<T>(key), now, &mut self.effects);
    }

    /// The caller of a call gives up.
    pub fn give_up(&mut self, call: CallId, object: ObjectName<'_>) {
        let now = self.now();
        self.slot.handle_cancel(call, object, now, &mut self.effects);
        self.settle();
    }

    pub fn end_session(&mut self, session: u64) {
        let now = self.now();
        self.slot.handle_session_end(SessionId(session), None, now, &mut self.effects);
        self.settle();
    }

    pub fn query(&mut self, call: CallId) {
        let now = self.now();
        self.slot.handle_query(
            call,
            (name::<greenroom_actors::objects::CounterObject>("c"), None),
            now,
            &mut self.effects,
        );
        self.settle();
    }

    /// Forgets what has expired.
    pub fn trim(&mut self) {
        let now = self.now();
        self.slot.trim(now);
    }

    /// Asks what became of a call whose session has ended.
    pub fn query_late(&mut self, call: CallId) -> Result<(), Refusal> {
        let now = self.now();
        let asked = self.slot.handle_late_query(
            call,
            (name::<greenroom_actors::objects::CounterObject>("c"), None),
            now,
            &mut self.effects,
        );
        self.settle();
        asked
    }

    /// Takes the answer of a call, if it has one.
    pub fn answer(&mut self, call: CallId) -> Option<Answer> {
        let position = self.answers.iter().position(|(answered, _)| *answered == call)?;
        Some(self.answers.remove(position).1)
    }

    /// Takes the value that a call returned.
    pub fn value<R: DeserializeOwned>(&mut self, call: CallId) -> R {
        let answer = self.answer(call).expect("the call is answered");
        postcard::from_bytes(&answer.result.expect("the call has a value")).expect("decodes")
    }

    /// Takes the reason why a call has no value.
    pub fn fault(&mut self, call: CallId) -> Fault {
        self.answer(call).expect("the call is answered").result.expect_err("the call has no value")
    }

    /// Makes a call and takes its value.
    pub fn call<T: Object, A: Serialize, R: DeserializeOwned>(&mut self, key: &str, method: &str, arguments: &A) -> R {
        let call = self.send::<T, A>(&Request::of(key), method, arguments);
        self.value(call)
    }
}

/// The name of an object in the default job.
pub fn name<T: Object>(key: &str) -> ObjectName<'_> {
    let job = JobId::DEFAULT;
    ObjectName { hash: hash_object(job, T::NAME, key), job, object_type: T::TYPE, key }
}

fn pop_front(effects: &mut Vec<Effect>) -> Option<Effect> {
    (!effects.is_empty()).then(|| effects.remove(0))
}

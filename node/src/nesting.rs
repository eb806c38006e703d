//! Nested calls: how an object's call to another one is made, and how its reply comes back.

use bytes::Bytes;
use greenroom_actors::{
    Answer, Arrival, CallId, Effect, Fault, LogIndex, Now, ObjectName, Owner, SlotId, Wanted, check_key, hash_object,
};

use crate::core::Core;
use crate::peers::NestedOrigin;

impl Core {
    /// Makes a nested call: in this shard at once, elsewhere by a stream. Returns the slot that `effects` are about.
    pub(crate) fn start_nested(&mut self, origin: NestedOrigin, effects: &mut Vec<Effect>, now: Now) -> SlotId {
        let call = &origin.call;
        let job = origin.job;
        let hash = hash_object(job, call.object_type.name, &call.key);
        let target = self.installed.table.slot_of(hash);
        let object = ObjectName { hash, job, object_type: call.object_type, key: &call.key };
        if !self.host.slot(target).is_some_and(|slot| slot.is_primary()) {
            self.peers.send(origin, target);
            return target;
        }
        let arrival = Arrival {
            call: call.call,
            owner: Owner::Session(call.call.session),
            object,
            method: call.method,
            arguments: call.arguments.clone(),
            construction: call.construction.as_deref().map_or(Wanted::Anything, |made| Wanted::Arguments(made.clone())),
            durability: call.durability,
            retry: call.again,
            deadline_ms: Some(call.deadline_ms),
            chain: &call.chain,
        };
        self.peers.note_local(origin.clone());
        match check_key(arrival.object.key) {
            Ok(()) => {
                if let Some(slot) = self.host.slot_mut(target) {
                    slot.handle_call(arrival, now, effects);
                }
            }
            Err(error) => {
                let answer = Answer { applied: false, index: LogIndex(0), result: Err(Fault::Refused(error.into())) };
                effects.push(Effect::Reply { call: arrival.call, answer });
            }
        }
        target
    }

    /// The reply of a nested call is here: its object's next turn.
    pub(crate) fn finish_nested(
        &mut self,
        origin: &NestedOrigin,
        result: Result<Bytes, Fault>,
        effects: &mut Vec<Effect>,
        now: Now,
    ) -> SlotId {
        let id = (origin.call.call.lane, origin.call.call.sequence);
        if let Some(slot) = self.slot_mut(origin.slot) {
            slot.handle_nested_reply(origin.object, id, result, now, effects);
        }
        origin.slot
    }

    /// A reply to a nested call has come from another shard.
    pub(crate) fn handle_nested_reply(&mut self, call: CallId, result: Result<Bytes, Fault>) {
        let now = self.now();
        if self.peers.asks_again(&result) {
            self.peers.hold(call);
        } else if let Some(origin) = self.peers.take(call) {
            let mut effects = std::mem::take(&mut self.effects);
            let slot = self.finish_nested(&origin, result, &mut effects, now);
            self.perform(slot, &mut effects, now);
            self.effects = effects;
        }
        self.deliver(now.ms);
    }
}

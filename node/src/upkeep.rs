//! What a shard does by the clock: deadlines, sessions that stay away (and may come back too late), actors that idle.

use greenroom_actors::wire::Request;
use greenroom_actors::{CallId, JobId, Now, ObjectName, Refusal, hash_object};

use crate::core::Core;
use crate::sessions::{EndedSession, StreamId};

impl Core {
    /// Sessions have ended: what they hold is released, and their jobs' objects go.
    pub(crate) fn handle_ended(&mut self, ended: impl IntoIterator<Item = EndedSession>, now: Now) {
        let mut effects = std::mem::take(&mut self.effects);
        for EndedSession { session, job, ends_ms } in ended {
            // The job goes on with a later session of its owner; the default one never ends.
            let job = job.filter(|&job| job != JobId::DEFAULT && !self.sessions.owns(job));
            for number in 0..self.host.slots().len() {
                let Some(slot) = self.host.slots_mut()[number].as_mut() else { continue };
                let id = slot.id();
                slot.handle_session_end(session, ends_ms, now, &mut effects);
                if let Some(job) = job {
                    slot.handle_job_end(job, now, &mut effects);
                }
                self.perform(id, &mut effects, now);
            }
        }
        self.effects = effects;
    }

    /// A client whose session has ended here asks what became of a call of it. That begins no session.
    pub(crate) fn answer_late_query(&mut self, stream: StreamId, call: CallId, request: &Request<'_>, now: Now) {
        self.sessions.route(call.session, stream, request.attempt_ends_ms);
        let hash = hash_object(request.job, request.type_name, request.key);
        let mut effects = std::mem::take(&mut self.effects);
        let answered = self.check_place(stream, request, hash).and_then(|()| {
            let object_type = self.place.object_type(request.type_name)?;
            let object = ObjectName { hash, job: request.job, object_type, key: request.key };
            let slot = self.slot_mut(request.slot).ok_or(Refusal::WrongPlace)?;
            slot.handle_late_query(call, (object, request.durability), now, &mut effects)
        });
        self.perform(request.slot, &mut effects, now);
        self.effects = effects;
        if let Err(refusal) = answered {
            self.refuse(call, refusal);
        }
        self.sessions.unroute(call.session);
    }

    /// Deadlines of parked and nested calls.
    pub(crate) fn handle_tick(&mut self) {
        let now = self.now();
        let mut due = Vec::new();
        let steady_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let installed = std::sync::Arc::clone(&self.installed);
        self.host.tick(now, steady_ms, |slot| installed.targets.wanted_primary(&installed.view, slot), &mut due);
        self.perform_all(due, now);
        let mut effects = std::mem::take(&mut self.effects);
        self.peers.push_held();
        for (origin, fault) in self.peers.expired(now.ms) {
            let slot = self.finish_nested(&origin, Err(fault), &mut effects, now);
            self.perform(slot, &mut effects, now);
        }
        self.effects = effects;
        self.deliver(now.ms);
    }

    /// Once a second or so: sessions that stay away, actors that idle, replies that have expired.
    pub(crate) fn sweep(&mut self) {
        let now = self.now();
        let ended = self.sessions.expire(now.ms, self.place.options.session_grace_ms);
        self.handle_ended(ended, now);
        self.deliver(now.ms);
        self.retire_actors(now.ms);
        for slot in self.host.slots_mut().iter_mut().flatten() {
            slot.trim(now);
        }
        self.meter.publish(self.host.slots(), self.seats.len(), &self.sessions);
    }

    fn retire_actors(&mut self, now_ms: u64) {
        let idle_ms = self.place.options.actor_idle_ms;
        let mut keep_since = now_ms.saturating_sub(idle_ms);
        if self.seats.len() > self.place.options.actors_max {
            let mut used: Vec<u64> = self.seats.values().map(|seat| seat.used_ms).collect();
            used.sort_unstable();
            keep_since = keep_since.max(used[self.seats.len() - self.place.options.actors_max]);
        }
        let slots = self.host.slots_mut();
        self.seats.retain(|&(slot, object), seat| {
            let Some(slot) = slots[usize::from(slot.0)].as_mut() else { return false };
            // Dropping the last address stops the actor; nothing is in its mailbox.
            let quiet = slot.objects().get(object).is_none_or(|entry| entry.is_quiet());
            let keep = !quiet || seat.used_ms > keep_since;
            if !keep {
                if let Some(entry) = slot.objects().get(object) {
                    entry.instance().borrow_mut().rest();
                }
                slot.remove_vacant(object);
            }
            keep
        });
    }
}

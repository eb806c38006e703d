//! What a shard does by the clock: deadlines, sessions that stay away (and may come back too late), actors that idle.

use greenroom_actors::wire::Request;
use greenroom_actors::{CallId, JobId, Now, ObjectName, Refusal, hash_object};

use crate::core::Core;
use crate::sessions::{EndedSession, StreamId};

/// Actors that end, or are looked at, at a time.
const RETIRED_AT_ONCE: usize = 64;
/// What part of those that are too many end at a time, if that is more: one in so many.
const RETIRED_PART: usize = 32;

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

    /// Deadlines of parked and nested calls, and actors that idle.
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
        self.retire_actors(now.ms);
    }

    /// Once a second or so: sessions that stay away, replies that have expired.
    pub(crate) fn sweep(&mut self) {
        let now = self.now();
        let ended = self.sessions.expire(now.ms, self.place.options.session_grace_ms);
        self.handle_ended(ended, now);
        self.deliver(now.ms);
        for slot in self.host.slots_mut().iter_mut().flatten() {
            slot.trim(now);
        }
        self.meter.publish(self.host.slots(), self.seats.len(), &self.sessions);
    }

    /// Ends actors that idle, and those of slots that have gone: few at a time, as calls wait meanwhile.
    fn retire_actors(&mut self, now_ms: u64) {
        self.seats.end_some(RETIRED_AT_ONCE);
        let options = &self.place.options;
        let (idle_since_ms, actors_max) = (now_ms.saturating_sub(options.actor_idle_ms), options.actors_max);
        // Where there are far too many, they end as fast as they come.
        let mut looks = RETIRED_AT_ONCE.max(self.seats.len().saturating_sub(actors_max) / RETIRED_PART);
        loop {
            let since_ms = if self.seats.len() > actors_max { now_ms } else { idle_since_ms };
            let Some(at) = self.seats.next_idle(since_ms, &mut looks) else { return };
            let slot = self.host.slot_mut(at.0);
            let entry = slot.as_ref().and_then(|slot| slot.objects().get(at.1));
            if entry.is_some_and(|entry| !entry.is_quiet()) {
                self.seats.put_off(at, now_ms);
                continue;
            }
            if let Some(entry) = entry {
                entry.instance().borrow_mut().rest();
            }
            self.seats.end(at);
            if let Some(slot) = slot {
                slot.remove_vacant(at.1);
            }
        }
    }
}

//! What a call sends: itself, and the word that its caller has gone.

use std::sync::Arc;

use greenroom_actors::wire::{Request, parts};

use super::Call;
use crate::connection::Connection;
use crate::directory::Route;

impl Call {
    pub(super) fn request(&self, route: &Route) -> Request<'_> {
        // Small arguments travel at once; of large ones only the hash, until the node asks.
        let arguments = self.outgoing.maker().filter(|made| self.with_arguments || made.arguments.len() <= 64);
        let (read, again) = (self.outgoing.read, if self.is_question() { parts::QUERY } else { parts::RETRY });
        Request {
            flags: if read { parts::READ } else { 0 } | if self.sent { again } else { 0 },
            epoch: route.epoch,
            method: self.outgoing.method,
            deadline_ms: self.deadline_ms,
            construction: self.outgoing.construction.as_ref().map(|made| made.hash),
            construction_arguments: arguments.map(|made| made.arguments.clone()),
            durability: self.outgoing.durability,
            arguments: self.outgoing.arguments.clone(),
            ..self.name()
        }
    }

    /// The parts of a request that name the call and its object.
    pub(super) fn name(&self) -> Request<'_> {
        Request {
            lane: self.id.lane,
            sequence: self.id.sequence,
            slot: self.slot,
            fingerprint: self.outgoing.object_type.fingerprint(),
            type_name: self.outgoing.object_type.name,
            key: self.outgoing.key.as_str(),
            job: self.job,
            session: Some(self.id.session),
            attempt_ends_ms: self.attempt.as_ref().and_then(|attempt| attempt.ends_ms()),
            ..Request::default()
        }
    }

    /// Gives up where the call is out: a wait ends, a grant is taken back, and a call that has not arrived will not be
    /// run. The lane is free once the node has said so; a read leaves nothing there.
    pub(super) fn abandon(&mut self) {
        let Some(connection) = self.out.take() else { return };
        if self.outgoing.read {
            connection.forget(self.id.lane);
            self.end();
            return;
        }
        let route = || self.shared.directory.route(self.slot);
        let leads_there = |route: &Route| Arc::ptr_eq(&route.connection, &connection);
        let known = route();
        let flags = parts::CANCEL | parts::QUERY;
        let cancel =
            Request { flags, epoch: known.as_ref().map(|route| route.epoch).unwrap_or_default(), ..self.name() };
        if self.is_fixed() {
            match known {
                Some(_) => drop(connection.abandon(&cancel)),
                // Its process is gone, and with it what only it held.
                None => connection.forget(self.id.lane),
            }
            return;
        }
        if !known.as_ref().is_some_and(leads_there) || !connection.abandon(&cancel) {
            connection.forget(self.id.lane);
            self.shared.cancel_later(self.slot, &cancel);
        } else if !route().as_ref().is_some_and(leads_there) {
            // The slot has moved meanwhile, and who looked for what has to follow it may not have seen this.
            self.shared.follow_moved();
        }
    }

    pub(super) fn forget(&self, connection: &Connection) {
        let target = connection.target();
        self.shared.directory.forget(target.node, target.incarnation);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // The future was dropped before its outcome was known.
        self.abandon();
    }
}

//! What a client does when slots move to other nodes: calls, cancels and the session follow them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use greenroom_actors::wire::Request;
use greenroom_actors::{LanePool, SlotId, SlotTable};

use crate::client::Shared;
use crate::connection::Connection;
use crate::time::{BACKOFF_MAX, jitter, millis};

/// A client that has not run for so long may have been given up by the nodes, and one that it has not met before cannot tell
/// it so. Less than the time for which nodes wait for a session.
const FROZEN: Duration = Duration::from_secs(8);
const LOOK_AT_TIME: Duration = Duration::from_secs(1);

impl Shared {
    /// Notes again and again that the client runs.
    pub(crate) fn watch_time(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        self.ran_at_ms.store(millis(self.born.elapsed()), Ordering::Release);
        self.spawn(async move {
            loop {
                tokio::time::sleep(LOOK_AT_TIME).await;
                let Some(shared) = weak.upgrade() else { return };
                shared.check_frozen();
            }
        });
    }

    /// Goes on with a new session if this process has stood still for longer than a session outlives its streams: what became
    /// of calls that were out then is not known.
    pub(crate) fn check_frozen(&self) {
        let now_ms = millis(self.born.elapsed());
        let ran_at_ms = self.ran_at_ms.swap(now_ms, Ordering::AcqRel);
        if now_ms.saturating_sub(ran_at_ms) >= millis(FROZEN) {
            tracing::warn!("this process has stood still for {} ms: its session is given up", now_ms - ran_at_ms);
            self.renew_session(self.session());
        }
    }

    /// A newer table has come: what was out on slots that have moved follows them.
    ///
    /// Each shard of the cluster sends it, and only the first time it is decoded.
    pub(crate) fn learn(self: &Arc<Self>, table: &[u8]) {
        if SlotTable::version_of(table) <= self.directory.version() {
            return;
        }
        if let Ok(table) = postcard::from_bytes::<SlotTable>(table)
            && self.directory.learn(table)
        {
            self.follow_moved();
        }
    }

    /// Asks around for a newer table.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let version = self.directory.table().map(|table| table.version);
        self.directory.refresh().await;
        if self.directory.table().map(|table| table.version) != version {
            self.follow_moved();
        }
    }

    /// Calls and cancels that are out on slots that have moved go where the slots are, and the session is kept there.
    pub(crate) fn follow_moved(self: &Arc<Self>) {
        let Some(table) = self.directory.table() else { return };
        for connection in self.directory.all_connections() {
            let node = connection.target().node;
            if table.member(node).is_none() {
                connection.stop_waiting();
            }
            for (slot, cancel) in connection.let_go(|slot| table.place(slot).is_none_or(|place| place.primary != node))
            {
                self.cancel_encoded(slot, cancel);
            }
        }
        self.keep_session();
    }

    /// Opens a stream to wherever a slot is that this client has used: what it holds there lives with its session.
    ///
    /// All are opened side by side: one that takes long must not cost the sessions on other nodes.
    fn keep_session(self: &Arc<Self>) {
        for attempt in self.attempts() {
            for route in attempt.used().into_iter().filter_map(|slot| self.directory.route(slot)) {
                route.connection.keep(&attempt);
            }
        }
        let Some(lanes) = self.lanes.get() else { return };
        let used = |pool: &Mutex<LanePool>| pool.lock().unwrap_or_else(PoisonError::into_inner).is_used();
        for (slot, _) in (0..).map(SlotId).zip(lanes).filter(|(_, pool)| used(pool)) {
            if self.directory.route(slot).is_some_and(|route| route.connection.is_open()) {
                continue;
            }
            let shared = Arc::clone(self);
            self.spawn(async move {
                if let Ok(route) = shared.directory.ensure_route(slot).await {
                    // Where it cannot be opened now, the next call tries again.
                    let _ = route.connection.ensure_open(&shared).await;
                }
            });
        }
    }

    /// The stream of the session to a node has ended: unless there soon is another one, looks for whoever serves its slots
    /// next. A client that holds something and calls nobody would not hear of that, and its session would end there.
    pub(crate) fn look_for_successors(self: &Arc<Self>, lost: Arc<Connection>) {
        /// As long as a stream is tried to be opened again.
        const LOOKED_FOR: Duration = Duration::from_secs(60);
        const FIRST_PAUSE: Duration = Duration::from_millis(20);
        /// Much less than the time for which nodes wait for a session.
        const PAUSE_MAX: Duration = Duration::from_millis(200);
        let weak = Arc::downgrade(self);
        self.spawn(async move {
            let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
            while began.elapsed() < LOOKED_FOR {
                tokio::time::sleep(jitter(pause)).await;
                pause = (pause * 2).min(PAUSE_MAX);
                let Some(shared) = weak.upgrade() else { return };
                let serves = |table: &SlotTable| table.slots.iter().any(|place| place.primary == lost.target().node);
                if lost.is_open() || !shared.directory.table().is_some_and(|table| !table.fixed && serves(&table)) {
                    return;
                }
                shared.refresh().await;
            }
        });
    }

    /// Tells of callers that have gone whoever serves their slots after a process that has ended. In a cluster of fixed
    /// members what they waited for has ended with it.
    pub(crate) fn tell_elsewhere(self: &Arc<Self>, cancels: Vec<(SlotId, BytesMut)>) {
        if self.directory.table().is_some_and(|table| !table.fixed) {
            cancels.into_iter().for_each(|(slot, cancel)| self.cancel_encoded(slot, cancel));
        }
    }

    /// Tells whoever serves the slot that a call's caller has gone, as soon as that can be told.
    pub(crate) fn cancel_later(self: &Arc<Self>, slot: SlotId, cancel: &Request<'_>) {
        let mut encoded = BytesMut::new();
        cancel.encode(&mut encoded);
        self.cancel_encoded(slot, encoded);
    }

    fn cancel_encoded(self: &Arc<Self>, slot: SlotId, cancel: BytesMut) {
        /// For so long it is tried: the wait ends with the session then.
        const TRIES: u32 = 100;
        let shared = Arc::clone(self);
        self.spawn(async move {
            for _ in 0..TRIES {
                if let Ok(route) = shared.directory.ensure_route(slot).await
                    && route.connection.ensure_open(&shared).await.is_ok()
                    && route.connection.tell_cancel(slot, &cancel)
                {
                    return;
                }
                shared.refresh().await;
                shared.pause(BACKOFF_MAX / 5).await;
            }
        });
    }
}

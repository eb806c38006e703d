//! What a node counts.

use std::time::Instant;

use greenroom_actors::{Outcomes, ShardId, Slot};
use greenroom_rpc::proto::ShardStatus;
use metrics::{Counter, Gauge, counter, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

use crate::sessions::Sessions;

/// Makes Prometheus the process's recorder. Only a node's own process does so; an embedded node leaves that to its host.
///
/// # Errors
/// When the process has a recorder already.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().install_recorder()
}

/// The counters of one shard.
pub(crate) struct ShardMeter {
    status: ShardStatus,
    calls_before: u64,
    since: Instant,
    calls: Counter,
    refused: Counter,
    malformed: Counter,
    panics: Counter,
    objects: Gauge,
    actors: Gauge,
    parked: Gauge,
    sessions: Gauge,
}

impl ShardMeter {
    pub(crate) fn new(shard: ShardId) -> Self {
        let label = shard.to_string();
        Self {
            status: ShardStatus { shard: u32::from(shard.0), ..ShardStatus::default() },
            calls_before: 0,
            since: Instant::now(),
            calls: counter!("greenroom_calls_total", "shard" => label.clone()),
            refused: counter!("greenroom_refused_total", "shard" => label.clone()),
            malformed: counter!("greenroom_malformed_total", "shard" => label.clone()),
            panics: counter!("greenroom_panics_total", "shard" => label.clone()),
            objects: gauge!("greenroom_objects", "shard" => label.clone()),
            actors: gauge!("greenroom_actors", "shard" => label.clone()),
            parked: gauge!("greenroom_parked_calls", "shard" => label.clone()),
            sessions: gauge!("greenroom_sessions", "shard" => label),
        }
    }

    pub(crate) fn call(&mut self) {
        self.status.calls += 1;
    }

    pub(crate) fn refused(&mut self) {
        self.status.refused += 1;
        self.refused.increment(1);
    }

    pub(crate) fn malformed(&self) {
        self.malformed.increment(1);
    }

    pub(crate) fn applied(&mut self, outcomes: &Outcomes) {
        if outcomes.n_panics > 0 {
            self.status.panics += u64::from(outcomes.n_panics);
            self.panics.increment(u64::from(outcomes.n_panics));
        }
    }

    /// Brings the gauges up to date; once a second or so.
    pub(crate) fn publish(&mut self, slots: &[Option<Slot>], n_actors: usize, sessions: &Sessions) {
        self.count(slots, n_actors, sessions);
        let seconds = self.since.elapsed().as_secs_f64();
        let done = self.status.calls - self.calls_before;
        self.status.calls_per_second = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        self.calls.absolute(self.status.calls);
        self.calls_before = self.status.calls;
        self.since = Instant::now();
        self.objects.set(self.status.objects as f64);
        self.actors.set(self.status.actors as f64);
        self.parked.set(self.status.parked as f64);
        self.sessions.set(self.status.sessions as f64);
    }

    fn count(&mut self, slots: &[Option<Slot>], n_actors: usize, sessions: &Sessions) {
        let mine = || slots.iter().flatten().filter(|slot| slot.is_primary());
        let count = |slots: usize| u32::try_from(slots).unwrap_or(u32::MAX);
        self.status.slots = count(mine().count());
        self.status.backup_slots = count(slots.iter().flatten().filter(|slot| !slot.is_primary()).count());
        self.status.objects = mine().map(|slot| slot.objects().n_existing()).sum();
        self.status.parked = mine().map(|slot| slot.objects().n_parked()).sum();
        self.status.actors = n_actors as u64;
        self.status.sessions = sessions.n_sessions() as u64;
        self.status.streams = sessions.n_streams() as u64;
    }

    /// The numbers as they are now.
    pub(crate) fn status(&mut self, slots: &[Option<Slot>], n_actors: usize, sessions: &Sessions) -> ShardStatus {
        self.count(slots, n_actors, sessions);
        self.status.clone()
    }
}

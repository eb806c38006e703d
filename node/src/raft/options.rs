//! The settings of the group: flags, environment variables, defaults, and why each is as it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::LeaseSettings;
use openraft::{Config, SnapshotPolicy};

use super::error::GroupError;

/// Entries after which a snapshot is made, and entries that are kept behind it for those who are a little late.
const ENTRIES_MAX: u64 = 1000;
const ENTRIES_KEPT: u64 = 200;
/// Entries in one message: a message with the largest commands stays below [`super::network::MESSAGE_BYTES_MAX`].
const ENTRIES_SENT_MAX: u64 = 16;
/// A whole view is sent in one message, to a node that may be busy.
const SNAPSHOT_MS_MAX: u64 = 5_000;

/// The settings of the group. The times are the same on every node of a cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct RaftOptions {
    /// The folder of the node's identity, votes and entries; without it a node that is started anew is another one, and a
    /// cluster most of whose voters stop at the same time is lost.
    #[arg(long = "data", env = "GREENROOM_DATA")]
    pub data: Option<PathBuf>,

    /// How often who leads says so, in milliseconds; also how long one of its messages may take, which includes a write to
    /// the other's disk.
    #[arg(long, env = "GREENROOM_HEARTBEAT_MS", default_value_t = 75)]
    pub heartbeat_ms: u64,

    /// The least of the time that a voter waits before it stands for election, in milliseconds. It begins to wait when it has
    /// heard nothing for the longest such time, so a busy machine may be late by far more than a heartbeat.
    #[arg(long, env = "GREENROOM_ELECTION_MS_MIN", default_value_t = 300)]
    pub election_ms_min: u64,

    /// The most of that time. A new leader is there about twice this after the old one has died.
    #[arg(long, env = "GREENROOM_ELECTION_MS_MAX", default_value_t = 500)]
    pub election_ms_max: u64,

    /// How long a lease is, in milliseconds: a node that is gone is replaced after it, and one that is cut off stops within it.
    #[arg(long, env = "GREENROOM_LEASE_MS", default_value_t = LeaseSettings::default().lease_ms)]
    pub lease_ms: u64,

    /// How far the clock of a node that joins may be from the clock of the node that it asks, in milliseconds. Leases need no
    /// clocks; timeouts and the times of entries do.
    #[arg(long, env = "GREENROOM_CLOCK_APART_MS_MAX", default_value_t = 2_000)]
    pub clock_apart_ms_max: u64,
}

impl Default for RaftOptions {
    fn default() -> Self {
        Self {
            data: None,
            heartbeat_ms: 75,
            election_ms_min: 300,
            election_ms_max: 500,
            lease_ms: LeaseSettings::default().lease_ms,
            clock_apart_ms_max: 2_000,
        }
    }
}

impl RaftOptions {
    pub(super) fn lease(&self) -> LeaseSettings {
        LeaseSettings { lease_ms: self.lease_ms, ..LeaseSettings::default() }
    }

    /// For how long a name that is taken is asked for again: its process may have died a moment ago.
    pub(super) fn name_patience(&self) -> Duration {
        Duration::from_millis(self.lease_ms * 6 + self.election_ms_max * 2)
    }

    pub(super) fn config(&self, cluster_name: &str) -> Result<Arc<Config>, GroupError> {
        if self.lease_ms < 50 {
            return Err(GroupError::Settings(format!("a lease of {} ms is too short: 50 ms at least", self.lease_ms)));
        }
        let config = Config {
            cluster_name: cluster_name.to_owned(),
            heartbeat_interval: self.heartbeat_ms,
            election_timeout_min: self.election_ms_min,
            election_timeout_max: self.election_ms_max,
            install_snapshot_timeout: SNAPSHOT_MS_MAX,
            max_payload_entries: ENTRIES_SENT_MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(ENTRIES_MAX),
            max_in_snapshot_log_to_keep: ENTRIES_KEPT,
            // Only a node that has asked the others stands for election: see `candidacy`.
            enable_elect: false,
            ..Config::default()
        };
        config.validate().map(Arc::new).map_err(|error| GroupError::Settings(error.to_string()))
    }
}

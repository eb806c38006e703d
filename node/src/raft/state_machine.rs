//! The state machine: the view, to which the group's entries are applied one by one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_actors::{Changed, View};
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::disk::{Disk, SNAPSHOT};
use super::error::DataError;
use super::log_store::on_disk;
use super::types::{Entry, LogId, SnapshotMeta, StorageError, StoredMembership, Types};

/// The view of one node, as far as it has been told.
#[derive(Clone, Debug)]
pub(super) struct StateMachine {
    applied: Arc<Mutex<Applied>>,
    published: Arc<watch::Sender<Arc<View>>>,
    disk: Option<Arc<Disk>>,
}

#[derive(Debug, Default)]
struct Applied {
    last: Option<LogId>,
    membership: StoredMembership,
    view: Arc<View>,
    snapshot: Option<Arc<SavedSnapshot>>,
}

/// A view as it was after some entry, as it is kept and sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedSnapshot {
    pub(super) meta: SnapshotMeta,
    pub(super) view: View,
}

impl StateMachine {
    /// The view of the last snapshot on the disk; an empty one if there is none. Each view is published as it is applied.
    pub(super) fn open(disk: Option<Arc<Disk>>) -> Result<Self, DataError> {
        let mut applied = Applied::default();
        if let Some(saved) = disk.as_ref().map(|disk| disk.fact::<SavedSnapshot>(SNAPSHOT)).transpose()?.flatten() {
            (applied.last, applied.membership) = (saved.meta.last_log_id, saved.meta.last_membership.clone());
            applied.view = Arc::new(saved.view.clone());
            applied.snapshot = Some(Arc::new(saved));
        }
        let published = Arc::new(watch::Sender::new(Arc::clone(&applied.view)));
        Ok(Self { applied: Arc::new(Mutex::new(applied)), published, disk })
    }

    /// The view that was applied last.
    pub(super) fn view(&self) -> watch::Receiver<Arc<View>> {
        self.published.subscribe()
    }

    fn applied(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_one(&self, entry: Entry) -> Changed {
        let mut applied = self.applied();
        applied.last = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Changed::No,
            EntryPayload::Membership(membership) => {
                applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                Changed::No
            }
            EntryPayload::Normal(command) => {
                let mut view = View::clone(&applied.view);
                let changed = View::apply(&mut view, &command);
                if view.version != applied.view.version {
                    applied.view = Arc::new(view);
                    self.published.send_replace(Arc::clone(&applied.view));
                }
                changed
            }
        }
    }

    async fn save(&self, saved: Arc<SavedSnapshot>) -> Result<(), StorageError> {
        let (meta, kept) = (saved.meta.clone(), Arc::clone(&saved));
        let done = on_disk(self.disk.as_ref(), move |disk| disk.set_fact(SNAPSHOT, &*saved)).await;
        done.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), error))?;
        self.applied().snapshot = Some(kept);
        Ok(())
    }
}

fn snapshot(saved: &SavedSnapshot) -> Snapshot<Types> {
    Snapshot { meta: saved.meta.clone(), snapshot: Box::new(saved.view.clone()) }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let saved = {
            let applied = self.applied();
            let snapshot_id = applied.last.map_or_else(String::new, |last| last.to_string());
            let meta =
                SnapshotMeta { last_log_id: applied.last, last_membership: applied.membership.clone(), snapshot_id };
            Arc::new(SavedSnapshot { meta, view: View::clone(&applied.view) })
        };
        self.save(Arc::clone(&saved)).await?;
        Ok(snapshot(&saved))
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let applied = self.applied();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Changed>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        Ok(entries.into_iter().map(|entry| self.apply_one(entry)).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<View>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, view: Box<View>) -> Result<(), StorageError> {
        self.save(Arc::new(SavedSnapshot { meta: meta.clone(), view: View::clone(&view) })).await?;
        let mut applied = self.applied();
        (applied.last, applied.membership) = (meta.last_log_id, meta.last_membership.clone());
        applied.view = Arc::new(*view);
        self.published.send_replace(Arc::clone(&applied.view));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        Ok(self.applied().snapshot.as_deref().map(snapshot))
    }
}

//! The log of the group's entries, and the node's votes: in memory to read, and on the disk before anything is acknowledged.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader, StorageIOError};

use super::disk::{Disk, PURGED, VOTE};
use super::error::DataError;
use super::types::{Entry, LogId, StorageError, Types, Vote};

/// The log of one node.
#[derive(Clone, Debug)]
pub(super) struct LogStore {
    kept: Arc<Mutex<Kept>>,
    disk: Option<Arc<Disk>>,
}

#[derive(Debug, Default)]
struct Kept {
    vote: Option<Vote>,
    purged: Option<LogId>,
    log: BTreeMap<u64, Entry>,
}

impl LogStore {
    /// The log that is on the disk; an empty one if there is no disk.
    pub(super) fn open(disk: Option<Arc<Disk>>) -> Result<Self, DataError> {
        let mut kept = Kept::default();
        if let Some(disk) = &disk {
            (kept.vote, kept.purged, kept.log) = (disk.fact(VOTE)?, disk.fact(PURGED)?, disk.entries()?);
        }
        Ok(Self { kept: Arc::new(Mutex::new(kept)), disk })
    }

    /// Whether the node has belonged to a group before.
    pub(super) fn is_empty(&self) -> bool {
        let kept = self.kept();
        kept.vote.is_none() && kept.purged.is_none() && kept.log.is_empty()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something with the disk, if there is one, where it holds up nobody.
pub(super) async fn on_disk(
    disk: Option<&Arc<Disk>>,
    work: impl FnOnce(&Disk) -> Result<(), DataError> + Send + 'static,
) -> Result<(), AnyError> {
    let Some(disk) = disk.map(Arc::clone) else { return Ok(()) };
    let done = tokio::task::spawn_blocking(move || work(&disk)).await;
    match done {
        Ok(done) => done.map_err(|error| AnyError::new(&error)),
        Err(error) => Err(AnyError::new(&error)),
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self.kept().log.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let kept = self.kept();
        let last = kept.log.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: kept.purged, last_log_id: last.or(kept.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let saved = *vote;
        on_disk(self.disk.as_ref(), move |disk| disk.set_fact(VOTE, &saved))
            .await
            .map_err(StorageIOError::write_vote)?;
        self.kept().vote = Some(saved);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.kept().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let written = entries.clone();
        let done = on_disk(self.disk.as_ref(), move |disk| disk.append(&written)).await;
        done.map_err(StorageIOError::write_logs)?;
        self.kept().log.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        let done = on_disk(self.disk.as_ref(), move |disk| disk.truncate(from.index)).await;
        done.map_err(StorageIOError::write_logs)?;
        drop(self.kept().log.split_off(&from.index));
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        let done = on_disk(self.disk.as_ref(), move |disk| disk.purge(&upto)).await;
        done.map_err(StorageIOError::write_logs)?;
        let mut kept = self.kept();
        kept.log = kept.log.split_off(&(upto.index + 1));
        kept.purged = Some(upto);
        Ok(())
    }
}

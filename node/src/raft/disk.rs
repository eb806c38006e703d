//! The folder in which a node keeps who it is, how it has voted, and the entries that it has acknowledged.
//!
//! Each value carries a checksum, so that a damaged one is never taken for another. What is written is on the disk when the call
//! returns. After the first failure nothing is written any more.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::error::DataError;
use super::types::{Entry, LogId};

const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// One thing that is known of the node, by its key in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact(pub(super) &'static str);

/// Who the node is in the group.
pub(super) const IDENTITY: Fact = Fact("identity");
/// The cluster that it belongs to, and its name.
pub(super) const CLUSTER: Fact = Fact("cluster");
/// The last vote.
pub(super) const VOTE: Fact = Fact("vote");
/// The last entry that is not kept any more.
pub(super) const PURGED: Fact = Fact("purged");
/// The last snapshot.
pub(super) const SNAPSHOT: Fact = Fact("snapshot");

/// An open folder, which no other process uses.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    file: PathBuf,
    open: Mutex<Option<Open>>,
    broken: OnceLock<DataError>,
}

#[derive(Debug)]
struct Open {
    database: Database,
    /// Unlocked when it is dropped, after the database.
    _lock: File,
}

impl Disk {
    /// Opens the folder, and makes it if it is not there.
    pub(super) fn open(folder: &Path) -> Result<Self, DataError> {
        let file = folder.join("raft.redb");
        let disk = Self { folder: folder.to_owned(), file, open: Mutex::new(None), broken: OnceLock::new() };
        let open = disk.guarded(|| disk.lock_and_open()).inspect_err(|error| tracing::error!(%error, "cannot open"))?;
        *disk.lock_open() = Some(open);
        Ok(disk)
    }

    fn lock_and_open(&self) -> Result<Open, DataError> {
        let unwritable =
            |error: std::io::Error| DataError::Unwritable { folder: self.folder.clone(), why: error.to_string() };
        std::fs::create_dir_all(&self.folder).map_err(unwritable)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(self.folder.join("lock"));
        let lock = lock.map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::Locked { folder: self.folder.clone() }),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let database = Database::create(&self.file).map_err(|error| self.failure(error.into()))?;
        // The file's name is on the disk before anything in the file is acknowledged.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(unwritable)?;
        Ok(Open { database, _lock: lock })
    }

    #[cfg(test)]
    fn with_backend(backend: impl redb::StorageBackend) -> Result<Self, DataError> {
        let (folder, file) = (PathBuf::from("folder"), PathBuf::from("folder/raft.redb"));
        let disk = Self { folder, file, open: Mutex::new(None), broken: OnceLock::new() };
        let database = Database::builder().create_with_backend(backend).map_err(|error| disk.failure(error.into()))?;
        let lock = tempfile::tempfile().map_err(|error| disk.failure(redb::Error::Io(error)))?;
        *disk.lock_open() = Some(Open { database, _lock: lock });
        Ok(disk)
    }

    /// Lets another process have the folder. Whatever is asked of it later is refused.
    pub(super) fn close(&self) {
        drop(self.lock_open().take());
    }

    /// What went wrong first, if anything has.
    pub(super) fn broken(&self) -> Option<&DataError> {
        self.broken.get()
    }

    /// What is known by that key.
    pub(super) fn fact<T: DeserializeOwned>(&self, fact: Fact) -> Result<Option<T>, DataError> {
        let sealed = self.run("read", |open| {
            let reading = open.database.begin_read()?;
            match reading.open_table(FACTS) {
                Ok(facts) => Ok(facts.get(fact.0)?.map(|value| value.value().to_vec())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        sealed.map(|sealed| self.unseal(&sealed, 0, fact.0)).transpose()
    }

    /// Writes a fact.
    pub(super) fn set_fact(&self, fact: Fact, value: &impl Serialize) -> Result<(), DataError> {
        let sealed = self.seal(value, 0)?;
        self.write(|writing| {
            writing.open_table(FACTS)?.insert(fact.0, &sealed[..])?;
            Ok(())
        })
    }

    /// All entries, by their index.
    pub(super) fn entries(&self) -> Result<BTreeMap<u64, Entry>, DataError> {
        let sealed = self.run("read", |open| {
            let reading = open.database.begin_read()?;
            let log = match reading.open_table(LOG) {
                Ok(log) => log,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut sealed = Vec::new();
            for row in log.iter()? {
                let (index, value) = row?;
                sealed.push((index.value(), value.value().to_vec()));
            }
            Ok(sealed)
        })?;
        let unseal = |(index, sealed): (u64, Vec<u8>)| Ok((index, self.unseal(&sealed, index, "an entry")?));
        sealed.into_iter().map(unseal).collect()
    }

    /// Writes entries, over those that have their indices.
    pub(super) fn append(&self, entries: &[Entry]) -> Result<(), DataError> {
        let seal = |entry: &Entry| Ok((entry.log_id.index, self.seal(entry, entry.log_id.index)?));
        let sealed = entries.iter().map(seal).collect::<Result<Vec<_>, DataError>>()?;
        self.write(|writing| {
            let mut log = writing.open_table(LOG)?;
            for (index, sealed) in &sealed {
                log.insert(index, &sealed[..])?;
            }
            Ok(())
        })
    }

    /// Removes the entries from that index on.
    pub(super) fn truncate(&self, from: u64) -> Result<(), DataError> {
        self.write(|writing| Ok(writing.open_table(LOG)?.retain_in(from.., |_, _| false)?))
    }

    /// Removes the entries up to that one.
    pub(super) fn purge(&self, upto: &LogId) -> Result<(), DataError> {
        let sealed = self.seal(upto, 0)?;
        self.write(|writing| {
            writing.open_table(LOG)?.retain_in(..=upto.index, |_, _| false)?;
            writing.open_table(FACTS)?.insert(PURGED.0, &sealed[..])?;
            Ok(())
        })
    }

    /// Makes a change that is on the disk, all of it or nothing, when this returns.
    fn write(&self, change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> Result<(), DataError> {
        self.run("write", |open| {
            let writing = open.database.begin_write()?;
            change(&writing)?;
            Ok(writing.commit()?)
        })
    }

    fn run<T>(&self, what: &str, work: impl FnOnce(&Open) -> Result<T, redb::Error>) -> Result<T, DataError> {
        let open = self.lock_open();
        if let Some(error) = self.broken() {
            return Err(error.clone());
        }
        let open = open.as_ref().ok_or_else(|| DataError::Closed { file: self.file.clone() })?;
        let result = self.guarded(|| work(open).map_err(|error| self.failure(error)));
        result.inspect_err(|error| self.break_down(what, error))
    }

    /// The file's own checks may panic where it is damaged; that ends the node's part in the group, and not the node.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
        let panicked = "a check of its structure has failed";
        catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(DataError::Damaged { file: self.file.clone(), why: panicked.to_owned() }))
    }

    fn break_down(&self, what: &str, error: &DataError) {
        tracing::error!(file = %self.file.display(), %error, what, "the node's folder has failed");
        // Only the first failure counts.
        let _ = self.broken.set(error.clone());
    }

    fn failure(&self, error: redb::Error) -> DataError {
        let file = self.file.clone();
        match error {
            redb::Error::Io(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => DataError::Full { file },
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                    DataError::Damaged { file, why: error.to_string() }
                }
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::IsADirectory => {
                    DataError::Unwritable { folder: self.folder.clone(), why: error.to_string() }
                }
                _ => DataError::Failed { file, why: error.to_string() },
            },
            redb::Error::Corrupted(why) => DataError::Damaged { file, why },
            error @ (redb::Error::UpgradeRequired(_) | redb::Error::TableTypeMismatch { .. }) => {
                DataError::Damaged { file, why: error.to_string() }
            }
            redb::Error::DatabaseAlreadyOpen => DataError::Locked { folder: self.folder.clone() },
            other => DataError::Failed { file, why: other.to_string() },
        }
    }

    fn seal(&self, value: &impl Serialize, place: u64) -> Result<Vec<u8>, DataError> {
        let encoded = postcard::to_allocvec(value)
            .map_err(|error| DataError::Failed { file: self.file.clone(), why: error.to_string() })?;
        Ok([&xxh3_64_with_seed(&encoded, place).to_le_bytes(), &encoded[..]].concat())
    }

    fn unseal<T: DeserializeOwned>(&self, sealed: &[u8], place: u64, what: &str) -> Result<T, DataError> {
        let damaged = |why: &str| {
            let error = DataError::Damaged { file: self.file.clone(), why: format!("{what}: {why}") };
            self.break_down("read", &error);
            error
        };
        let (checksum, encoded) = sealed.split_first_chunk().ok_or_else(|| damaged("it is too short"))?;
        if u64::from_le_bytes(*checksum) != xxh3_64_with_seed(encoded, place) {
            return Err(damaged("its checksum is another one"));
        }
        postcard::from_bytes(encoded).map_err(|error| damaged(&error.to_string()))
    }

    fn lock_open(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use greenroom_actors::ViewCommand;
use greenroom_actors::{ClusterId, NodeId};
use openraft::{CommittedLeaderId, EntryPayload};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::*;

fn entry(index: u64) -> Entry {
    let log_id = LogId::new(CommittedLeaderId::new(1, 7), index);
    Entry { log_id, payload: EntryPayload::Normal(ViewCommand::Leave(NodeId(77))) }
}

fn indices(disk: &Disk) -> Vec<u64> {
    disk.entries().expect("reads").into_keys().collect()
}

#[test]
fn what_was_written_is_there_when_the_folder_is_opened_again() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let path = folder.path().join("deep/er");
    let disk = Disk::open(&path).expect("opens");
    assert_eq!(disk.fact::<u64>(IDENTITY), Ok(None));
    disk.set_fact(IDENTITY, &5_u64).expect("writes");
    disk.append(&(1..=9).map(entry).collect::<Vec<_>>()).expect("writes");
    disk.truncate(8).expect("writes");
    disk.purge(&entry(3).log_id).expect("writes");
    drop(disk);

    let disk = Disk::open(&path).expect("opens");
    assert_eq!((disk.fact(IDENTITY), disk.fact(PURGED)), (Ok(Some(5_u64)), Ok(Some(entry(3).log_id))));
    assert_eq!(indices(&disk), [4, 5, 6, 7]);
    assert_eq!(disk.entries().expect("reads")[&4], entry(4));
}

#[test]
fn a_folder_in_use_is_refused_until_it_is_closed() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let first = Disk::open(folder.path()).expect("opens");
    let locked = DataError::Locked { folder: folder.path().to_owned() };
    assert_eq!(Disk::open(folder.path()).err(), Some(locked));
    first.close();
    let second = Disk::open(folder.path()).expect("opens");
    assert!(matches!(first.set_fact(IDENTITY, &1_u64), Err(DataError::Closed { .. })));
    second.set_fact(IDENTITY, &2_u64).expect("writes");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let file = tempfile::NamedTempFile::new().expect("makes a file");
    let error = Disk::open(&file.path().join("below")).err();
    assert!(matches!(error, Some(DataError::Unwritable { .. })), "{error:?}");
}

#[test]
fn a_file_of_something_else_is_damaged() {
    for content in [&b"not a database at all"[..], &[0xa5; 20_000]] {
        let folder = tempfile::tempdir().expect("makes a folder");
        std::fs::write(folder.path().join("raft.redb"), content).expect("writes");
        let error = Disk::open(folder.path()).err();
        assert!(matches!(error, Some(DataError::Damaged { .. })), "{error:?}");
    }
}

#[test]
fn a_value_that_is_not_what_was_written_is_not_taken_for_another() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let disk = Disk::open(folder.path()).expect("opens");
    disk.set_fact(CLUSTER, &(ClusterId(9), "a name that is found".to_owned())).expect("writes");
    drop(disk);
    let path = folder.path().join("raft.redb");
    let mut content = std::fs::read(&path).expect("reads");
    let needle = b"a name that is found";
    let places: Vec<usize> =
        (0..content.len() - needle.len()).filter(|&at| content[at..].starts_with(needle)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|&at| content[at] ^= 1);
    std::fs::write(&path, content).expect("writes");

    // Whoever notices first: the file's own check when it is opened, or ours.
    let read = Disk::open(folder.path()).and_then(|disk| disk.fact::<(ClusterId, String)>(CLUSTER));
    assert!(matches!(read, Err(DataError::Damaged { .. })), "{read:?}");
}

/// A disk with room for so many bytes more.
#[derive(Debug)]
struct SmallDisk(InMemoryBackend, AtomicU64);

impl StorageBackend for SmallDisk {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        let room = self.1.load(Ordering::Relaxed);
        let Some(left) = room.checked_sub(data.len() as u64) else {
            return Err(ErrorKind::StorageFull.into());
        };
        self.1.store(left, Ordering::Relaxed);
        self.0.write(offset, data)
    }
}

#[test]
fn a_full_disk_is_said_to_be_full_and_nothing_is_acknowledged_any_more() {
    let disk = Disk::with_backend(SmallDisk(InMemoryBackend::new(), AtomicU64::new(400_000))).expect("opens");
    let error = (1..10_000).find_map(|index| disk.append(&[entry(index)]).err()).expect("it is full at last");
    assert_eq!(error, DataError::Full { file: disk.file.clone() });
    assert_eq!(disk.set_fact(VOTE, &1_u64), Err(error.clone()));
    assert_eq!(disk.broken(), Some(&error));
}

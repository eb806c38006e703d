//! The object types that every program has.

mod atomic;
mod average;
mod barrier;
mod blob;
mod cell;
mod channel;
mod counter;
mod elements;
mod journal;
mod list;
mod map;
mod matrix;
mod mutex;
mod pages;
mod promise;
mod rwlock;
mod semaphore;
mod set;
mod sorted;
mod vector;

pub use atomic::{
    AtomicBool, AtomicBoolHandle, AtomicBoolMessages, AtomicF64, AtomicF64Handle, AtomicF64Messages, AtomicI64,
    AtomicI64Handle, AtomicI64Messages, AtomicU64, AtomicU64Handle, AtomicU64Messages, Exchanged,
};
pub use average::{Average, AverageHandle, AverageMessages, WrongLength};
pub use barrier::{Barrier, BarrierHandle, BarrierMessages, BarrierWaitResult};
pub use blob::{BLOB_BYTES_MAX, BlobError, BlobObject, BlobObjectHandle, BlobObjectMessages, BlobPage, Place, Stage};
pub use cell::{CellObject, CellObjectHandle, CellObjectMessages};
pub use channel::{
    ChannelClosed, ChannelItem, ChannelKind, ChannelObject, ChannelObjectHandle, ChannelObjectMessages, NotRegistered,
    NotTaken, RecvError, RegisteredSender, TryRecvError,
};
pub use counter::{Counter, CounterHandle, CounterMessages};
pub use elements::{ArrayError, Element, Elements, Op, Shape};
pub use journal::{JournalObject, JournalObjectHandle, JournalObjectMessages, JournalPage, Trimmed};
pub use list::{ListObject, ListObjectHandle, ListObjectMessages, ListPage};
pub use map::{MapObject, MapObjectHandle, MapObjectMessages};
pub use matrix::{MatrixObject, MatrixObjectHandle, MatrixObjectMessages};
pub use mutex::{Locked, MutexObject, MutexObjectHandle, MutexObjectMessages};
pub use pages::{BULK_BYTES, OutOfRange, PAGE_BYTES};
pub use promise::{AlreadySet, PromiseObject, PromiseObjectHandle, PromiseObjectMessages};
pub use rwlock::{RwLockObject, RwLockObjectHandle, RwLockObjectMessages};
pub use semaphore::{
    AcquireError, Permits, SemaphoreObject, SemaphoreObjectHandle, SemaphoreObjectMessages, TooManyPermits,
};
pub use set::{SetObject, SetObjectHandle, SetObjectMessages};
pub use sorted::{
    KeyEncoding, SCAN_BYTES_MAX, SNAPSHOTS_MAX, Scan, ScanFrom, ScanPage, SnapshotGone, SnapshotTaken,
    TooManySnapshots, entry_bytes,
};
pub use vector::{ARRAY_BYTES_MAX, ElementsPage, VectorObject, VectorObjectHandle, VectorObjectMessages};

//! The object types that every program has.

mod atomic;
mod average;
mod barrier;
mod blob;
mod cell;
mod channel;
mod cloud_thread;
mod counter;
mod elements;
mod event;
mod exchanger;
mod journal;
mod latch;
mod list;
mod map;
mod matrix;
mod merging;
mod mutex;
mod notify;
mod once;
mod pages;
mod phaser;
mod promise;
mod rwlock;
mod semaphore;
mod set;
mod shown;
mod sorted;
mod vector;

pub use atomic::{
    AtomicBoolObject, AtomicBoolObjectHandle, AtomicBoolObjectMessages, AtomicF64Object, AtomicF64ObjectHandle,
    AtomicF64ObjectMessages, AtomicI32Object, AtomicI32ObjectHandle, AtomicI32ObjectMessages, AtomicI64Object,
    AtomicI64ObjectHandle, AtomicI64ObjectMessages, AtomicIsizeObject, AtomicIsizeObjectHandle,
    AtomicIsizeObjectMessages, AtomicU32Object, AtomicU32ObjectHandle, AtomicU32ObjectMessages, AtomicU64Object,
    AtomicU64ObjectHandle, AtomicU64ObjectMessages, AtomicUsizeObject, AtomicUsizeObjectHandle,
    AtomicUsizeObjectMessages, Exchanged,
};
pub use average::{AverageObject, AverageObjectHandle, AverageObjectMessages, WrongLength};
pub use barrier::{Aborted, BarrierObject, BarrierObjectHandle, BarrierObjectMessages, BarrierWaitResult};
pub use blob::{BLOB_BYTES_MAX, BlobError, BlobObject, BlobObjectHandle, BlobObjectMessages, BlobPage, Place, Stage};
pub use cell::{CellObject, CellObjectHandle, CellObjectMessages};
pub use channel::{
    ChannelClosed, ChannelItem, ChannelKind, ChannelObject, ChannelObjectHandle, ChannelObjectMessages, NotRegistered,
    NotTaken, RecvError, RegisteredSender, TryRecvError,
};
pub use cloud_thread::{
    CloudThreadObject, CloudThreadObjectHandle, CloudThreadObjectMessages, LOGS_BYTES_MAX, Progress, Start, ThreadSpec,
};
pub use counter::{CounterObject, CounterObjectHandle, CounterObjectMessages};
pub use elements::{ArrayError, Element, Elements, Shape};
pub use event::{EventObject, EventObjectHandle, EventObjectMessages};
pub use exchanger::{ExchangerObject, ExchangerObjectHandle, ExchangerObjectMessages};
pub use journal::{JournalError, JournalObject, JournalObjectHandle, JournalObjectMessages, JournalPage, Trimmed};
pub use latch::{LatchObject, LatchObjectHandle, LatchObjectMessages};
pub use list::{ListObject, ListObjectHandle, ListObjectMessages, ListPage};
pub use map::{MapObject, MapObjectHandle, MapObjectMessages};
pub use matrix::{MatrixObject, MatrixObjectHandle, MatrixObjectMessages};
pub use merging::{By, MergeBy, Op};
pub use mutex::{Locked, MutexObject, MutexObjectHandle, MutexObjectMessages};
pub use notify::{Notified, NotifyObject, NotifyObjectHandle, NotifyObjectMessages};
pub use once::{Begun, Initializer, OnceObject, OnceObjectHandle, OnceObjectMessages, SetError};
pub use pages::{BULK_BYTES, OutOfRange, PAGE_BYTES};
pub use phaser::{PhaserError, PhaserObject, PhaserObjectHandle, PhaserObjectMessages};
pub use promise::{AlreadySet, PromiseError, PromiseObject, PromiseObjectHandle, PromiseObjectMessages};
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

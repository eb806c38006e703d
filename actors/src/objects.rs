//! The object types that every program has.

mod average;
mod barrier;
mod cell;
mod counter;
mod map;
mod mutex;
mod promise;
mod set;
mod sorted;

pub use average::{Average, AverageHandle, AverageMessages, WrongLength};
pub use barrier::{Barrier, BarrierHandle, BarrierMessages, BarrierWaitResult};
pub use cell::{CellObject, CellObjectHandle, CellObjectMessages};
pub use counter::{Counter, CounterHandle, CounterMessages};
pub use map::{MapObject, MapObjectHandle, MapObjectMessages};
pub use mutex::{Locked, MutexObject, MutexObjectHandle, MutexObjectMessages, Superseded};
pub use promise::{AlreadySet, PromiseObject, PromiseObjectHandle, PromiseObjectMessages};
pub use set::{SetObject, SetObjectHandle, SetObjectMessages};
pub use sorted::{
    KeyEncoding, SCAN_BYTES_MAX, SNAPSHOTS_MAX, Scan, ScanFrom, ScanPage, SnapshotGone, SnapshotTaken,
    TooManySnapshots, entry_bytes,
};

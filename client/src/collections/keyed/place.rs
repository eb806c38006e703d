//! Where entries are read: in an object as it is, or in a snapshot of it.

use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use greenroom_actors::objects::{MapObjectHandle, ScanPage, SetObjectHandle, SnapshotGone, SnapshotTaken};
use greenroom_actors::{Error, Fence, ObjectHandle, RawHandle, Refusal, WaiterId};

use super::iter::{Fetch, KeyedIter};
use super::keys::{KeyOrder, Ordered, decode_key, encode_range};
use crate::value::{Value, decode};

/// A snapshot that this process holds; it is given back with the last who reads from it.
#[derive(Debug)]
pub(super) struct Held {
    object: RawHandle,
    grant: WaiterId,
    fence: Fence,
    /// Whether it is known to be given back.
    released: AtomicBool,
}

impl Held {
    pub(super) fn new(object: RawHandle, taken: &SnapshotTaken) -> Arc<Self> {
        Arc::new(Self {
            object: object.existing(),
            grant: taken.grant,
            fence: taken.fence,
            released: AtomicBool::new(false),
        })
    }

    pub(super) async fn release(&self) -> Result<(), Error> {
        let Some(method) = self.object.object_type().method_number("release") else { return Ok(()) };
        let released = self.object.call_async::<_, (), SnapshotGone>(method, &(self.grant,)).await;
        let released = released.map_err(|error| self.gone(error));
        // After any other error it may still be held: then the drop tries again.
        if matches!(released, Ok(()) | Err(Error::Superseded { .. })) {
            self.released.store(true, Ordering::Relaxed);
        }
        released
    }

    /// The plain error of a call that names the snapshot.
    fn gone(&self, error: Error<SnapshotGone>) -> Error {
        match error {
            Error::Method(SnapshotGone) | Error::Refused { refusal: Refusal::NotCreated, .. } => {
                Error::Superseded { object: self.object.name(), fence: self.fence }
            }
            other => other.into(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !*self.released.get_mut() {
            self.object.cast("release", &(self.grant,));
        }
    }
}

/// Where entries are read: in the object as it is, or in a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Place<H> {
    handle: H,
    held: Option<Arc<Held>>,
}

impl<H: ObjectHandle + Clone> Place<H> {
    pub(super) fn now(handle: &H) -> Self {
        Self { handle: handle.clone(), held: None }
    }

    pub(super) fn of(handle: &H, held: Arc<Held>) -> Self {
        Self { handle: handle.clone(), held: Some(held) }
    }

    /// Gives the snapshot back.
    pub(super) async fn release(&self) -> Result<(), Error> {
        match &self.held {
            Some(held) => held.release().await,
            None => Ok(()),
        }
    }

    fn grant(&self) -> Option<WaiterId> {
        self.held.as_ref().map(|held| held.grant)
    }

    fn plain(&self, error: Error<SnapshotGone>) -> Error {
        match &self.held {
            Some(held) => held.gone(error),
            None => error.into(),
        }
    }

    pub(super) fn raw(&self) -> &RawHandle {
        self.handle.raw()
    }
}

impl Place<MapObjectHandle> {
    pub(super) fn entries(&self) -> Fetch {
        let place = self.clone();
        Box::new(move |scan| {
            let (place, page) = (place.clone(), place.handle.scan_async(place.grant(), scan));
            Box::pin(async move { page.await.map_err(|error| place.plain(error)) })
        })
    }

    pub(super) fn keys(&self) -> Fetch {
        let place = self.clone();
        Box::new(move |scan| {
            let (place, page) = (place.clone(), place.handle.scan_keys_async(place.grant(), scan));
            Box::pin(async move { page.await.map(without_values).map_err(|error| place.plain(error)) })
        })
    }

    pub(super) fn iter<K: Value, V: Value, O: KeyOrder>(&self) -> KeyedIter<(K, V)> {
        KeyedIter::over_all(self.raw().clone(), self.entries(), entry::<K, V, O>)
    }

    pub(super) fn iter_keys<K: Value, O: KeyOrder>(&self) -> KeyedIter<K> {
        KeyedIter::over_all(self.raw().clone(), self.keys(), key::<K, O>)
    }

    pub(super) fn iter_values<V: Value>(&self) -> KeyedIter<V> {
        KeyedIter::over_all(self.raw().clone(), self.entries(), |object, _, value| decode(&value, object))
    }

    pub(super) fn range<K: Value, V: Value>(&self, range: &impl RangeBounds<K>) -> KeyedIter<(K, V)> {
        let range = encode_range::<K, Ordered>(range, self.raw());
        KeyedIter::over(self.raw().clone(), self.entries(), entry::<K, V, Ordered>, range)
    }
}

impl Place<SetObjectHandle> {
    pub(super) fn elements(&self) -> Fetch {
        let place = self.clone();
        Box::new(move |scan| {
            let (place, page) = (place.clone(), place.handle.scan_async(place.grant(), scan));
            Box::pin(async move { page.await.map(without_values).map_err(|error| place.plain(error)) })
        })
    }

    pub(super) fn iter<T: Value, O: KeyOrder>(&self) -> KeyedIter<T> {
        KeyedIter::over_all(self.raw().clone(), self.elements(), key::<T, O>)
    }

    pub(super) fn range<T: Value>(&self, range: &impl RangeBounds<T>) -> KeyedIter<T> {
        let range = encode_range::<T, Ordered>(range, self.raw());
        KeyedIter::over(self.raw().clone(), self.elements(), key::<T, Ordered>, range)
    }
}

fn entry<K: Value, V: Value, O: KeyOrder>(object: &RawHandle, key: Bytes, value: Bytes) -> Result<(K, V), Error> {
    Ok((decode_key::<K, O>(&key, object)?, decode(&value, object)?))
}

fn key<K: Value, O: KeyOrder>(object: &RawHandle, key: Bytes, _: Bytes) -> Result<K, Error> {
    decode_key::<K, O>(&key, object)
}

fn without_values(page: ScanPage<()>) -> ScanPage<Bytes> {
    let entries = page.entries.into_iter().map(|(key, ())| (key, Bytes::new())).collect();
    ScanPage { entries, more: page.more, changed: page.changed }
}

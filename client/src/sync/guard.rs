//! What guards are made of: something that was granted and goes back, with a local copy of a value.

use bytes::Bytes;
use greenroom_actors::objects::{Locked, MutexObjectHandle, RwLockObjectHandle};
use greenroom_actors::{Error, Fence, NotHeld, ObjectHandle, RawHandle, Refusal, WaiterId};
use greenroom_rpc::FRAME_BYTES_MAX;
use serde::Serialize;

use crate::value::{Value, decode, encode};

/// The largest value that goes back, encoded: a frame without what a call says beside its arguments.
const VALUE_BYTES_MAX: usize = FRAME_BYTES_MAX - (64 << 10);

/// How a lock is given back: its grant, and the value if it was changed.
pub(super) type Unlock = (WaiterId, Option<Bytes>);

/// The handle of an object that gives out a value under a lock.
pub(super) trait LockHandle: ObjectHandle {
    fn unlock(&self, unlock: Unlock) -> impl Future<Output = Result<(), Error<NotHeld>>> + Send;
}

impl LockHandle for MutexObjectHandle {
    fn unlock(&self, (grant, changed): Unlock) -> impl Future<Output = Result<(), Error<NotHeld>>> + Send {
        self.unlock_async(grant, changed)
    }
}

impl LockHandle for RwLockObjectHandle {
    fn unlock(&self, (grant, changed): Unlock) -> impl Future<Output = Result<(), Error<NotHeld>>> + Send {
        self.unlock_async(grant, changed)
    }
}

/// A lock that is held, with a local copy of the value under it. Dropping it gives the lock back without waiting.
pub(super) struct Held<T: Value, H: LockHandle> {
    pub(super) value: T,
    /// The value as it came, encoded; a reader has none, since its copy never goes back.
    before: Option<Bytes>,
    pub(super) handle: H,
    pub(super) fence: Fence,
    grant: WaiterId,
    /// Whether the lock has still to be given back.
    held: bool,
    /// Whether it was taken while a panic unwound: that one did not break off the work under it.
    was_panicking: bool,
}

impl<T: Value, H: LockHandle> Held<T, H> {
    /// A lock under which the value may be changed.
    pub(super) fn to_write(locked: Locked, handle: &H) -> Result<Self, Error> {
        let before = locked.value.clone();
        Self::new(locked, Some(before), handle)
    }

    /// A lock under which the value may be read.
    pub(super) fn to_read(locked: Locked, handle: &H) -> Result<Self, Error> {
        Self::new(locked, None, handle)
    }

    fn new(locked: Locked, before: Option<Bytes>, handle: &H) -> Result<Self, Error> {
        let (handle, Locked { grant, fence, value }) = (existing(handle), locked);
        match decode(&value, handle.raw()) {
            Ok(value) => {
                let was_panicking = std::thread::panicking();
                Ok(Self { value, before, handle, fence, grant, held: true, was_panicking })
            }
            Err(error) => {
                give_up(handle.raw(), grant);
                Err(error)
            }
        }
    }

    pub(super) fn object(&self) -> &RawHandle {
        self.handle.raw()
    }

    /// A call that takes what this returns is about to give the lock back. If the value cannot go, the lock goes without it.
    pub(super) fn give_back(&mut self) -> Result<(Unlock, GivingBack<Unlock>), Error> {
        let changed = self.changed();
        self.held = false;
        let unlock = (self.grant, changed.inspect_err(|_| give_up(self.object(), self.grant))?);
        Ok((unlock.clone(), GivingBack::new(self.object(), "unlock", unlock)))
    }

    /// Gives the lock back, with the value if it was changed.
    pub(super) async fn unlock(mut self) -> Result<(), Error> {
        let (unlock, unlocking) = self.give_back()?;
        let unlocked = unlocking.judge(self.handle.unlock(unlock).await);
        unlocked.map_err(|error| self.superseded(error))
    }

    /// The lock as a reader's, once the object says so; `written` is what went to it.
    pub(super) fn become_reader(&self, (grant, written): Unlock) -> Result<Self, Error> {
        let value = written.or_else(|| self.before.clone()).unwrap_or_default();
        Self::to_read(Locked { grant, fence: self.fence, value }, &self.handle)
    }

    /// The error of a call that should have given the lock back.
    pub(super) fn superseded(&self, error: Error<NotHeld>) -> Error {
        superseded(error, self.fence, self.object())
    }

    /// The value to write back: none, if it is as it came.
    ///
    /// That it was lent mutably would tell less: atomics and the like change behind a shared reference.
    fn changed(&self) -> Result<Option<Bytes>, Error> {
        let Some(before) = &self.before else { return Ok(None) };
        let now = encode(&self.value, self.object())?;
        if now.len() > VALUE_BYTES_MAX {
            let refusal = Refusal::TooLarge { bytes: now.len() as u64, bytes_max: VALUE_BYTES_MAX as u64 };
            return Err(Error::Refused { object: self.object().name(), refusal });
        }
        Ok((now != before).then_some(now))
    }
}

/// Gives a lock back without waiting, and without a value.
fn give_up(object: &RawHandle, grant: WaiterId) {
    object.cast("unlock", &(grant, None::<Bytes>));
}

impl<T: Value, H: LockHandle> Drop for Held<T, H> {
    fn drop(&mut self) {
        if self.held {
            // Work that a panic broke off is not kept; nor is a value that cannot go.
            let is_broken_off = std::thread::panicking() && !self.was_panicking;
            let changed = if is_broken_off { None } else { self.changed().unwrap_or_default() };
            cast_back(self.object(), "unlock", &(self.grant, changed));
        }
    }
}

/// The arguments of a call that gives something back.
pub(super) trait Returned: Serialize + Sized {
    /// What is left of a call that is refused, and would be again: only that something is given back. `None` if it is that.
    fn without_value(&self) -> Option<Self> {
        None
    }
}

impl Returned for (WaiterId,) {}

impl Returned for Unlock {
    fn without_value(&self) -> Option<Self> {
        self.1.as_ref().map(|_| (self.0, None))
    }
}

/// Gives something back without waiting; without the value, if that is refused.
fn cast_back<A: Returned>(object: &RawHandle, method: &str, arguments: &A) {
    object.cast_or(method, arguments, arguments.without_value().as_ref());
}

/// Something that is being given back by a call: unless that is known to have worked, dropping this does it without waiting.
///
/// It is named by its grant, so that giving it back a second time does no harm.
pub(super) struct GivingBack<A: Returned> {
    object: RawHandle,
    method: &'static str,
    arguments: Option<A>,
}

impl<A: Returned> GivingBack<A> {
    pub(super) fn new(object: &RawHandle, method: &'static str, arguments: A) -> Self {
        Self { object: object.clone(), method, arguments: Some(arguments) }
    }

    /// The call has been answered so.
    pub(super) fn judge<T, E>(mut self, answer: Result<T, Error<E>>) -> Result<T, Error<E>> {
        if matches!(answer, Ok(_) | Err(Error::Method(_))) {
            self.arguments = None;
        } else if let (Err(Error::Refused { .. }), Some(less)) =
            (&answer, self.arguments.as_ref().and_then(Returned::without_value))
        {
            self.arguments = Some(less);
        }
        answer
    }
}

impl<A: Returned> Drop for GivingBack<A> {
    fn drop(&mut self) {
        if let Some(arguments) = self.arguments.take() {
            cast_back(&self.object, self.method, &arguments);
        }
    }
}

/// The handle through which something is given back: an object that was deleted meanwhile is not made anew for it.
pub(super) fn existing<H: ObjectHandle>(handle: &H) -> H {
    H::from_raw(handle.raw().clone().existing())
}

/// The error of a caller who gave back what it does not hold any more.
pub(super) fn superseded(error: Error<NotHeld>, fence: Fence, object: &RawHandle) -> Error {
    match error {
        Error::Method(NotHeld { .. }) => Error::Superseded { object: object.name(), fence },
        other => lost(other.widen()),
    }
}

/// The error of a call through an [`existing`] handle: the object was deleted.
pub(super) fn lost<E>(error: Error<E>) -> Error<E> {
    match error {
        Error::Refused { object, refusal: Refusal::NotCreated } => Error::ObjectLost { object },
        other => other,
    }
}

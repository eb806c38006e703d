//! `Phaser`: parties that come and go meet at the end of each phase.

use std::fmt;
use std::time::Duration;

use greenroom_actors::objects::{PhaserError, PhaserObject, PhaserObjectHandle};
use greenroom_actors::{Error, RawHandle, WaiterId};
use greenroom_macros::twins;

use super::guard::{existing, lost};
use crate::face::face;

face! {
    /// A barrier whose parties come and go: a phase ends when all who are registered have arrived, and the next begins.
    ///
    /// * [`register`](Self::register) makes a [`Party`], which belongs to its caller's session: it goes when it is dropped,
    ///   leaves, or its session ends. Who registers takes part in the phase that goes on, and has not arrived in it.
    /// * A party that goes, and one that dies, is no longer waited for: the phase ends without it if all others have arrived,
    ///   and also when no other is left, so that nobody waits for parties that are not there.
    /// * [`wait`](Self::wait) lets who is not a party wait for the end of a phase.
    /// * A wait that times out or is given up while the party waits for the others takes its arrival back: nothing happened,
    ///   and the phase does not end without it. [`Party::arrive`] stands.
    ///
    /// Each call is one round trip of some 60 bytes each way, whatever the number of parties; all who wait are told in the
    /// turn that ends the phase. A registration costs the object some 40 bytes.
    ///
    /// # Different from Java's `Phaser`
    /// Registrations have owners, so a phaser survives its parties. It does not end when the last has left, but stays open
    /// for new ones; [`terminate`](Self::terminate) ends it, with an error where Java has negative numbers. Phases count up
    /// to 2^64. [`wait`](Self::wait) for a phase that has not begun waits for its end, where `awaitAdvance` returns at once:
    /// a caller that is ahead of the parties misses nothing. There are no unowned parties, no bulk registration, no tree of
    /// phasers (one is enough for 10,000 parties), and no `onAdvance`: let the party that
    /// [`arrive_and_wait`](Party::arrive_and_wait) tells a number act on it.
    ///
    /// ```no_run
    /// use greenroom::sync::Phaser;
    ///
    /// let rounds = Phaser::named("rounds");
    /// let party = rounds.register()?;
    /// while party.arrive_and_wait()? < 10 {
    ///     // One round, with whoever else takes part.
    /// }
    /// party.deregister()?;
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Phaser(PhaserObject);
}

impl Phaser {
    /// The phaser of that key, made if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(PhaserObject::named(key))
    }
}

#[twins]
impl Phaser {
    /// Registers a new party, of this caller's session.
    ///
    /// # Errors
    /// [`PhaserError::Terminated`]; and as every call's.
    pub async fn register(&self) -> Result<Party, Error<PhaserError>> {
        let party = self.handle.register_async().await?;
        Ok(Party { handle: existing(&self.handle), party, registered: true })
    }

    /// Waits until that phase is over, also if it has yet to begin; returns the phase that goes on then. One that is over need
    /// not be waited for.
    ///
    /// # Errors
    /// [`PhaserError::Terminated`]; and as every call's.
    pub async fn wait(&self, phase: u64) -> Result<u64, Error<PhaserError>> {
        self.handle.wait_async(phase).await
    }

    /// [`wait`](Self::wait), at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the phase went on for all that time; and as [`wait`](Self::wait).
    pub async fn wait_timeout(&self, phase: u64, timeout: Duration) -> Result<u64, Error<PhaserError>> {
        self.handle.with_timeout(timeout).wait_async(phase).await
    }

    /// The phase that goes on, from 0; of a phaser that was terminated, its last.
    ///
    /// # Errors
    /// As every call's.
    pub async fn phase(&self) -> Result<u64, Error> {
        self.handle.phase_async().await
    }

    /// How many parties there are.
    ///
    /// # Errors
    /// As every call's.
    pub async fn registered(&self) -> Result<u64, Error> {
        self.handle.registered_async().await
    }

    /// How many parties have arrived in the phase that goes on.
    ///
    /// # Errors
    /// As every call's.
    pub async fn arrived(&self) -> Result<u64, Error> {
        self.handle.arrived_async().await
    }

    /// Ends the phaser for good: who waits is told [`PhaserError::Terminated`], and so is who comes. Twice means nothing.
    ///
    /// # Errors
    /// As every call's.
    pub async fn terminate(&self) -> Result<(), Error> {
        self.handle.terminate_async().await
    }

    /// Whether the phaser was terminated.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_terminated(&self) -> Result<bool, Error> {
        self.handle.is_terminated_async().await
    }
}

/// One party of a [`Phaser`]. Dropping it leaves the phaser, without waiting and as best it can.
#[must_use = "a party leaves its phaser when it is dropped"]
pub struct Party {
    handle: PhaserObjectHandle,
    party: WaiterId,
    /// Unset once the phaser has said that the party is gone.
    registered: bool,
}

impl Party {
    /// The untyped handle of the phaser.
    pub fn object(&self) -> &RawHandle {
        self.handle.object()
    }
}

#[twins]
impl Party {
    /// Arrives without waiting for the others; returns the phase, for [`Phaser::wait`].
    ///
    /// # Errors
    /// [`PhaserError::AlreadyArrived`] the second time in a phase; [`PhaserError::NotRegistered`] when the session has ended;
    /// [`PhaserError::Terminated`]; [`Error::ObjectLost`] when the phaser was deleted. And as every call's.
    pub async fn arrive(&self) -> Result<u64, Error<PhaserError>> {
        self.handle.arrive_async(self.party).await.map_err(lost)
    }

    /// Arrives and waits for the others; returns the phase that begins then, so 1 the first time.
    ///
    /// Dropping the future takes the arrival back, unless the phase has ended.
    ///
    /// # Errors
    /// As [`arrive`](Self::arrive).
    pub async fn arrive_and_wait(&self) -> Result<u64, Error<PhaserError>> {
        self.handle.arrive_and_wait_async(self.party).await.map_err(lost)
    }

    /// Arrives and waits for the others at most that long; returns the phase that begins then.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the phase went on for all that time: the party has not arrived in it. And as
    /// [`arrive`](Self::arrive).
    pub async fn arrive_and_wait_timeout(&self, timeout: Duration) -> Result<u64, Error<PhaserError>> {
        self.handle.with_timeout(timeout).arrive_and_wait_async(self.party).await.map_err(lost)
    }

    /// Arrives for the last time, and leaves; returns the phase, for [`Phaser::wait`].
    ///
    /// # Errors
    /// As [`arrive`](Self::arrive); the party leaves all the same.
    pub async fn arrive_and_deregister(mut self) -> Result<u64, Error<PhaserError>> {
        let phase = self.handle.arrive_and_deregister_async(self.party).await.map_err(lost)?;
        self.registered = false;
        Ok(phase)
    }

    /// Leaves, whether it has arrived in this phase or not: the others no longer wait for it.
    ///
    /// # Errors
    /// [`PhaserError::NotRegistered`] when the session has ended; and as every call's.
    pub async fn deregister(mut self) -> Result<(), Error<PhaserError>> {
        let left = self.handle.deregister_async(self.party).await.map_err(lost);
        self.registered = !matches!(left, Ok(()) | Err(Error::Method(_) | Error::ObjectLost { .. }));
        left
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        if self.registered {
            // Also when a call to leave was given up or failed: a second one does no harm.
            self.handle.object().cast("deregister", &(self.party,));
        }
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "party {} of {:?}", self.party, self.object())
    }
}

//! What the story asks of the objects that it is played on.

use greenroom::Error;

use super::pole::{Condition, Pole, Team};

/// The North Pole in objects: a lock over its state, conditions of that lock, and a barrier for each team.
pub trait Place: Clone + Send + 'static {
    /// Waits at the condition until the pole is `ready`, and then makes that change of it.
    ///
    /// # Errors
    /// As every call's, of shared objects; local ones have none.
    fn change_when<R>(
        &self,
        condition: Condition,
        ready: impl Fn(&Pole) -> bool,
        change: impl FnOnce(&mut Pole) -> R,
    ) -> Result<R, Error>;

    /// Has all who wait at the condition look again.
    ///
    /// # Errors
    /// As [`change_when`](Self::change_when)'s.
    fn notify_all(&self, condition: Condition) -> Result<(), Error>;

    /// Waits until all of that team and Santa are here.
    ///
    /// # Errors
    /// As [`change_when`](Self::change_when)'s.
    fn meet(&self, team: Team) -> Result<(), Error>;

    /// Makes a change of the pole at once.
    ///
    /// # Errors
    /// As [`change_when`](Self::change_when)'s.
    fn change<R>(&self, change: impl FnOnce(&mut Pole) -> R) -> Result<R, Error> {
        self.change_when(Condition::Called, |_| true, change)
    }
}

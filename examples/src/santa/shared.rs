//! The pole of shared objects.

use std::time::Duration;

use greenroom::sync::{Barrier, Condvar, Mutex};
use greenroom::{Error, cloud};
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::pole::{Condition, Pole, Size, Team};
use super::story::{Role, Times};
use crate::fresh;

/// The pole in `greenroom::sync`, for threads of any processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shared {
    pole: Mutex<Pole>,
    conditions: [Condvar<Pole>; 3],
    barriers: [Barrier; 2],
}

impl Shared {
    /// A pole where nobody has come yet.
    ///
    /// # Errors
    /// As every call's.
    pub fn new(size: Size) -> Result<Self, Error> {
        let pole = Mutex::named("pole", Pole::new(size));
        pole.object().force_new()?;
        let conditions = Condition::ALL.map(|condition| pole.condvar(format!("{condition:?}")));
        let barriers = Team::ALL.map(|team| Barrier::named(format!("{team:?} and Santa"), size.of(team) + 1));
        for barrier in &barriers {
            fresh(barrier.clone())?;
        }
        Ok(Self { pole, conditions, barriers })
    }
}

impl Place for Shared {
    fn change_when<R>(
        &self,
        condition: Condition,
        ready: impl Fn(&Pole) -> bool,
        change: impl FnOnce(&mut Pole) -> R,
    ) -> Result<R, Error> {
        let condvar = &self.conditions[condition as usize];
        let mut pole = condvar.wait_while(self.pole.lock()?, |pole| !ready(pole))?;
        let changed = change(&mut pole);
        pole.unlock()?;
        Ok(changed)
    }

    fn notify_all(&self, condition: Condition) -> Result<(), Error> {
        self.conditions[condition as usize].notify_all()
    }

    fn meet(&self, team: Team) -> Result<(), Error> {
        self.barriers[team as usize].wait()?;
        Ok(())
    }
}

/// One role, as a cloud thread.
#[cloud]
pub fn play(role: Role, place: Shared, holiday: Duration) -> Result<Times, Error> {
    role.play(&place, holiday)
}

//! The pole of local objects.

use std::sync::{Arc, Barrier, Condvar, Mutex};

use greenroom::Error;

use super::place::Place;
use super::pole::{Condition, Pole, Size, Team};

/// The pole in `std::sync`, for the threads of one process.
#[derive(Clone, Debug)]
pub struct Local(Arc<Objects>);

#[derive(Debug)]
struct Objects {
    pole: Mutex<Pole>,
    conditions: [Condvar; 3],
    barriers: [Barrier; 2],
}

impl Local {
    /// A pole where nobody has come yet.
    pub fn new(size: Size) -> Self {
        Self(Arc::new(Objects {
            pole: Mutex::new(Pole::new(size)),
            conditions: Condition::ALL.map(|_| Condvar::new()),
            barriers: Team::ALL.map(|team| Barrier::new(size.of(team) + 1)),
        }))
    }
}

impl Place for Local {
    fn change_when<R>(
        &self,
        condition: Condition,
        ready: impl Fn(&Pole) -> bool,
        change: impl FnOnce(&mut Pole) -> R,
    ) -> Result<R, Error> {
        let condvar = &self.0.conditions[condition as usize];
        let pole = self.0.pole.lock().expect("nobody panics");
        let mut pole = condvar.wait_while(pole, |pole| !ready(pole)).expect("nobody panics");
        Ok(change(&mut pole))
    }

    fn notify_all(&self, condition: Condition) -> Result<(), Error> {
        self.0.conditions[condition as usize].notify_all();
        Ok(())
    }

    fn meet(&self, team: Team) -> Result<(), Error> {
        self.0.barriers[team as usize].wait();
        Ok(())
    }
}

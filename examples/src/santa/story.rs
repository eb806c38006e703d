//! Who does what at the North Pole: the same on whatever objects.

use std::thread;
use std::time::Duration;

use greenroom::Error;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::pole::{Condition, Pole, Size, Team};

/// How often something was done.
pub type Times = u64;

/// Somebody at the North Pole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// He serves whole teams, reindeer first.
    Santa,
    /// One of a team, of that number.
    Member(Team, u32),
}

impl Role {
    /// All roles, Santa's first.
    pub fn all(size: Size) -> Vec<Self> {
        let members = |team, count: usize| (0..).take(count).map(move |number| Self::Member(team, number));
        let (reindeer, elves) = (members(Team::Reindeer, size.reindeer), members(Team::Elves, size.elves));
        [Self::Santa].into_iter().chain(reindeer).chain(elves).collect()
    }

    /// Plays the role until Santa retires; returns how often he has served a team, or this member was served.
    ///
    /// Before they come, reindeer are on holiday, for a random time up to that.
    ///
    /// # Errors
    /// As every call's: then the others wait for ever.
    pub fn play(self, place: &impl Place, holiday: Duration) -> Result<Times, Error> {
        match self {
            Self::Santa => santa(place),
            Self::Member(Team::Reindeer, number) => {
                let mut random = ChaCha8Rng::seed_from_u64(number.into());
                let rest = || thread::sleep(random.random_range(Duration::ZERO..=holiday));
                member(place, Team::Reindeer, number, rest)
            }
            Self::Member(Team::Elves, number) => member(place, Team::Elves, number, || {}),
        }
    }
}

/// Sleeps until a team is complete, and serves it.
fn santa(place: &impl Place) -> Result<Times, Error> {
    let mut served = 0;
    loop {
        let called = place.change_when(Condition::Complete, |pole| pole.complete().is_some(), |pole| pole.call())?;
        let Some(team) = called else { continue };
        place.notify_all(Condition::Called)?;
        place.meet(team)?; // all are harnessed, or in the study
        let is_last = place.change(|pole| pole.serve(team))?;
        served += 1;
        place.meet(team)?; // it is done
        place.meet(team)?; // all have left
        place.change(|pole| {
            pole.dismiss(team);
            if is_last {
                pole.retire();
            }
        })?;
        place.notify_all(Condition::Left)?;
        if is_last {
            place.notify_all(Condition::Called)?;
            return Ok(served);
        }
    }
}

/// Comes to Santa again and again, each time with a team.
fn member(place: &impl Place, team: Team, number: u32, mut rest: impl FnMut()) -> Result<Times, Error> {
    let mut served = 0;
    loop {
        rest();
        let is_complete = place.change_when(Condition::Left, |pole| pole.has_room(team), |pole| pole.come(team))?;
        if is_complete {
            place.notify_all(Condition::Complete)?;
        }
        let is_called = |pole: &Pole| pole.is_called(team);
        if !place.change_when(Condition::Called, is_called, |pole| pole.enter(team, number))? {
            return Ok(served);
        }
        place.meet(team)?; // all are harnessed, or in the study
        place.meet(team)?; // it is done
        place.change(|pole| pole.leave(team, number))?;
        place.meet(team)?; // all have left
        served += 1;
    }
}

//! What is so at the North Pole: who waits, who is with Santa, and what has happened.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A team that comes to Santa together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Team {
    /// All reindeer, to deliver toys.
    Reindeer,
    /// Some of the elves, to consult him.
    Elves,
}

impl Team {
    /// Both, the one that is served first in the first place.
    pub const ALL: [Self; 2] = [Self::Reindeer, Self::Elves];
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// By Santa: a team is complete.
    Complete,
    /// By who has come: Santa calls the team.
    Called,
    /// By who comes: the team before has left.
    Left,
}

impl Condition {
    /// All.
    pub const ALL: [Self; 3] = [Self::Complete, Self::Called, Self::Left];
}

/// How many of each there are, and what Santa is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Reindeer, all of whom it takes.
    pub reindeer: usize,
    /// Elves.
    pub elves: usize,
    /// Elves that come together.
    pub elves_together: usize,
    /// Deliveries, after which Santa retires.
    pub years: u64,
}

impl Size {
    /// How many come to Santa together.
    pub fn of(&self, team: Team) -> usize {
        match team {
            Team::Reindeer => self.reindeer,
            Team::Elves => self.elves_together,
        }
    }
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Times that toys were delivered.
    pub deliveries: u64,
    /// Times that elves were consulted.
    pub consultations: u64,
    /// Of both, how often it was not as it should be: not exactly that team was there, or not all of it.
    pub violations: u64,
}

/// One of the teams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    /// How many have come, since the last ones have left.
    come: usize,
    is_called: bool,
    /// The numbers of those who are harnessed, or in the study. Nothing is decided by it: it is what Santa sees.
    with_santa: BTreeSet<u32>,
}

/// The state of the North Pole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pole {
    size: Size,
    groups: [Group; 2],
    is_santa_retired: bool,
    tally: Tally,
}

impl Pole {
    /// Nobody has come yet.
    pub fn new(size: Size) -> Self {
        Self { size, groups: Default::default(), is_santa_retired: false, tally: Tally::default() }
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn group(&mut self, team: Team) -> &mut Group {
        &mut self.groups[team as usize]
    }

    /// Whether one more of the team may come now, or needs not come any more.
    pub(super) fn has_room(&self, team: Team) -> bool {
        let group = &self.groups[team as usize];
        self.is_santa_retired || (!group.is_called && group.come < self.size.of(team))
    }

    /// One of the team comes; returns whether the team is complete by that.
    pub(super) fn come(&mut self, team: Team) -> bool {
        let size = self.size.of(team);
        let group = self.group(team);
        group.come += 1;
        group.come == size
    }

    /// Whether who has come shall wait no longer.
    pub(super) fn is_called(&self, team: Team) -> bool {
        self.is_santa_retired || self.groups[team as usize].is_called
    }

    /// One is harnessed, or enters the study; returns whether, for Santa may have retired.
    pub(super) fn enter(&mut self, team: Team, number: u32) -> bool {
        if !self.is_santa_retired {
            self.group(team).with_santa.insert(number);
        }
        !self.is_santa_retired
    }

    /// One is unharnessed, or leaves the study.
    pub(super) fn leave(&mut self, team: Team, number: u32) {
        self.group(team).with_santa.remove(&number);
    }

    /// The team that Santa has to serve next.
    pub(super) fn complete(&self) -> Option<Team> {
        Team::ALL.into_iter().find(|team| self.groups[*team as usize].come == self.size.of(*team))
    }

    /// Santa calls the team that he serves next, if there is one.
    pub(super) fn call(&mut self) -> Option<Team> {
        let team = self.complete()?;
        self.group(team).is_called = true;
        Some(team)
    }

    /// Santa delivers toys, or is consulted, by whoever is here; returns whether that was his last delivery.
    pub(super) fn serve(&mut self, team: Team) -> bool {
        let with_santa = self.groups.each_ref().map(|group| group.with_santa.len());
        let expected = Team::ALL.map(|other| if other == team { self.size.of(team) } else { 0 });
        self.tally.violations += u64::from(with_santa != expected);
        match team {
            Team::Reindeer => self.tally.deliveries += 1,
            Team::Elves => self.tally.consultations += 1,
        }
        self.tally.deliveries == self.size.years
    }

    /// All of the team have left, and others may come.
    pub(super) fn dismiss(&mut self, team: Team) {
        let group = self.group(team);
        (group.come, group.is_called) = (0, false);
    }

    /// Nobody needs to come any more.
    pub(super) fn retire(&mut self) {
        self.is_santa_retired = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pole() -> Pole {
        Pole::new(Size { reindeer: 2, elves: 4, elves_together: 3, years: 2 })
    }

    #[test]
    fn reindeer_go_first_and_elves_wait_until_those_before_them_have_left() {
        let mut pole = pole();
        let come = |pole: &mut Pole, team| pole.has_room(team).then(|| pole.come(team));
        let elves: Vec<_> = (0..4).map(|_| come(&mut pole, Team::Elves)).collect();
        assert_eq!(elves, [Some(false), Some(false), Some(true), None]);
        assert_eq!(pole.complete(), Some(Team::Elves));
        let reindeer: Vec<_> = (0..2).map(|_| come(&mut pole, Team::Reindeer)).collect();
        assert_eq!(reindeer, [Some(false), Some(true)]);
        assert_eq!(pole.call(), Some(Team::Reindeer));
        assert!(pole.is_called(Team::Reindeer) && !pole.is_called(Team::Elves));
        pole.dismiss(Team::Reindeer);
        assert_eq!(pole.call(), Some(Team::Elves));
        assert_eq!(come(&mut pole, Team::Elves), None, "they are in the study");
        pole.dismiss(Team::Elves);
        assert_eq!((pole.call(), come(&mut pole, Team::Elves)), (None, Some(false)));
    }

    #[test]
    fn santa_sees_who_is_missing_and_who_should_not_be_there() {
        let violations = |there: &[(Team, u32)]| {
            let mut pole = pole();
            there.iter().for_each(|(team, number)| assert!(pole.enter(*team, *number)));
            pole.serve(Team::Reindeer);
            pole.tally().violations
        };
        let (first, second) = ((Team::Reindeer, 0), (Team::Reindeer, 1));
        assert_eq!(violations(&[first, second]), 0);
        assert_eq!(violations(&[first]), 1);
        assert_eq!(violations(&[first, first]), 1);
        assert_eq!(violations(&[first, second, (Team::Elves, 0)]), 1);

        let mut pole = pole();
        pole.enter(Team::Elves, 0);
        pole.dismiss(Team::Elves);
        assert!(pole.enter(Team::Reindeer, 0) && pole.enter(Team::Reindeer, 1));
        pole.serve(Team::Reindeer);
        assert_eq!(pole.tally().violations, 1, "an elf is in the study still, who was sent away");
    }

    #[test]
    fn nobody_comes_in_vain_once_santa_has_retired() {
        let mut pole = pole();
        assert!(!pole.serve(Team::Reindeer) && pole.serve(Team::Reindeer), "after the years that he is to work");
        pole.retire();
        assert!(pole.has_room(Team::Elves) && pole.is_called(Team::Elves) && !pole.enter(Team::Elves, 0));
    }
}

//! The object behind `Phaser`: parties that come and go meet at the end of each phase.

use std::collections::BTreeMap;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::{Grants, WaitQueue};
use crate::ids::{Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;
use crate::waiter::Waiter;

/// Parties that come and go meet at the end of each phase; use it through the client's `Phaser`.
#[object(name = "Phaser")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PhaserObject {
    phase: u64,
    /// The registrations.
    parties: Grants,
    /// The parties that have arrived in this phase.
    arrived: BTreeMap<WaiterId, Arrival>,
    /// Calls that wait for the end of a phase without being a party, each with that phase.
    waiting: WaitQueue<Result<u64, PhaserError>, u64>,
    terminated: bool,
}

/// How a party has arrived.
#[derive(Debug, Serialize, Deserialize)]
enum Arrival {
    /// And has gone on.
    Passed,
    /// And waits for the others. If it gives up, it has not arrived.
    Waits(Waiter<Result<u64, PhaserError>>),
}

impl Arrival {
    fn stands(&self) -> bool {
        match self {
            Self::Passed => true,
            Self::Waits(waiter) => waiter.is_live(),
        }
    }
}

/// Why a phaser refused a call. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PhaserError {
    /// The party has arrived in this phase before; it may do so again in the next.
    #[error("the party has arrived in phase {phase} already")]
    AlreadyArrived {
        /// The phase that goes on.
        phase: u64,
    },
    /// The party is not, or no longer, registered: its session has ended, or the phaser was made anew.
    #[error("the party is not registered")]
    NotRegistered,
    /// The phaser was terminated.
    #[error("the phaser was terminated")]
    Terminated,
}

#[object]
impl PhaserObject {
    /// Registers the caller's new party, which has not arrived in this phase; returns its name.
    pub fn register(&mut self, turn: &mut Turn) -> Result<WaiterId, PhaserError> {
        self.check_open()?;
        let party = turn.grant();
        self.parties.give(party, turn.owner(), (), turn);
        Ok(party)
    }

    /// The party arrives and goes on; returns the phase in which it arrived.
    pub fn arrive(&mut self, party: WaiterId) -> Result<u64, PhaserError> {
        self.check_may_arrive(party)?;
        let phase = self.phase;
        self.arrived.insert(party, Arrival::Passed);
        self.advance_if_complete();
        Ok(phase)
    }

    /// The party arrives and waits for the others; brings the phase that has begun then.
    pub fn arrive_and_wait(&mut self, party: WaiterId, waiter: Waiter<Result<u64, PhaserError>>) {
        match self.check_may_arrive(party) {
            Ok(()) => {
                self.arrived.insert(party, Arrival::Waits(waiter));
                self.advance_if_complete();
            }
            Err(error) => waiter.reply(Err(error)),
        }
    }

    /// The party arrives and leaves; returns the phase in which it arrived.
    pub fn arrive_and_deregister(&mut self, party: WaiterId) -> Result<u64, PhaserError> {
        self.check_may_arrive(party)?;
        let phase = self.phase;
        self.remove(party);
        Ok(phase)
    }

    /// The party leaves, whether it has arrived or not.
    pub fn deregister(&mut self, party: WaiterId) -> Result<(), PhaserError> {
        if self.remove(party) { Ok(()) } else { Err(PhaserError::NotRegistered) }
    }

    /// Waits for the end of that phase; brings the phase that goes on then.
    pub fn wait(&mut self, phase: u64, waiter: Waiter<Result<u64, PhaserError>>) {
        match self.check_open() {
            Err(error) => waiter.reply(Err(error)),
            Ok(()) if phase < self.phase => waiter.reply(Ok(self.phase)),
            Ok(()) => self.waiting.push(waiter, phase),
        }
    }

    /// The phase that goes on, from 0.
    pub fn phase(&self) -> u64 {
        self.phase
    }

    /// How many parties there are.
    pub fn registered(&self) -> u64 {
        self.parties.len() as u64
    }

    /// How many of them have arrived in this phase.
    pub fn arrived(&self) -> u64 {
        self.arrived.values().filter(|arrival| arrival.stands()).count() as u64
    }

    /// Ends the phaser for good: who waits is told so, and so is who comes. Doing so twice means nothing.
    pub fn terminate(&mut self) {
        self.terminated = true;
        for arrival in std::mem::take(&mut self.arrived).into_values() {
            if let Arrival::Waits(waiter) = arrival {
                waiter.reply(Err(PhaserError::Terminated));
            }
        }
        for (waiter, _) in self.waiting.drain() {
            waiter.reply(Err(PhaserError::Terminated));
        }
    }

    /// Whether the phaser was terminated.
    pub fn is_terminated(&self) -> bool {
        self.terminated
    }

    fn check_open(&self) -> Result<(), PhaserError> {
        if self.terminated { Err(PhaserError::Terminated) } else { Ok(()) }
    }

    fn check_may_arrive(&self, party: WaiterId) -> Result<(), PhaserError> {
        self.check_open()?;
        if self.parties.get(party).is_none() {
            return Err(PhaserError::NotRegistered);
        }
        match self.arrived.get(&party) {
            Some(arrival) if arrival.stands() => Err(PhaserError::AlreadyArrived { phase: self.phase }),
            _ => Ok(()),
        }
    }

    /// Removes a party, if it is registered: the others no longer wait for it.
    fn remove(&mut self, party: WaiterId) -> bool {
        let removed = self.parties.take(party).is_some();
        if removed {
            if let Some(Arrival::Waits(waiter)) = self.arrived.remove(&party) {
                waiter.reply(Err(PhaserError::NotRegistered));
            }
            self.advance_if_complete();
        }
        removed
    }

    /// Begins the next phase, if all parties that are left have arrived. Call it when one has arrived or gone.
    fn advance_if_complete(&mut self) {
        if self.terminated || self.arrived.len() < self.parties.len() {
            return;
        }
        // Only now does it matter whether everybody is still here.
        self.arrived.retain(|_, arrival| arrival.stands());
        if self.arrived.len() < self.parties.len() {
            return;
        }
        self.phase += 1;
        for arrival in std::mem::take(&mut self.arrived).into_values() {
            if let Arrival::Waits(waiter) = arrival {
                waiter.reply(Ok(self.phase));
            }
        }
        let phase = self.phase;
        for (waiter, _) in self.waiting.drain_if(|&over| over < phase) {
            waiter.reply(Ok(phase));
        }
    }

    /// The caller gave up after its party was registered: nobody would take it away.
    fn grant_cancelled(&mut self, grant: WaiterId, _turn: &mut Turn) {
        self.remove(grant);
    }

    /// An owner has ended: its parties are gone, and the others do not wait for them.
    fn owner_gone(&mut self, owner: Owner, _turn: &mut Turn) {
        if self.parties.take_all_of(owner).is_empty() {
            return;
        }
        let parties = &self.parties;
        self.arrived.retain(|&party, _| parties.get(party).is_some());
        self.advance_if_complete();
    }

    fn holders(&self) -> Vec<Holder> {
        self.parties.holders(|()| "party".to_owned())
    }

    fn summary(&self) -> serde_json::Value {
        json!({
            "phase": self.phase,
            "registered": self.parties.len(),
            "arrived": self.arrived(),
            "waiting": self.waiting.len(),
            "terminated": self.terminated,
        })
    }
}

//! What goes wrong: processes die, stop and come back, links break, members come and go, clients freeze and die.

use greenroom_actors::{Identity, MemberStatus, ViewCommand};

use super::World;
use super::events::Event;
use super::process::ProcessId;
use super::raft::Command;

/// There are never more machines than this.
const MACHINES_MAX: usize = 8;

impl World {
    /// Something goes wrong, or is mended.
    pub(crate) fn trouble(&mut self) {
        let at = self.now + self.draws.between(30_000, 900_000);
        self.events.add(at, Event::Trouble);
        if self.is_healed {
            return self.operate();
        }
        let running: Vec<ProcessId> = self.running().collect();
        let Some(process) = self.draws.pick(&running) else { return };
        let machine = self.processes[process.0].machine;
        let client = usize::try_from(self.draws.below(self.clients.len() as u64)).unwrap_or(0);
        match self.draws.below(22) {
            0 | 1 => self.try_crash(process),
            2 | 3 => self.die_half_heard(),
            4..=6 => self.pause(process),
            7 | 8 => self.isolate(machine),
            9..=11 => self.cut_link(machine),
            12 | 13 => self.mend_links(),
            14 if self.machines.len() < MACHINES_MAX => _ = self.add_machine(),
            15 => self.try_leave(process),
            16 => {
                let for_us = self.draws.between(50_000, 5_000_000);
                self.freeze_client(client, for_us);
            }
            17 => self.kill_client(client),
            18 => {
                self.say(|| format!("trouble   c{client} and m{machine} are cut off from each other"));
                self.cut_client(client, machine);
            }
            19 => self.end_client_session(client),
            20 | 21 => self.die_half_heard(),
            _ => {}
        }
    }

    fn pause(&mut self, process: ProcessId) {
        let for_us = if self.draws.one_in(2) { self.draws.below(400_000) } else { self.draws.below(3_000_000) };
        self.say(|| format!("trouble   p{} stops for {} ms", process.0, for_us / 1_000));
        self.processes[process.0].paused_until = self.now + for_us;
    }

    /// Who orders a slot's calls dies some time after its words have ceased to reach one of the copies: the others have what
    /// that one lacks then, and it may be the next to order.
    fn die_half_heard(&mut self) {
        let view = self.raft.view();
        let slots: Vec<_> = view.slots.iter().filter(|placement| placement.in_sync.len() > 2).collect();
        let Some(placement) = self.draws.pick(&slots) else { return };
        let others: Vec<_> =
            placement.in_sync.iter().copied().filter(|&node| Some(node) != placement.primary).collect();
        let Some(other) = self.draws.pick(&others) else { return };
        let (Some(process), Some(other)) =
            (placement.primary.and_then(|node| self.process_of(node)), self.process_of(other))
        else {
            return;
        };
        let (from, to) = (self.processes[process.0].machine, self.processes[other.0].machine);
        self.say(|| format!("trouble   p{} reaches m{to} no more, and will die", process.0));
        self.network.cut.insert((from, to));
        let at = self.now + self.draws.between(100_000, 1_500_000);
        self.events.add(at, Event::Die(process));
    }

    /// A process dies, unless that loses what nobody else has.
    pub(crate) fn try_crash(&mut self, process: ProcessId) {
        let node = self.processes[process.0].node;
        let view = self.raft.view();
        let is_there = |other: &greenroom_actors::NodeId| Some(*other) != node && self.process_of(*other).is_some();
        let has_last = |placement: &greenroom_actors::Placement| {
            node.is_some_and(|node| placement.in_sync.contains(&node)) && !placement.in_sync.iter().any(is_there)
        };
        if view.slots.iter().any(has_last) {
            return;
        }
        let machine = self.processes[process.0].machine;
        self.crash(process);
        // Its disk goes too, if a majority of those who vote keeps theirs.
        let voters = &self.raft.voters;
        let keeps = |machine: &&super::Machine| voters.contains(&machine.identity) && !machine.has_left;
        let n_kept = self.machines.iter().filter(keeps).count();
        if self.draws.one_in(3) && n_kept.saturating_sub(1) > voters.len() / 2 {
            self.machines[machine].identity = Identity(self.draws.number() | 1);
            self.say(|| format!("trouble   m{machine} loses its disk"));
        }
        let at = self.now + self.draws.between(50_000, 3_000_000);
        self.events.add(at, Event::Start(machine));
    }

    pub(crate) fn crash(&mut self, process: ProcessId) {
        self.say(|| format!("trouble   p{} dies", process.0));
        let dead = &mut self.processes[process.0];
        dead.is_alive = false;
        dead.drop_all();
        let machine = dead.machine;
        self.machines[machine].running = None;
        self.ghost.forget_process(process);
    }

    /// A member goes for good.
    fn try_leave(&mut self, process: ProcessId) {
        let n_staying = self.running().filter(|id| !self.processes[id.0].wants_to_go).count();
        if n_staying > 3 {
            self.say(|| format!("trouble   p{} wants to go", process.0));
            self.processes[process.0].wants_to_go = true;
        }
    }

    fn isolate(&mut self, machine: usize) {
        self.say(|| format!("trouble   m{machine} is cut off from all others"));
        for other in (0..self.machines.len()).filter(|&other| other != machine) {
            self.network.cut.insert((machine, other));
            self.network.cut.insert((other, machine));
        }
    }

    fn cut_link(&mut self, machine: usize) {
        let other = usize::try_from(self.draws.below(self.machines.len() as u64)).unwrap_or(0);
        self.network.cut.insert((machine, other));
        let both = self.draws.one_in(2);
        if both {
            self.network.cut.insert((other, machine));
        }
        let ways = if both { "both ways" } else { "one way" };
        self.say(|| format!("trouble   m{machine} and m{other} are cut off, {ways}"));
        self.network.cut.remove(&(machine, machine));
    }

    fn mend_links(&mut self) {
        self.say(|| "trouble   all links are mended".to_owned());
        self.network.cut.clear();
    }

    /// Everything is mended: links, processes, and what an operator has to give up.
    pub(crate) fn heal(&mut self) {
        self.is_healed = true;
        self.say(|| "all is mended from here on".to_owned());
        self.network.mend();
        for process in &mut self.processes {
            process.paused_until = process.paused_until.min(self.now);
        }
        for machine in 0..self.machines.len() {
            let at = self.now + self.draws.below(100_000);
            self.events.add(at, Event::Start(machine));
        }
        self.heal_clients();
    }

    /// An operator looks: members that are suspected and gone for good are forgotten, and what is lost is given up.
    pub(crate) fn operate(&mut self) {
        let view = self.raft.view();
        let gone = view.members.values().filter(|member| member.status == MemberStatus::Suspect);
        let gone: Vec<_> = gone.map(|member| member.node).filter(|&node| self.process_of(node).is_none()).collect();
        for node in gone {
            self.commit(&Command::View(ViewCommand::Forget(node)));
        }
        let lost: Vec<_> = self
            .raft
            .view()
            .iter()
            .filter(|(_, placement)| placement.primary.is_none())
            .map(|(slot, placement)| (slot, placement.epoch))
            .collect();
        if !lost.is_empty() {
            self.commit(&Command::View(ViewCommand::AcceptLoss(lost)));
        }
    }
}

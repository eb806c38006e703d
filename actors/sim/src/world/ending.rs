//! What must be so in the end, when everything has been mended and has had time.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::{Lane, MemberStatus, NodeId, SessionId, Slot, SlotId};

use super::World;
use super::process::ProcessId;
use crate::{Limits, Verdict};

/// How much work the search for an order of one object's calls may be.
const LIMITS: Limits = Limits { steps_max: 400_000, configurations_max: 200_000 };

impl World {
    pub(crate) fn check_end(&mut self) {
        let members = self.check_members();
        self.judge(members, "in the end everybody who runs is a member, and nobody else");
        let places = self.check_places();
        self.judge(places, "in the end every slot has its copies, and is served");
        let copies = self.check_copies();
        self.judge(copies, "in the end all copies are equal");
        let open = self.check_open();
        self.judge(open, "in the end every call of a client that lives is answered");
        let order = self.check_order();
        self.judge(order, "what clients saw is linearizable");
    }

    fn check_members(&self) -> Result<(), String> {
        let view = self.raft.view();
        for member in view.members.values() {
            if member.status != MemberStatus::Up || self.process_of(member.node).is_none() {
                return Err(format!("{member:?}"));
            }
        }
        for id in self.running() {
            let process = &self.processes[id.0];
            let is_member = process.node.is_some_and(|node| view.members.contains_key(&node));
            if is_member == process.wants_to_go {
                return Err(format!("p{} is {:?}, wants to go: {}", id.0, process.node, process.wants_to_go));
            }
        }
        Ok(())
    }

    fn check_places(&self) -> Result<(), String> {
        let view = self.raft.view();
        let n_copies = usize::from(view.copies).min(view.members.len());
        for (slot, placement) in view.iter() {
            let distinct: BTreeSet<&NodeId> = placement.in_sync.iter().collect();
            let serves =
                |node: NodeId| self.process_of(node).is_some_and(|id| self.processes[id.0].serves(slot, self.now));
            if distinct.len() != n_copies || placement.joining.is_some() || !placement.primary.is_some_and(serves) {
                return Err(format!("slot {slot}: {placement:?}"));
            }
        }
        Ok(())
    }

    fn copy_of(&self, slot: SlotId, node: NodeId) -> Option<(ProcessId, &Slot)> {
        let id = self.process_of(node)?;
        Some((id, self.processes[id.0].host.slot(slot)?))
    }

    fn check_copies(&self) -> Result<(), String> {
        let view = self.raft.view();
        for (slot, placement) in view.iter() {
            let mut first: Option<(ProcessId, BTreeMap<String, String>)> = None;
            for &node in &placement.in_sync {
                let Some((id, copy)) = self.copy_of(slot, node) else {
                    return Err(format!("slot {slot}: node {node} has no copy"));
                };
                let seen = contents(copy, |session, lane| !self.is_ephemeral_lane(session, lane));
                let Some((other, expected)) = &first else {
                    first = Some((id, seen));
                    continue;
                };
                for key in expected.keys().chain(seen.keys()) {
                    if expected.get(key) != seen.get(key) {
                        let (one, two) = (expected.get(key), seen.get(key));
                        return Err(format!("slot {slot}, {key}: p{} has {one:?}, p{} has {two:?}", other.0, id.0));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_order(&mut self) -> Result<(), String> {
        let history = self.sound_history();
        let report = crate::report(&history, &LIMITS);
        (self.outcome.n_histories, self.outcome.n_unchecked) = (report.parts, report.parts_given_up);
        match report.verdict {
            Verdict::NotLinearizable { object, explanation } => Err(format!("{object}: {explanation}")),
            Verdict::Linearizable | Verdict::GaveUp { .. } => Ok(()),
        }
    }

    /// The history without the objects whose data was lost: what became of those, nobody promises.
    fn sound_history(&mut self) -> crate::History {
        let mut history = self.split_history();
        let view = self.raft.view();
        let lost: BTreeSet<u32> = self
            .targets
            .iter()
            .filter(|target| view.placement(target.slot).is_none_or(|placement| placement.generation > 0))
            .map(|target| target.history.0)
            .collect();
        history.operations.retain(|operation| !lost.contains(&operation.object.0));
        history
    }
}

/// All of a copy that must be equal on every one, as text by name.
fn contents(copy: &Slot, is_told: impl Fn(SessionId, Lane) -> bool) -> BTreeMap<String, String> {
    let mut contents = BTreeMap::new();
    for (_, entry) in copy.objects().iter() {
        let instance = entry.instance().borrow();
        if !instance.is_vacant() {
            let text = match instance.is_ephemeral() {
                true => format!("ephemeral, made at {}", instance.made_at()),
                false => format!("{:02x?} {:?}", instance.encoded_state(), instance.parked()),
            };
            contents.insert(format!("{}/{}", entry.object_type().name, entry.key()), text);
        }
    }
    for (session, image) in copy.replies().images() {
        if !image.has_ended() {
            for (lane, call) in image.calls() {
                if is_told(session, lane) {
                    contents.insert(format!("call {:x}.{lane}", session.0), format!("{call:?}"));
                }
            }
        }
    }
    contents
}

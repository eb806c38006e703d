//! How a process becomes a member.

use serde::{Deserialize, Serialize};

use super::change::begun;
use super::{Changed, MemberStatus, View, ViewMember};
use crate::ids::{ClusterId, Epoch, Identity, Incarnation, NodeId};

/// The most members that a cluster has.
pub const MEMBERS_MAX: usize = 1024;
/// The longest name and the longest address of a member, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Why a process cannot join. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JoinRefusal {
    /// Another process has that name. Try again: if that one is gone, it is removed when its lease is over, unless it holds the
    /// last copy of something, for which the cluster waits.
    #[error(
        "a node named `{name}` is a member already, at {address}; it is removed when it is gone, unless it has the last copy of \
         something, which an operator may give up with `forget`"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other one is.
        address: String,
    },
    /// A process with the same identity is a member. It is gone, as they have one disk: ask again and say that you replace it.
    #[error("the member {0} has the same identity: this process may replace it")]
    Replaces(NodeId),
    /// There is no cluster yet.
    #[error("the cluster has not been founded")]
    NotFounded,
    /// The cluster has all the members that it can have.
    #[error("the cluster has {MEMBERS_MAX} members, the most that it can have")]
    Full,
    /// The name is empty, or the name or the address is too long.
    #[error("the name of a node has 1 to {NAME_BYTES_MAX} bytes, and its address has at most as many")]
    NameUnfit,
}

/// What a process says of itself when it wants to be a member.
pub(super) struct Joiner<'a> {
    pub(super) name: &'a str,
    pub(super) address: &'a str,
    pub(super) incarnation: Incarnation,
    pub(super) identity: Identity,
    pub(super) replaces: Option<NodeId>,
}

impl View {
    pub(super) fn join(&mut self, joiner: &Joiner<'_>) -> Changed {
        if let Some(member) = self.members.values().find(|member| member.incarnation == joiner.incarnation) {
            return Changed::Joined(member.node);
        }
        let earlier = match self.admit(joiner) {
            Ok(earlier) => earlier,
            Err(refusal) => return Changed::Refused(refusal),
        };
        if let Some(earlier) = earlier {
            // What the process before this one held in memory is gone.
            self.forget(earlier);
        }
        let is_first = self.next_node == 0;
        let node = NodeId(self.next_node);
        self.next_node += 1;
        let (name, address) = (joiner.name.to_owned(), joiner.address.to_owned());
        let (incarnation, identity, status) = (joiner.incarnation, joiner.identity, MemberStatus::Up);
        self.members.insert(node, ViewMember { node, name, address, incarnation, identity, status });
        if is_first {
            for placement in &mut self.slots {
                *placement = begun(Epoch(1), node, 0);
            }
        }
        self.version.0 += 1;
        Changed::Joined(node)
    }

    /// The member that makes way for the joiner, if one has to.
    fn admit(&self, joiner: &Joiner<'_>) -> Result<Option<NodeId>, JoinRefusal> {
        if self.cluster == ClusterId(0) {
            return Err(JoinRefusal::NotFounded);
        }
        if joiner.name.is_empty() || joiner.name.len().max(joiner.address.len()) > NAME_BYTES_MAX {
            return Err(JoinRefusal::NameUnfit);
        }
        let earlier = self.members.values().find(|member| member.identity == joiner.identity).map(|member| member.node);
        // An old request of an earlier process, which arrives late, must not remove its successor: it names another member.
        if let Some(earlier) = earlier.filter(|&earlier| joiner.replaces != Some(earlier)) {
            return Err(JoinRefusal::Replaces(earlier));
        }
        if let Some(other) = self.named(joiner.name).filter(|other| Some(other.node) != earlier) {
            let (name, address) = (other.name.clone(), other.address.clone());
            return Err(JoinRefusal::NameTaken { name, address });
        }
        if earlier.is_none() && self.members.len() >= MEMBERS_MAX {
            return Err(JoinRefusal::Full);
        }
        Ok(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{SlotId, TableVersion};
    use crate::view::ViewCommand;
    use crate::view::tests::{join, joined, placed};

    fn again(name: &str, identity: u64, incarnation: u64, replaces: Option<NodeId>) -> ViewCommand {
        let ViewCommand::Join { name, address, .. } = join(name, 0) else { unreachable!("`join` makes a Join") };
        let (incarnation, identity) = (Incarnation(incarnation), Identity(identity));
        ViewCommand::Join { name, address, incarnation, identity, replaces }
    }

    #[test]
    fn the_first_member_gets_every_slot_and_the_second_none() {
        let view = joined(&["a", "b"], 8, 2);
        assert!(view.slots.iter().all(|placement| placement.in_sync == [NodeId(0)] && placement.epoch == Epoch(1)));
    }

    #[test]
    fn a_join_that_is_repeated_changes_nothing() {
        let mut view = joined(&["a", "b"], 8, 2);
        let before = view.clone();
        assert_eq!(view.apply(&join("b", 1)), Changed::Joined(NodeId(1)));
        assert_eq!(view, before);
    }

    #[test]
    fn nobody_joins_before_the_cluster_is_founded_or_with_an_unfit_name() {
        assert_eq!(View::default().apply(&join("a", 1)), Changed::Refused(JoinRefusal::NotFounded));
        let mut view = joined(&["a"], 8, 2);
        for name in ["", &"n".repeat(256)] {
            assert_eq!(view.apply(&join(name, 5)), Changed::Refused(JoinRefusal::NameUnfit));
        }
    }

    #[test]
    fn a_name_belongs_to_its_member_even_while_that_one_is_suspected() {
        let mut view = joined(&["a", "b"], 8, 2);
        for _ in 0..2 {
            let refusal = view.apply(&again("a", 77, 77, Some(NodeId(0))));
            assert!(matches!(refusal, Changed::Refused(JoinRefusal::NameTaken { .. })), "{refusal:?}");
            view.apply(&ViewCommand::Remove { node: NodeId(0), alive: [NodeId(1)].into() });
            assert_eq!(view.members[&NodeId(0)].status, MemberStatus::Suspect);
        }
    }

    #[test]
    fn a_process_replaces_the_one_that_had_its_disk() {
        let mut view = joined(&["a", "b"], 8, 2);
        placed(&mut view, SlotId(0), &[0, 1]);
        let identity = view.members[&NodeId(0)].identity.0;
        let refusal = Changed::Refused(JoinRefusal::Replaces(NodeId(0)));
        assert_eq!(view.apply(&again("a", identity, 50, None)), refusal);
        assert_eq!(view.apply(&again("a", identity, 50, Some(NodeId(0)))), Changed::Joined(NodeId(2)));
        assert!(!view.members.contains_key(&NodeId(0)));
        assert_eq!(view.slots[0].in_sync, [NodeId(1)], "the other copy goes on");
        assert_eq!(view.n_lost(), 7, "what only the earlier process had is lost");
        // It keeps its disk under another name, too.
        assert_eq!(view.apply(&again("z", identity, 51, Some(NodeId(2)))), Changed::Joined(NodeId(3)));
    }

    #[test]
    fn an_old_request_to_join_does_not_remove_the_process_that_came_after() {
        let mut view = joined(&["a"], 8, 2);
        let identity = view.members[&NodeId(0)].identity.0;
        let second = again("a", identity, 50, Some(NodeId(0)));
        view.apply(&second);
        view.apply(&again("a", identity, 51, Some(NodeId(1))));
        let before = view.clone();
        assert_eq!(view.apply(&second), Changed::Refused(JoinRefusal::Replaces(NodeId(2))));
        assert_eq!(view, before);
        assert_eq!(view.version, TableVersion(4));
    }
}

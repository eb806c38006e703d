//! Which members vote in the Raft group that holds the view.

use std::collections::BTreeSet;

use super::{MemberStatus, View, ViewMember};
use crate::ids::{Identity, NodeId};

impl View {
    /// The voters that there should be after `current`, if others: 1, 3 or 5, by how many members are up.
    ///
    /// A voter that the view has given up is replaced by a member that is up and in `alive`, one in each change. Deaths
    /// alone do not make fewer than three of three, or of five with four up: who died may come back, and counts then.
    pub fn voters(&self, current: &BTreeSet<Identity>, alive: &BTreeSet<NodeId>) -> Option<BTreeSet<Identity>> {
        let up = || self.members.values().filter(|member| member.status == MemberStatus::Up);
        let is_usable = |member: &&ViewMember| current.contains(&member.identity) || alive.contains(&member.node);
        let (mut kept, mut new): (Vec<_>, Vec<_>) =
            up().filter(is_usable).map(|member| member.identity).partition(|identity| current.contains(identity));
        let is_leaving = |identity: &&Identity| {
            let member = self.members.values().find(|member| member.identity == **identity);
            member.is_some_and(|member| member.status == MemberStatus::Leaving)
        };
        let (leaving, staying): (BTreeSet<Identity>, BTreeSet<Identity>) =
            current.iter().partition(|identity| is_leaving(identity));
        let wanted = wanted(kept.len() + new.len(), staying.len());
        kept.truncate(wanted);
        if kept.is_empty() && new.is_empty() {
            // Nobody is known to be there who could take over.
            return None;
        }
        new.truncate(wanted - kept.len());
        let gone: Vec<Identity> = staying.iter().copied().filter(|identity| !kept.contains(identity)).collect();
        let is_replacement = wanted == current.len() && !new.is_empty();
        if is_replacement {
            new.truncate(1);
        }
        // Who went away without a word stays until somebody takes its place, and makes way before those who leave.
        let missing = wanted.saturating_sub(kept.len() + new.len());
        let leaving = leaving.into_iter().filter(|_| is_replacement);
        let waiting = leaving.chain(gone).take(missing);
        let next: BTreeSet<Identity> = kept.iter().chain(&new).copied().chain(waiting).collect();
        // Without a majority of the new voters the change could not be committed, nor any other after it.
        let is_alive = |identity: &&Identity| {
            self.members.values().any(|member| member.identity == **identity && alive.contains(&member.node))
        };
        let n_alive = next.iter().filter(is_alive).count();
        (next != *current && 2 * n_alive > next.len()).then_some(next)
    }
}

/// How many voters there should be, of so many members that could be voters, where so many voters do not want to go.
fn wanted(n_usable: usize, n_staying: usize) -> usize {
    match (n_usable, n_staying) {
        (5.., _) | (4, 5..) => 5,
        (3.., _) | (_, 3..) => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::ViewCommand;
    use crate::view::tests::{join, joined};

    /// The identity of node n is n, as [`joined`] gives them.
    fn identities(numbers: &[u64]) -> BTreeSet<Identity> {
        numbers.iter().copied().map(Identity).collect()
    }

    fn nodes(numbers: &[u32]) -> BTreeSet<NodeId> {
        numbers.iter().copied().map(NodeId).collect()
    }

    fn gone(view: &mut View, node: u32) {
        let alive = view.members.keys().copied().filter(|other| other.0 != node).collect();
        for placement in &mut view.slots {
            (placement.primary, placement.in_sync) = (Some(NodeId(0)), vec![NodeId(0)]);
        }
        view.apply(&ViewCommand::Remove { node: NodeId(node), alive });
    }

    #[test]
    fn there_are_one_three_or_five_by_the_number_of_members() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let all = nodes(&[0, 1, 2, 3, 4, 5]);
        let current = identities(&[0]);
        for (count, expected) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (6, 5)] {
            let view = joined(&names[..count], 4, 2);
            let next = view.voters(&current, &all).unwrap_or_else(|| current.clone());
            assert_eq!(next.len(), expected, "of {count}");
            assert_eq!(view.voters(&next, &all), None, "of {count}: it rests");
        }
    }

    #[test]
    fn who_has_no_lease_does_not_become_a_voter_and_a_voter_without_one_stays() {
        let view = joined(&["a", "b", "c", "d"], 4, 2);
        assert_eq!(view.voters(&identities(&[0]), &nodes(&[0, 1])), None);
        assert_eq!(view.voters(&identities(&[0]), &nodes(&[0, 1, 3])), Some(identities(&[0, 1, 3])));
        assert_eq!(view.voters(&identities(&[0, 1, 2]), &nodes(&[0, 3])), None, "the view has not given them up");
    }

    #[test]
    fn a_dead_voter_is_replaced_when_there_is_another_member() {
        let mut view = joined(&["a", "b", "c"], 4, 2);
        gone(&mut view, 2);
        assert_eq!(view.voters(&identities(&[0, 1, 2]), &nodes(&[0, 1])), None, "it may come back");
        view.apply(&join("d", 3));
        assert_eq!(view.voters(&identities(&[0, 1, 2]), &nodes(&[0, 1, 3])), Some(identities(&[0, 1, 3])));
    }

    #[test]
    fn dead_voters_are_replaced_one_by_one() {
        let mut view = joined(&["a", "b", "c", "d", "e", "f", "g"], 4, 2);
        gone(&mut view, 3);
        gone(&mut view, 4);
        let alive = nodes(&[0, 1, 2, 5, 6]);
        let mut voters = identities(&[0, 1, 2, 3, 4]);
        let mut steps = 0;
        while let Some(next) = view.voters(&voters, &alive) {
            assert_eq!((next.len(), next.difference(&voters).count()), (5, 1));
            (voters, steps) = (next, steps + 1);
        }
        assert_eq!((voters, steps), (identities(&[0, 1, 2, 5, 6]), 2));
    }

    #[test]
    fn three_that_are_left_of_five_are_the_voters() {
        let mut view = joined(&["a", "b", "c", "d", "e"], 4, 2);
        let all = identities(&[0, 1, 2, 3, 4]);
        gone(&mut view, 4);
        assert_eq!(view.voters(&all, &nodes(&[0, 1, 2, 3])), None, "one may come back");
        gone(&mut view, 3);
        assert_eq!(view.voters(&all, &nodes(&[0, 1, 2])), Some(identities(&[0, 1, 2])));
    }

    #[test]
    fn who_leaves_votes_no_longer_so_that_the_last_one_can_be_alone() {
        let mut view = joined(&["a", "b", "c"], 4, 2);
        view.apply(&ViewCommand::Leave(NodeId(0)));
        let next = view.voters(&identities(&[0, 1, 2]), &nodes(&[0, 1, 2]));
        assert_eq!(next, Some(identities(&[1])));
        view.apply(&ViewCommand::Leave(NodeId(1)));
        assert_eq!(view.voters(&identities(&[1]), &nodes(&[1, 2])), Some(identities(&[2])));
    }

    #[test]
    fn a_leaving_voter_is_replaced_before_it_goes() {
        let mut view = joined(&["a", "b", "c", "d"], 4, 2);
        view.apply(&ViewCommand::Leave(NodeId(1)));
        let next = view.voters(&identities(&[0, 1, 2]), &nodes(&[0, 1, 2, 3]));
        assert_eq!(next, Some(identities(&[0, 2, 3])));
    }
}

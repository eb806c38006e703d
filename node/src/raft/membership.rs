//! Who should be in the group, and who of them should vote.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::{Identity, NodeId, View};
use openraft::{ChangeMembers, Membership};

use super::types::Metrics;

/// The next change of the group's members, if there should be one; it is proposed when the one before has been answered.
///
/// Whoever is a member of the view, or `joining` (by identity, with the address), is in the group. `ready` are the members that
/// have a lease and nearly all entries: only they become voters. Whoever leads, `me`, does not take itself out, as openraft
/// bears no change by a leader that is not in the group; the next one does.
pub(super) fn next_change(
    view: &View,
    group: &Membership<u64, String>,
    joining: &BTreeMap<u64, String>,
    ready: &BTreeSet<NodeId>,
    me: Identity,
) -> Option<ChangeMembers<u64, String>> {
    if let [_, .., last] = &group.get_joint_config()[..] {
        // A leader before this one did not come to the end of its change.
        return Some(ChangeMembers::ReplaceAllVoters(last.clone()));
    }
    let mut wanted: BTreeMap<u64, String> =
        view.members.values().map(|member| (member.identity.0, member.address.clone())).collect();
    // The process that is joining is the only one that has the identity: an earlier one is gone.
    wanted.extend(joining.iter().map(|(identity, address)| (*identity, address.clone())));
    let differs = |(identity, address): &(&u64, &String)| group.get_node(identity) != Some(*address);
    let new: BTreeMap<u64, String> =
        wanted.iter().filter(differs).map(|(identity, address)| (*identity, address.clone())).collect();
    if !new.is_empty() {
        return Some(ChangeMembers::SetNodes(new));
    }
    let voters: BTreeSet<Identity> = group.voter_ids().map(Identity).collect();
    if let Some(next) = view.voters(&voters, ready) {
        return Some(ChangeMembers::ReplaceAllVoters(next.into_iter().map(|identity| identity.0).collect()));
    }
    let is_surplus = |identity: &u64| *identity != me.0 && !wanted.contains_key(identity);
    let surplus: BTreeSet<u64> = group.learner_ids().filter(is_surplus).collect();
    (!surplus.is_empty()).then_some(ChangeMembers::RemoveNodes(surplus))
}

/// Who votes; `None` while that is changed, which is over when it is committed: whoever stops voting is needed until then, as
/// those who vote from then on may not all know of it.
pub(super) fn settled_voters(metrics: &Metrics) -> Option<BTreeSet<Identity>> {
    let members = &metrics.membership_config;
    match &members.membership().get_joint_config()[..] {
        [voters] if *members.log_id() <= metrics.last_applied => Some(voters.iter().copied().map(Identity).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use greenroom_actors::{ClusterId, Incarnation, ViewCommand};
    use openraft::CommittedLeaderId;

    use super::super::types::{LogId, StoredMembership};
    use super::*;

    #[test]
    fn who_votes_is_settled_when_the_change_is_committed() {
        let at = |index| Some(LogId::new(CommittedLeaderId::new(1, 0), index));
        let settled = |configs: &[&[u64]], applied| {
            let mut metrics = Metrics::new_initial(0);
            metrics.membership_config = Arc::new(StoredMembership::new(at(5), group(configs, &[0, 1, 2])));
            metrics.last_applied = applied;
            settled_voters(&metrics)
        };
        assert_eq!(settled(&[&[1]], None), None);
        assert_eq!(settled(&[&[1]], at(4)), None);
        assert_eq!(settled(&[&[1]], at(5)), Some([Identity(1)].into()));
        assert_eq!(settled(&[&[0, 1, 2], &[1]], at(5)), None);
    }

    /// A view whose node n has the name, address and identity n.
    fn view(n_nodes: u64) -> View {
        let mut view = View::default();
        View::apply(&mut view, &ViewCommand::Found { cluster: ClusterId(1), n_slots: 1, copies: 2 });
        for n in 0..n_nodes {
            let (name, address, incarnation) = (n.to_string(), n.to_string(), Incarnation(n + 1));
            let join = ViewCommand::Join { name, address, incarnation, identity: Identity(n), replaces: None };
            View::apply(&mut view, &join);
        }
        view
    }

    fn group(voters: &[&[u64]], nodes: &[u64]) -> Membership<u64, String> {
        let configs = voters.iter().map(|config| config.iter().copied().collect()).collect();
        Membership::new(configs, nodes.iter().map(|n| (*n, n.to_string())).collect::<BTreeMap<_, _>>())
    }

    fn next(view: &View, group: &Membership<u64, String>, joining: &[u64]) -> Option<ChangeMembers<u64, String>> {
        let joining = joining.iter().map(|n| (*n, n.to_string())).collect();
        next_change(view, group, &joining, &view.members.keys().copied().collect(), Identity(0))
    }

    fn voters(voters: &[u64]) -> Option<ChangeMembers<u64, String>> {
        Some(ChangeMembers::ReplaceAllVoters(voters.iter().copied().collect()))
    }

    #[test]
    fn where_all_is_as_it_should_be_nothing_changes() {
        assert_eq!(next(&view(2), &group(&[&[0]], &[0, 1]), &[]), None);
    }

    #[test]
    fn who_joins_is_in_the_group_first_and_votes_when_it_is_ready() {
        let (view, alone) = (view(3), group(&[&[0]], &[0, 1, 2]));
        let new = [(7, "7".to_owned())].into();
        assert_eq!(next(&view, &alone, &[7]), Some(ChangeMembers::SetNodes(new)));
        assert_eq!(next(&view, &alone, &[]), voters(&[0, 1, 2]));
        assert_eq!(next_change(&view, &alone, &BTreeMap::new(), &[NodeId(0), NodeId(1)].into(), Identity(0)), None);
    }

    #[test]
    fn a_process_that_is_back_elsewhere_is_found_there() {
        let joining = [(1, "elsewhere".to_owned())].into();
        let change = next_change(&view(2), &group(&[&[0]], &[0, 1]), &joining, &BTreeSet::new(), Identity(0));
        assert_eq!(change, Some(ChangeMembers::SetNodes(joining)));
    }

    #[test]
    fn who_is_no_member_is_taken_out_when_it_does_not_vote() {
        let surplus = [9].into();
        assert_eq!(next(&view(2), &group(&[&[0]], &[0, 1, 9]), &[]), Some(ChangeMembers::RemoveNodes(surplus)));
        assert_eq!(next(&view(2), &group(&[&[0]], &[0, 1, 9]), &[9]), None);
    }

    #[test]
    fn who_leads_and_is_no_member_any_more_is_taken_out_by_the_next_leader() {
        let (view, group) = (view(2), group(&[&[0]], &[0, 1, 2]));
        let led_by = |me| next_change(&view, &group, &BTreeMap::new(), &BTreeSet::new(), me);
        assert_eq!(led_by(Identity(2)), None);
        assert_eq!(led_by(Identity(1)), Some(ChangeMembers::RemoveNodes([2].into())));
    }

    #[test]
    fn a_change_that_was_begun_is_finished() {
        let joint = group(&[&[0], &[0, 1, 2]], &[0, 1, 2]);
        assert_eq!(next(&view(3), &joint, &[]), voters(&[0, 1, 2]));
    }
}

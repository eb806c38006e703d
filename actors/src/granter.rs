//! The other side of the leases: who leads the Raft group grants them, and knows whose is over.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{NodeId, TableVersion};
use crate::lease::{LeaseSettings, RenewalId};
use crate::view::View;

/// An answer to a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalAnswer {
    /// The node has a lease once it has installed the view of this version.
    Granted(NodeId, RenewalId, TableVersion),
    /// The node is no member, and will never be one again: it drops what it has, and joins anew.
    NotMember(NodeId, RenewalId),
}

/// Grants leases while this process leads the Raft group.
///
/// A round confirms renewals: [`Granter::begin_round`], then a quorum says that this process leads still, then
/// [`Granter::confirmed`] with the view as it is after all that was committed until then. Before `Remove` or `Forget`
/// of a node is proposed, the node is held; it is released when the proposal has been answered.
///
/// Times are milliseconds of a monotonic clock of this process.
#[derive(Debug)]
pub struct Granter {
    settings: LeaseSettings,
    /// While it leads.
    term: Option<Term>,
    held: BTreeSet<NodeId>,
}

#[derive(Debug)]
struct Term {
    number: u64,
    since: u64,
    /// When this process was seen last, and since when it has run on time.
    seen_at: u64,
    on_time_since: u64,
    /// The newest renewal of each node that came since the last round began, and those that the round is about.
    waiting: BTreeMap<NodeId, RenewalId>,
    in_round: BTreeMap<NodeId, RenewalId>,
    granted_at: BTreeMap<NodeId, u64>,
    /// When members were seen first that have been granted nothing.
    known_since: BTreeMap<NodeId, u64>,
}

impl Granter {
    /// It leads nothing yet.
    pub fn new(settings: LeaseSettings) -> Self {
        Self { settings, term: None, held: BTreeSet::new() }
    }

    /// This process leads. What was granted before is not known: for a whole lease nobody's is over.
    ///
    /// Nodes that are held stay held: what was proposed in an earlier term may come yet.
    pub fn became_leader(&mut self, now: u64, number: u64) {
        if self.term.as_ref().is_some_and(|term| term.number == number) {
            return;
        }
        self.term = Some(Term {
            number,
            since: now,
            seen_at: now,
            on_time_since: now,
            waiting: BTreeMap::new(),
            in_round: BTreeMap::new(),
            granted_at: BTreeMap::new(),
            known_since: BTreeMap::new(),
        });
    }

    /// Another process leads, or nobody.
    pub fn became_follower(&mut self) {
        self.term = None;
    }

    /// This process runs. To be called at least every [`LeaseSettings::renewal_ms`]; whatever came late for the process
    /// itself, like renewals that nobody read, is not laid to the charge of others.
    pub fn tick(&mut self, now: u64) {
        let renewal_ms = self.settings.renewal_ms();
        let Some(term) = &mut self.term else { return };
        if now > term.seen_at + renewal_ms {
            term.on_time_since = now;
        }
        term.seen_at = term.seen_at.max(now);
    }

    /// A node asks for a lease. It is heard in the round that begins next, unless it is held.
    pub fn renewal(&mut self, node: NodeId, id: RenewalId) {
        if let Some(term) = &mut self.term
            && !self.held.contains(&node)
        {
            term.waiting.insert(node, id);
        }
    }

    /// Begins a round for the renewals that wait. `false` if there are none, or a round is under way.
    pub fn begin_round(&mut self) -> bool {
        let Some(term) = &mut self.term else { return false };
        if !term.in_round.is_empty() {
            return false;
        }
        term.in_round = std::mem::take(&mut term.waiting);
        !term.in_round.is_empty()
    }

    /// A quorum has said, after the round began, that this process leads. These are the answers, to be sent at once.
    pub fn confirmed(&mut self, view: &View, now: u64) -> Vec<RenewalAnswer> {
        let Some(term) = &mut self.term else { return Vec::new() };
        let answer = |(node, id)| {
            if !view.members.contains_key(&node) {
                return RenewalAnswer::NotMember(node, id);
            }
            term.granted_at.insert(node, now);
            RenewalAnswer::Granted(node, id, view.version)
        };
        std::mem::take(&mut term.in_round).into_iter().map(answer).collect()
    }

    /// No quorum has said so: the renewals of the round are not answered, and the nodes ask again.
    pub fn round_failed(&mut self) {
        if let Some(term) = &mut self.term {
            term.in_round.clear();
        }
    }

    /// Grants a node nothing more, not even what is in a round: its removal is about to be proposed.
    pub fn hold(&mut self, node: NodeId) {
        self.held.insert(node);
        if let Some(term) = &mut self.term {
            term.waiting.remove(&node);
            term.in_round.remove(&node);
        }
    }

    /// The removal was applied, or cannot come any more from this process: the node may be granted leases if it is a
    /// member.
    ///
    /// What another leader has of it in its log is applied before that one's first round is confirmed.
    pub fn release(&mut self, node: NodeId) {
        self.held.remove(&node);
    }

    /// Whether a removal of the node is under way.
    pub fn is_held(&self, node: NodeId) -> bool {
        self.held.contains(&node)
    }

    /// Whether this process has led for longer than any lease that was granted before lasts.
    pub fn is_settled(&self, now: u64) -> bool {
        self.term.as_ref().is_some_and(|term| now > term.since + self.settings.granter_ms())
    }

    /// The nodes that have been granted a lease in this term which is not over.
    pub fn alive(&self, now: u64) -> BTreeSet<NodeId> {
        let Some(term) = &self.term else { return BTreeSet::new() };
        let has_lease = |at: u64| now <= at + self.settings.granter_ms();
        let nodes = term.granted_at.iter().filter(|&(node, &at)| has_lease(at) && !self.held.contains(node));
        nodes.map(|(&node, _)| node).collect()
    }

    /// The members whose lease is over, and of whom no renewal waits; none unless this process has run on time for long
    /// enough to have heard them all.
    pub fn overdue(&mut self, view: &View, now: u64) -> BTreeSet<NodeId> {
        self.tick(now);
        let granter_ms = self.settings.granter_ms();
        let Some(term) = &mut self.term else { return BTreeSet::new() };
        term.granted_at.retain(|node, _| view.members.contains_key(node));
        term.known_since.retain(|node, _| view.members.contains_key(node));
        for &node in view.members.keys() {
            term.known_since.entry(node).or_insert(now);
        }
        if now <= term.on_time_since + granter_ms && !planted!(SkipLeaseWait) {
            return BTreeSet::new();
        }
        let is_over = |node: &NodeId| {
            let at = term.granted_at.get(node).or_else(|| term.known_since.get(node)).copied().unwrap_or(now);
            let at = if planted!(SkipLeaseWait) && !term.granted_at.contains_key(node) { 0 } else { at };
            now > at + granter_ms && !term.waiting.contains_key(node) && !term.in_round.contains_key(node)
        };
        view.members.keys().copied().filter(is_over).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::joined;

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);

    fn leading() -> (Granter, View) {
        let mut granter = Granter::new(LeaseSettings::default());
        granter.became_leader(1000, 1);
        (granter, joined(&["a", "b"], 4, 2))
    }

    /// Runs the granter on time until `to`, while `renewing` renew every 100 ms; the overdue at the end.
    fn run(granter: &mut Granter, view: &View, from: u64, to: u64, renewing: &[NodeId]) -> BTreeSet<NodeId> {
        let mut overdue = BTreeSet::new();
        for now in (from..=to).step_by(50) {
            for &node in renewing.iter().filter(|_| now % 100 == 0) {
                granter.renewal(node, RenewalId(now));
            }
            if granter.begin_round() {
                granter.confirmed(view, now);
            }
            overdue = granter.overdue(view, now);
        }
        overdue
    }

    #[test]
    fn a_renewal_is_granted_by_the_round_that_begins_after_it() {
        let (mut granter, view) = leading();
        granter.renewal(A, RenewalId(1));
        assert!(granter.begin_round());
        granter.renewal(B, RenewalId(1));
        assert!(!granter.begin_round(), "one is under way");
        assert_eq!(granter.confirmed(&view, 1010), [RenewalAnswer::Granted(A, RenewalId(1), view.version)]);
        assert!(granter.begin_round());
        assert_eq!(granter.confirmed(&view, 1020), [RenewalAnswer::Granted(B, RenewalId(1), view.version)]);
        assert_eq!(granter.alive(1020), [A, B].into());
    }

    #[test]
    fn nobody_is_granted_a_lease_by_who_does_not_lead_or_when_a_round_failed() {
        let (mut granter, view) = leading();
        granter.renewal(A, RenewalId(1));
        granter.begin_round();
        granter.round_failed();
        assert_eq!(granter.confirmed(&view, 1010), []);
        granter.renewal(A, RenewalId(2));
        granter.begin_round();
        granter.became_follower();
        assert_eq!(granter.confirmed(&view, 1010), []);
        granter.renewal(A, RenewalId(3));
        assert!(!granter.begin_round());
    }

    #[test]
    fn who_is_no_member_is_told() {
        let (mut granter, view) = leading();
        granter.renewal(NodeId(9), RenewalId(4));
        granter.begin_round();
        assert_eq!(granter.confirmed(&view, 1010), [RenewalAnswer::NotMember(NodeId(9), RenewalId(4))]);
        assert!(granter.alive(1010).is_empty());
    }

    #[test]
    fn nobody_is_overdue_in_the_first_lease_of_a_term() {
        let (mut granter, view) = leading();
        assert_eq!(run(&mut granter, &view, 1000, 1500, &[]), [].into());
        assert_eq!(run(&mut granter, &view, 1550, 1550, &[]), [A, B].into());
        granter.became_leader(1550, 2);
        assert_eq!(run(&mut granter, &view, 1550, 2050, &[]), [].into());
    }

    #[test]
    fn who_renews_is_not_overdue_and_who_stops_is_after_a_lease() {
        let (mut granter, view) = leading();
        assert_eq!(run(&mut granter, &view, 1000, 3000, &[A, B]), [].into());
        assert_eq!(run(&mut granter, &view, 3050, 3500, &[A]), [].into());
        assert_eq!(run(&mut granter, &view, 3550, 3550, &[A]), [B].into());
        assert_eq!(granter.alive(3550), [A].into());
    }

    #[test]
    fn a_granter_that_stood_still_blames_nobody_for_a_whole_lease() {
        let (mut granter, view) = leading();
        run(&mut granter, &view, 1000, 2000, &[A, B]);
        assert_eq!(granter.overdue(&view, 9000), [].into());
        assert_eq!(run(&mut granter, &view, 9050, 9500, &[]), [].into());
        assert_eq!(run(&mut granter, &view, 9550, 9550, &[]), [A, B].into());
    }

    #[test]
    fn a_renewal_that_waits_for_an_answer_keeps_its_node() {
        let (mut granter, view) = leading();
        run(&mut granter, &view, 1000, 1550, &[A]);
        granter.renewal(B, RenewalId(1));
        assert_eq!(granter.overdue(&view, 1600), [].into());
        granter.begin_round();
        assert_eq!(granter.overdue(&view, 1600), [].into());
        granter.round_failed();
        assert_eq!(granter.overdue(&view, 1600), [B].into());
    }

    #[test]
    fn who_is_held_is_granted_nothing_until_it_is_released() {
        let (mut granter, view) = leading();
        granter.renewal(A, RenewalId(1));
        granter.begin_round();
        granter.renewal(A, RenewalId(2));
        granter.hold(A);
        assert_eq!(granter.confirmed(&view, 1010), []);
        granter.became_leader(1010, 2);
        granter.renewal(A, RenewalId(3));
        assert!(!granter.begin_round(), "another term does not release it");
        granter.release(A);
        granter.renewal(A, RenewalId(4));
        assert!(granter.begin_round());
    }

    #[test]
    fn a_new_member_has_a_whole_lease_to_renew() {
        let (mut granter, mut view) = leading();
        run(&mut granter, &view, 1000, 3000, &[A, B]);
        view.apply(&crate::view::tests::join("c", 2));
        assert_eq!(run(&mut granter, &view, 3050, 3550, &[A, B]), [].into());
        assert_eq!(run(&mut granter, &view, 3600, 3600, &[A, B]), [NodeId(2)].into());
    }
}

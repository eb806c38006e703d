//! Barriers.

use super::{Phase, Specification, Step};
use crate::call::{Call, Reply};

/// Callers that pass together.
///
/// A wait takes effect twice: it arrives, and it leaves when its generation is full. A call that gave up and one that never arrived
/// are the same to the others.
#[derive(Clone, Copy, Debug)]
pub struct BarrierSpec {
    /// How many pass together.
    pub parties: u64,
}

impl Specification for BarrierSpec {
    /// How many times it opened, and how many have arrived since.
    type State = (u64, u64);

    fn initial(&self) -> (u64, u64) {
        (0, 0)
    }

    fn apply(&self, &(opened, waiting): &(u64, u64), step: &Step) -> Option<(u64, u64)> {
        if step.call != Call::BarrierWait {
            return None;
        }
        let is_last = waiting + 1 == self.parties;
        let arrived = if is_last { (opened + 1, 0) } else { (opened, waiting + 1) };
        match (step.phase, step.reply) {
            (Phase::Arrive, None) => Some(arrived),
            (Phase::Arrive, Some(Reply::Passed { leader, generation })) => {
                (generation == opened && leader == is_last).then_some(arrived)
            }
            (Phase::Leave, Some(Reply::Passed { generation, .. })) => {
                (generation < opened).then_some((opened, waiting))
            }
            _ => None,
        }
    }

    fn forced(&self, step: &Step) -> bool {
        step.phase == Phase::Leave
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Arrive, Phase::Leave]
    }
}

//! Whether a history is linearizable.

mod explain;
mod parts;
mod search;
mod visited;

use crate::history::{History, ObjectIndex};

pub use explain::Explanation;
pub(crate) use visited::mix;

/// How much work a check may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many steps the search for the order of one object's calls may try.
    pub steps_max: u64,
    /// How many configurations it may remember, of some 20 to 60 bytes each.
    pub configurations_max: usize,
}

impl Default for Limits {
    /// Some seconds and a few 100 MB at most for each object.
    fn default() -> Self {
        Self { steps_max: 3_000_000, configurations_max: 3_000_000 }
    }
}

/// What a check found.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// There is an order of all calls that is right.
    Linearizable,
    /// There is none.
    NotLinearizable {
        /// The object whose calls have none.
        object: String,
        /// How far an order came.
        explanation: Box<Explanation>,
    },
    /// The search was not finished, and had found nothing wrong.
    GaveUp {
        /// On what object, at which limit.
        why: String,
    },
}

/// A verdict, and the work that it was.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was found.
    pub verdict: Verdict,
    /// How many operations were searched for, without those that were not applied.
    pub operations: usize,
    /// How many steps were tried.
    pub steps: u64,
    /// How many parts of the history were looked at: an object each, or a key of a map.
    pub parts: usize,
    /// Of how many of them the search was not finished.
    pub parts_given_up: usize,
}

/// Checks a history object by object: it is linearizable if the calls of each object are.
///
/// The first object found wrong ends the check; one that is too much work does not.
pub fn check(history: &History, limits: &Limits) -> Verdict {
    report(history, limits).verdict
}

/// [`check`], with the work that it was.
pub fn report(history: &History, limits: &Limits) -> Report {
    conclude(parts::split(history), history, limits)
}

/// Checks the calls of one object.
pub fn check_object(history: &History, object: ObjectIndex, limits: &Limits) -> Verdict {
    let parts = parts::split(history).into_iter().filter(|part| part.object == object).collect();
    conclude(parts, history, limits).verdict
}

fn conclude(parts: Vec<parts::Part>, history: &History, limits: &Limits) -> Report {
    let mut report = Report { verdict: Verdict::Linearizable, operations: 0, steps: 0, parts: 0, parts_given_up: 0 };
    for part in parts {
        report.operations += part.entries.len();
        let (verdict, steps) = part.check(history, limits);
        report.steps += steps;
        report.parts += 1;
        match verdict {
            Verdict::Linearizable => {}
            Verdict::GaveUp { .. } => {
                report.parts_given_up += 1;
                report.verdict = verdict;
            }
            Verdict::NotLinearizable { .. } => {
                report.verdict = verdict;
                break;
            }
        }
    }
    report
}

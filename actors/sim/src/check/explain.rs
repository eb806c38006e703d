//! Why no order was found.

use std::fmt;

use crate::history::{History, ObjectIndex, OperationId};

/// The longest order that a search found, and what stood in its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// How many of the object's steps (or of its key's, in a map) the order has; a wait at a barrier is two steps, all else one.
    pub placed: usize,
    /// How many steps had to be placed.
    pub total: usize,
    /// The state after them; without a search, what is wrong.
    pub state: String,
    /// The last operations of the order, as lines of the history.
    pub last: Vec<String>,
    /// The operations of which one had to come next, and none was allowed, or none led any further.
    pub stuck: Vec<String>,
    /// Unanswered operations that had begun and were not used; they were of no help.
    pub unanswered: Vec<String>,
    /// The object, with its type.
    pub object: String,
}

/// What a search knows about its longest order.
#[derive(Debug, Default)]
pub(super) struct Longest {
    pub(super) placed: usize,
    pub(super) state: String,
    pub(super) last: Vec<OperationId>,
    pub(super) stuck: Vec<OperationId>,
    pub(super) unanswered: Vec<OperationId>,
}

impl Longest {
    pub(super) fn explain(&self, history: &History, object: ObjectIndex, total: usize) -> Explanation {
        let lines = |operations: &[OperationId]| {
            operations.iter().map(|operation| history.operations()[operation.0].to_string()).collect()
        };
        let named = &history.objects()[object.0 as usize];
        Explanation {
            placed: self.placed,
            total,
            state: self.state.clone(),
            last: lines(&self.last),
            stuck: lines(&self.stuck),
            unanswered: lines(&self.unanswered),
            object: format!("{} ({:?})", named.key, named.object_type),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, placed, total, state, .. } = self;
        if self.last.is_empty() && *placed == 0 {
            writeln!(f, "{object}: no order of the {total} steps can be right")?;
        } else {
            writeln!(f, "{object}: the longest right order has {placed} of {total} steps")?;
        }
        writeln!(f, "{:>12} {:>12}  {:<12} {:<40} outcome", "from", "to", "who", "call")?;
        let sections = [
            ("the order ends with", &self.last),
            ("next had to be one of, and could not", &self.stuck),
            ("unanswered, of no help", &self.unanswered),
        ];
        for (index, (title, lines)) in sections.into_iter().enumerate() {
            if !lines.is_empty() {
                writeln!(f, "  {title}:")?;
                lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
            }
            if index == 0 {
                writeln!(f, "  state: {state}")?;
            }
        }
        Ok(())
    }
}

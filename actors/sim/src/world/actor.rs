//! The actors of objects: each applies what its slot hands out, at its own pace and in order.

use std::collections::VecDeque;

use greenroom_actors::{Entry, InstanceImage, Outcomes, SharedInstance};

/// What an actor is asked to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every task is an entry")]
pub(crate) enum Task {
    Apply(Entry),
    Image,
}

/// What an actor has done and not told yet.
#[derive(Debug)]
pub(crate) enum Done {
    Applied(Outcomes),
    Imaged(Option<InstanceImage>),
}

/// The actor of one object.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) instance: SharedInstance,
    pub(crate) tasks: VecDeque<Task>,
    pub(crate) done: VecDeque<Done>,
    /// Whether an event is due that makes it go on.
    pub(crate) is_scheduled: bool,
}

impl Actor {
    pub(crate) fn new(instance: SharedInstance) -> Self {
        Self { instance, tasks: VecDeque::new(), done: VecDeque::new(), is_scheduled: false }
    }
}

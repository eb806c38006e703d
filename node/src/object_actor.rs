//! The actix actor of one object: its mailbox is the only lock there is.

use std::cell::RefCell;
use std::rc::Rc;

use actix::{Actor, Context, Handler, Message};
use greenroom_actors::{Entry, ObjectNumber, Outcomes, SharedInstance, SlotId};

use crate::core::Core;

thread_local! {
    /// Where small states are saved before each write; one buffer for all objects of the shard.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that has become larger is not kept: few states need it, and those have a checkpoint from then on.
const SCRATCH_BYTES_KEPT: usize = 64 << 10;

/// Applies committed entries to one object. It starts at a call and stops when idle; the object outlives it.
pub(crate) struct ObjectActor {
    pub(crate) slot: SlotId,
    pub(crate) object: ObjectNumber,
    pub(crate) instance: SharedInstance,
    pub(crate) core: Rc<RefCell<Core>>,
}

impl Actor for ObjectActor {
    type Context = Context<Self>;
}

/// Entries of one object, committed, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Run(pub(crate) Vec<Entry>);

impl Handler<Run> for ObjectActor {
    type Result = ();

    fn handle(&mut self, run: Run, _context: &mut Context<Self>) {
        let mut outcomes = Outcomes::default();
        SCRATCH.with_borrow_mut(|scratch| {
            let mut instance = self.instance.borrow_mut();
            for entry in &run.0 {
                instance.apply(entry, scratch, &mut outcomes);
            }
            if scratch.capacity() > SCRATCH_BYTES_KEPT {
                *scratch = Vec::new();
            }
        });
        self.core.borrow_mut().handle_outcomes(self.slot, self.object, outcomes);
    }
}

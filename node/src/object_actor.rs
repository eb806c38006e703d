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

/// What an object's actor has to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all work is an entry; a box would cost an allocation for each")]
pub(crate) enum Work {
    /// Apply an entry that is committed.
    Apply(Entry),
    /// Say what the object is, for another copy.
    Image,
}

/// Work for one object, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Run(pub(crate) Vec<Work>);

impl Handler<Run> for ObjectActor {
    type Result = ();

    fn handle(&mut self, run: Run, _context: &mut Context<Self>) {
        let mut outcomes = Outcomes::default();
        for work in &run.0 {
            match work {
                Work::Apply(entry) => SCRATCH.with_borrow_mut(|scratch| {
                    self.instance.borrow_mut().apply(entry, scratch, &mut outcomes);
                }),
                Work::Image => {
                    // The slot hears of what was applied before it hears of the image.
                    self.tell(std::mem::take(&mut outcomes));
                    let image = self.instance.borrow().to_image();
                    let mut core = self.core.borrow_mut();
                    if core.has(self.slot, self.object, &self.instance) {
                        core.handle_image(self.slot, self.object, image);
                    }
                }
            }
        }
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.capacity() > SCRATCH_BYTES_KEPT {
                *scratch = Vec::new();
            }
        });
        self.tell(outcomes);
    }
}

impl ObjectActor {
    fn tell(&self, outcomes: Outcomes) {
        let mut core = self.core.borrow_mut();
        // The copy may have gone, and another one of the slot may be there.
        if outcomes.n_applied > 0 && core.has(self.slot, self.object, &self.instance) {
            core.handle_outcomes(self.slot, self.object, outcomes);
        }
    }
}

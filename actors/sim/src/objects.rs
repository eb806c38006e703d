//! Objects of a user's own, for the simulator: one whose callers wait for a guard, and one that calls others.

use std::collections::VecDeque;

use greenroom_actors::objects::CounterObjectHandle;
use greenroom_actors::{Error, Turn, Waiter};
use serde::{Deserialize, Serialize};

/// Values in order; who takes one waits until there is one.
#[greenroom_macros::object(name = "SimPool")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pool {
    values: VecDeque<i64>,
}

#[greenroom_macros::object]
impl Pool {
    /// Puts a value in.
    pub fn put(&mut self, value: i64) {
        self.values.push_back(value);
    }

    /// Takes the oldest value.
    #[when(!self.values.is_empty())]
    pub fn take(&mut self) -> i64 {
        self.values.pop_front().unwrap_or(i64::MIN)
    }
}

/// Adds to counters for its callers.
#[greenroom_macros::object(name = "SimRelay")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Relay {
    n_relayed: u64,
}

#[greenroom_macros::object]
impl Relay {
    /// Adds 1 to the counter, and answers what came of it.
    pub fn relay(&mut self, to: CounterObjectHandle, waiter: Waiter<i64>, turn: &mut Turn) {
        turn.call(to.message().add(1), Self::then_relayed.with((waiter,)));
    }

    fn then_relayed(&mut self, reply: Result<i64, Error>, waiter: Waiter<i64>) {
        self.n_relayed += 1;
        if let Ok(value) = reply {
            waiter.reply(value);
        }
    }
}

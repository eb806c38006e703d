//! What is under way, and faults at the word of a test.

use std::sync::Arc;

use crate::error::LambdaError;
use crate::instance::{AtDeadline, Instance};
use crate::service::Service;

/// An invocation that a process runs now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Running {
    /// The id that the function sees. Of an event that is delivered twice, both deliveries have the same.
    pub request_id: String,
    /// The function's name.
    pub function: String,
    /// The name of the process, as `hello/3`.
    pub instance: String,
    /// The id of the process.
    pub pid: u32,
    /// For how long it has run, in milliseconds.
    pub for_ms: u64,
    /// Whether it is frozen.
    pub frozen: bool,
}

/// A fault at the word of a test.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Freeze,
    Thaw,
    Kill,
    OutliveDeadline,
}

impl Order {
    /// The word for it in the path of the control endpoint.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "freeze" => Some(Self::Freeze),
            "thaw" => Some(Self::Thaw),
            "kill" => Some(Self::Kill),
            "outlive-deadline" => Some(Self::OutliveDeadline),
            _ => None,
        }
    }

    fn carry_out(self, instance: &Instance) -> bool {
        match self {
            Self::Freeze => instance.freeze(),
            Self::Thaw => instance.thaw(),
            Self::Kill => instance.crash(),
            Self::OutliveDeadline => instance.set_at_deadline(AtDeadline::GoesOn),
        }
    }
}

impl Service {
    /// The processes of all functions.
    pub(crate) fn instances(&self) -> Vec<Arc<Instance>> {
        self.pools.values().flat_map(|pool| pool.instances()).collect()
    }

    /// What is under way, by function and then by the age of the process.
    pub(crate) fn running(&self) -> Vec<Running> {
        let describe = |instance: &Arc<Instance>| {
            let (delivery, since, frozen) = instance.running()?;
            Some(Running {
                request_id: delivery.request_id.clone(),
                function: instance.function.name.clone(),
                instance: instance.name.clone(),
                pid: instance.pid(),
                for_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
                frozen,
            })
        };
        self.instances().iter().filter_map(describe).collect()
    }

    /// Carries an order out on each process that runs this request, or on the process of this name; says on how many.
    pub(crate) fn order(&self, order: Order, of: &str) -> Result<usize, LambdaError> {
        let instances = self.instances();
        let n = instances.iter().filter(|instance| instance.has(of) && order.carry_out(instance)).count();
        if n == 0 { Err(LambdaError::NotRunning { of: of.to_owned() }) } else { Ok(n) }
    }

    /// Has the next invocation of a function delivered twice.
    pub(crate) fn duplicate_next(&self, function: &str) -> Result<(), LambdaError> {
        let pool = self.pools.get(function);
        let pool = pool.ok_or_else(|| LambdaError::NoSuchFunction { name: function.to_owned() })?;
        pool.duplicate_next();
        Ok(())
    }
}

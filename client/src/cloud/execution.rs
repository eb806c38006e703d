//! How a function is run as an attempt, in the process that was handed it.

use std::sync::Arc;

use greenroom_actors::ThreadFailure;

use super::attempt::Attempt;
use super::expand::{Function, Outcome, Run};
use super::gang::Gate;
use super::panics;

impl Attempt {
    /// Runs the function as part of the attempt, on this thread, which must run no async tasks; one of a gang once all have
    /// started. A panic is an outcome.
    ///
    /// What the attempt holds then is its own still: whoever runs it ends it.
    pub(crate) fn run(self: &Arc<Self>, function: &'static Function, arguments: &[u8], gate: Option<&Gate>) -> Outcome {
        panics::note_places();
        if let Some(gate) = gate {
            pollster::block_on(gate.pass(self))?;
        }
        let outcome = self.enter(|| {
            panics::catch(|| match function.run {
                Run::Blocking(run) => run(arguments),
                Run::Async(run) => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime.block_on(self.around(run(arguments.to_vec()))),
                    Err(error) => {
                        let why = format!("no runtime for it can be started: {error}");
                        Err(ThreadFailure::NotStarted { why })
                    }
                },
            })
        });
        outcome?
    }
}

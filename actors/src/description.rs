//! What an object says of itself to people: its state, who holds something of it, who waits in it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::instance::Instance;
use crate::waiter;

/// A state whose JSON would be made of more encoded bytes than this is not shown.
const SHOWN_BYTES_MAX: usize = 64 * 1024;

impl Instance {
    /// The description at `now_ms`, in milliseconds since the Unix epoch.
    ///
    /// An object with `type`, `exists`, `state` (`null` if it is large or has no JSON), `state_bytes`, `holders` (what, grant,
    /// owner, fence, `for_ms`) and `parked` (waiter, call, owner, method, `for_ms`, `deadline_ms`).
    pub fn describe(&self, now_ms: u64) -> Value {
        let encoded_bytes = self.encoded_state().map(|bytes| bytes.len());
        let for_ms = |since_ms: u64| now_ms.saturating_sub(since_ms);
        let parked = self.parked.iter().map(|(waiter, parked)| {
            json!({
                "waiter": waiter.0,
                "call": parked.call.to_string(),
                "owner": parked.owner.to_string(),
                "method": self.object_type.methods.get(usize::from(parked.method)).map(|method| method.name),
                "since_ms": parked.since_ms,
                "for_ms": for_ms(parked.since_ms),
                "deadline_ms": parked.deadline_ms,
            })
        });
        let holders = self.tell(self.object_type.hooks.holders).unwrap_or_default().into_iter().map(|holder| {
            json!({
                "what": holder.what,
                "grant": holder.grant.0,
                "owner": holder.owner.to_string(),
                "fence": holder.fence.0,
                "since_ms": holder.since_ms,
                "for_ms": for_ms(holder.since_ms),
            })
        });
        json!({
            "type": self.object_type.name,
            "exists": self.exists(),
            "state": self.shown_state(encoded_bytes),
            "state_bytes": encoded_bytes,
            "holders": holders.collect::<Vec<_>>(),
            "parked": parked.collect::<Vec<_>>(),
        })
    }

    fn shown_state(&self, encoded_bytes: Option<usize>) -> Option<Value> {
        if let Some(summary) = self.tell(self.object_type.hooks.summary) {
            return Some(summary);
        }
        let small = encoded_bytes.is_some_and(|bytes| bytes <= SHOWN_BYTES_MAX);
        self.state.as_ref().filter(|_| small)?.to_json().ok()
    }

    /// What a hook of the type says; nothing, if it panics.
    fn tell<R>(&self, hook: Option<fn(&dyn Any) -> R>) -> Option<R> {
        let (hook, state) = (hook?, self.state.as_deref()?);
        // So that waiters can tell whether they are live.
        waiter::enter(self.parked.clone());
        let said = catch_unwind(AssertUnwindSafe(|| hook(state)));
        waiter::leave();
        said.ok()
    }
}

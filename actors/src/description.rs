//! What an object says of itself to people: its state, who holds something of it, who waits in it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::execution::panic_message;
use crate::ids::Owner;
use crate::instance::Instance;
use crate::object::Holder;
use crate::waiter;

/// A state whose JSON would be made of more encoded bytes than this is not shown.
const SHOWN_BYTES_MAX: usize = 64 * 1024;

/// What whoever describes an object knows of an owner, beside its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerNote {
    /// What the owner's process says of itself.
    pub process: Option<String>,
    /// When the owner ends, if its process stays away; in milliseconds since the Unix epoch.
    pub ends_at_ms: Option<u64>,
}

impl Instance {
    /// The description at `now_ms`, in milliseconds since the Unix epoch, with at most `rows_max` holders and parked calls.
    ///
    /// An object with `type`, `exists`, `lost`, `ephemeral`, `state` (if `null`, `no_state` says why), `state_bytes`, `holders` (what, grant,
    /// owner, fence, `for_ms`), `parked` (waiter, call, owner, method, `for_ms`, `deadline_ms`), and how many of these two
    /// there are, shown or not: `n_holders` and `n_parked`. It costs an encoding of the state.
    pub fn describe(&mut self, now_ms: u64, rows_max: usize) -> Value {
        self.describe_with(now_ms, rows_max, |_| OwnerNote::default())
    }

    /// As [`describe`](Self::describe), with what `note` says of each owner: `process` and `ends_at_ms`.
    pub fn describe_with(&mut self, now_ms: u64, rows_max: usize, note: impl Fn(Owner) -> OwnerNote) -> Value {
        let for_ms = |since_ms: u64| now_ms.saturating_sub(since_ms);
        let holders = self.holders().unwrap_or_default();
        let n_holders = holders.len();
        let holders = holders.into_iter().take(rows_max).map(|holder| {
            let OwnerNote { process, ends_at_ms } = note(holder.owner);
            json!({
                "what": holder.what,
                "grant": holder.grant.0,
                "owner": holder.owner.to_string(),
                "process": process,
                "ends_at_ms": ends_at_ms,
                "fence": holder.fence.0,
                "since_ms": holder.since_ms,
                "for_ms": for_ms(holder.since_ms),
            })
        });
        let state_bytes = self.state_bytes();
        let (state, no_state) = match self.shown_state(state_bytes) {
            Ok(state) => (Some(state), None),
            Err(why) => (None, Some(why)),
        };
        let parked = self.parked.iter().take(rows_max).map(|(waiter, parked)| {
            let OwnerNote { process, ends_at_ms } = note(parked.owner);
            json!({
                "waiter": waiter.0,
                "call": parked.call.to_string(),
                "owner": parked.owner.to_string(),
                "process": process,
                "ends_at_ms": ends_at_ms,
                "method": self.object_type.methods.get(usize::from(parked.method)).map(|method| method.name),
                "since_ms": parked.since_ms,
                "for_ms": for_ms(parked.since_ms),
                "deadline_ms": parked.deadline_ms,
            })
        });
        json!({
            "type": self.object_type.name,
            "exists": self.exists(),
            "lost": self.lost,
            "ephemeral": self.is_ephemeral(),
            "state": state,
            "no_state": no_state,
            "state_bytes": state_bytes,
            "holders": holders.collect::<Vec<_>>(),
            "n_holders": n_holders,
            "parked": parked.collect::<Vec<_>>(),
            "n_parked": self.parked.len(),
        })
    }

    /// What the object has given out; `None` if its type has nothing to give, or does not say.
    pub fn holders(&mut self) -> Option<Vec<Holder>> {
        self.tell(self.object_type.hooks.holders)
    }

    /// How large the encoded state is; `None` if there is none, or its `Serialize` fails. It goes through the state.
    pub fn state_bytes(&self) -> Option<usize> {
        // Whoever looks must not bring the node down.
        catch_unwind(AssertUnwindSafe(|| self.state.as_ref()?.encoded_bytes().ok())).ok()?
    }

    /// The state for people, or why there is none.
    fn shown_state(&mut self, encoded_bytes: Option<usize>) -> Result<Value, String> {
        if let Some(summary) = self.tell(self.object_type.hooks.summary) {
            return Ok(summary);
        }
        let Some(state) = &self.state else {
            let gone = match self.lost {
                true if self.is_ephemeral() => "the node that had it is gone, or serves the object no more",
                true => "a panic could not be undone",
                false => "there is no object",
            };
            return Err(gone.to_owned());
        };
        match encoded_bytes {
            None => return Err("it cannot be encoded".to_owned()),
            Some(bytes) if bytes > SHOWN_BYTES_MAX => {
                return Err(format!("it has {bytes} bytes, and at most {SHOWN_BYTES_MAX} are shown"));
            }
            Some(_) => {}
        }
        match catch_unwind(AssertUnwindSafe(|| state.to_json())) {
            Ok(shown) => shown.map_err(|error| format!("it has no JSON: {error}")),
            Err(panic) => Err(format!("it has no JSON: {}", panic_message(panic.as_ref()))),
        }
    }

    /// What a hook of the type says; nothing, if it panics.
    fn tell<R>(&mut self, hook: Option<fn(&dyn Any) -> R>) -> Option<R> {
        let (hook, state) = (hook?, self.state.as_deref()?);
        // So that waiters can tell whether they are live.
        waiter::enter(std::mem::take(&mut self.parked));
        let said = catch_unwind(AssertUnwindSafe(|| hook(state)));
        self.parked = waiter::leave().parked;
        said.ok()
    }
}

//! Where a cloud thread panicked: only a hook is told, and it runs before the panic is caught.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use greenroom_actors::ThreadFailure;

use super::attempt::Attempt;

thread_local! {
    /// Where the last panic of this thread was, if one of its panics is to be caught here.
    static PLACE: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Has places of panics noted from now on. What was called at a panic before is called still.
pub(super) fn note_places() {
    static NOTED: Once = Once::new();
    NOTED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A thread that ends may have lost its thread-locals already.
            let is_noted = PLACE.try_with(|place| {
                let mut place = place.borrow_mut();
                place.as_mut().map(|place| *place = panic.location().map(ToString::to_string)).is_some()
            });
            if is_noted == Ok(true)
                && let Some(attempt) = Attempt::current()
            {
                attempt.kept_logs().push(format!("{panic}\n").as_bytes());
            }
            before(panic);
        }));
    });
}

/// Runs `body`, and says why it has no value if it panics.
pub(super) fn catch<T>(body: impl FnOnce() -> T) -> Result<T, ThreadFailure> {
    PLACE.set(Some(None));
    let caught = catch_unwind(AssertUnwindSafe(body));
    let at = PLACE.take().flatten();
    caught.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        ThreadFailure::Panicked { message: text.unwrap_or_else(|| "no message".to_owned()), at }
    })
}

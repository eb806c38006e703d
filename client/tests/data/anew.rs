//! Objects that are deleted and made anew while somebody reads them.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use greenroom::collections::{Blob, List, Matrix, Op, Vector};
use greenroom::{Caller, RawHandle};
use greenroom_actors::{OutgoingCall, ReplyFuture};

use crate::stage::{self, Stage, scenarios};

scenarios! {
    a_blob_that_is_made_anew_between_two_pages_is_read_as_one,
    a_list_that_is_made_anew_between_two_pages_is_read_as_one,
    a_vector_that_is_made_anew_between_two_pages_is_read_as_one,
    a_matrix_that_is_made_anew_between_two_pages_is_read_as_one,
}

/// What happens between two calls.
type Event = Box<dyn FnOnce() + Send>;

/// A way to the nodes on which something happens before the second call.
pub(crate) struct Between {
    caller: Arc<dyn Caller>,
    n_calls: AtomicU32,
    event: Mutex<Option<Event>>,
}

impl Between {
    pub(crate) fn new(caller: Arc<dyn Caller>, event: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Self { caller, n_calls: AtomicU32::new(0), event: Mutex::new(Some(Box::new(event))) })
    }
}

impl Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.caller.fmt(f)
    }
}

impl Caller for Between {
    fn call(&self, call: OutgoingCall) -> ReplyFuture {
        if self.n_calls.fetch_add(1, Ordering::Relaxed) == 1
            && let Some(event) = self.event.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            event();
        }
        self.caller.call(call)
    }

    fn block_on(&self, task: Pin<&mut dyn Future<Output = ()>>) -> bool {
        self.caller.block_on(task)
    }

    fn cast(&self, call: OutgoingCall, otherwise: Option<OutgoingCall>) {
        self.caller.cast(call, otherwise);
    }
}

/// Reads something of several pages that is made anew in between, and changed as often before as after.
fn read_across<T: PartialEq + Debug + Send + 'static>(
    stage: &Stage,
    object: impl Fn(Arc<dyn Caller>) -> RawHandle,
    write: impl Fn(Arc<dyn Caller>, u8) + Send + Clone + 'static,
    read: impl Fn(Arc<dyn Caller>) -> Vec<T>,
) {
    let [reader, other] = stage.sessions();
    for by_force in [false, true] {
        write(other.caller(), 1);
        let before = read(other.caller());
        let (old, caller, again) = (object(other.caller()), other.caller(), write.clone());
        let between = Between::new(reader.caller(), move || {
            if by_force {
                old.force_new().expect("is made anew");
            } else {
                assert_eq!(old.delete(), Ok(true));
            }
            again(caller, 2);
        });
        let seen = read(between);
        let after = read(other.caller());
        assert!(after != before, "it is another one");
        assert!(seen == after, "it was read partly from the one and partly from the other");
        assert_eq!(object(other.caller()).delete(), Ok(true));
    }
}

fn a_blob_that_is_made_anew_between_two_pages_is_read_as_one(stage: &Stage) {
    let blob = |caller| Blob::named("b").through(caller);
    read_across(
        stage,
        |caller| blob(caller).object().clone(),
        move |caller, byte| blob(caller).write(&vec![byte; 5 << 19]).expect("writes"),
        |caller| blob(caller).read().expect("reads"),
    );
}

fn a_list_that_is_made_anew_between_two_pages_is_read_as_one(stage: &Stage) {
    let list = |caller| List::<Vec<u8>>::named("l").through(caller);
    read_across(
        stage,
        |caller| list(caller).object().clone(),
        move |caller, byte| list(caller).extend((0..5).map(|_| vec![byte; 1 << 19])).expect("extends"),
        |caller| list(caller).to_vec().expect("reads"),
    );
}

fn a_vector_that_is_made_anew_between_two_pages_is_read_as_one(stage: &Stage) {
    let vector = |caller| Vector::named("v", 5 << 16, 0_u64).through(caller);
    read_across(
        stage,
        |caller| vector(caller).object().clone(),
        move |caller, number| vector(caller).fill(number.into()).expect("fills"),
        |caller| vector(caller).to_vec().expect("reads"),
    );
}

fn a_matrix_that_is_made_anew_between_two_pages_is_read_as_one(stage: &Stage) {
    let matrix = |caller| Matrix::named("m", 5, 1 << 16, 0_u64).through(caller);
    read_across(
        stage,
        |caller| matrix(caller).object().clone(),
        move |caller, number| {
            let matrix = matrix(caller);
            for row in [0, 4] {
                matrix.merge_row(row, &vec![number.into(); 1 << 16], Op::Sum).expect("merges");
            }
        },
        |caller| matrix(caller).to_rows().expect("reads"),
    );
}

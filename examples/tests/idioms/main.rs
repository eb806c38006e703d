//! Each idiom on threads and its port come to the same, and the guide shows how they differ.

mod guide;

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use greenroom_examples::idioms::{shared, threads};

/// How long a program may take: one that waits for ever shall fail, not hang.
const LIMIT: Duration = Duration::from_secs(60);

/// What the program returns, which runs on a thread of its own.
fn result_of<T: Send + 'static>(program: fn() -> T) -> T {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || tell.send(program()));
    match told.recv_timeout(LIMIT) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("the program still runs after {LIMIT:?}"),
        Err(RecvTimeoutError::Disconnected) => resume_unwind(thread.join().expect_err("it has said nothing")),
    }
}

macro_rules! idioms {
    ($($idiom:ident)*) => {
        /// All idioms, in the order of their sources.
        const IDIOMS: &[&str] = &[$(stringify!($idiom)),*];

        $(
            #[test]
            fn $idiom() {
                assert_eq!(result_of(shared::$idiom), result_of(threads::$idiom));
            }
        )*
    };
}

idioms! {
    worker_pool
    condvar_queue
    phased_barrier
    reader_writer_cache
    double_checked_once
    stop_flag
    compare_and_set
    bounded_pipeline
    ping_pong
    ordered_locks
    starting_gate
    word_count
    static_state
    wait_with_a_limit
}

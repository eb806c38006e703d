//! Processes that stand still for longer than the nodes wait for them.

use greenroom::sync::{Latch, Mutex};
use greenroom::{Counter, Error, ThreadFailure, cloud};

use crate::stage::{
    DEADLINE, SHORT_MS, Stage, addresses, alone, count, drive, failure, join, text_of, three_nodes, wait_for_file,
    write_file,
};

#[cloud]
fn hold_and_go_on(key: String, go: String, said: String) -> Result<(), Error> {
    std::mem::forget(Mutex::named(key.as_str(), 0_u64).lock()?);
    Latch::named(key.as_str(), 1).count_down()?;
    wait_for_file(&go);
    let late = Counter::named(key).increment();
    write_file(&said, &format!("{late:?}"));
    late.map(drop)
}

#[test]
fn a_function_that_stood_still_for_too_long_holds_nothing_and_changes_nothing() {
    alone("frozen::a_function_that_stood_still_for_too_long_holds_nothing_and_changes_nothing", || {
        let nodes = three_nodes(SHORT_MS);
        drive(&addresses(&nodes));
        let stage = Stage::at(&addresses(&nodes), |_| {});
        let (go, said) = (stage.file("go"), stage.file("said"));
        let thread = stage.spawn(hold_and_go_on::call("still".to_owned(), go.clone(), said.clone()));
        Latch::named("still", 1).with_timeout(DEADLINE).wait().expect("it holds the lock");
        let running = stage.until_running(1).remove(0);
        stage.soon("freezes", stage.lambda.freeze(&running.request_id)).expect("it runs");
        drop(Mutex::named("still", 0_u64).with_timeout(DEADLINE).lock().expect("the lock is free"));
        let failure = failure(join(thread));
        assert!(matches!(failure, ThreadFailure::Lost { attempt: 1, .. }), "{failure}");
        write_file(&go, "");
        stage.soon("thaws", stage.lambda.thaw(&running.request_id)).expect("it is frozen");
        let late = text_of(&said);
        assert!(late.starts_with("Err("), "{late}");
        assert_eq!(count("still"), 0);
    });
}

/// Locks for its process, beside its own attempt, and says which process it is.
#[cloud]
fn lock_for_the_process(key: String) -> Result<u32, Error> {
    let locked = std::thread::spawn(move || Mutex::named(key, 0_u64).lock().map(std::mem::forget));
    locked.join().expect("does not panic")?;
    Ok(std::process::id())
}

#[test]
fn an_idle_process_that_stood_still_for_too_long_serves_the_next_event() {
    alone("frozen::an_idle_process_that_stood_still_for_too_long_serves_the_next_event", || {
        let nodes = three_nodes(SHORT_MS);
        drive(&addresses(&nodes));
        let stage = Stage::at(&addresses(&nodes), |_| {});
        let first = join(stage.spawn(lock_for_the_process::call("warm".to_owned()))).expect("runs");
        // Nobody gives that back but the nodes, when they have given the process up.
        drop(Mutex::named("warm", 0_u64).with_timeout(DEADLINE).lock().expect("the lock is free"));
        let second = join(stage.spawn(lock_for_the_process::call("warm".to_owned())));
        assert_eq!(second, Ok(first), "the same process");
    });
}

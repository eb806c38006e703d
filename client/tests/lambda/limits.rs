//! More threads than the platform runs at once.

use greenroom::{Counter, Error, cloud};

use crate::stage::{Stage, count, join};

#[cloud]
fn count_one() -> Result<(), Error> {
    Counter::named("limited").increment()?;
    Ok(())
}

#[test]
fn more_threads_than_the_platform_runs_at_once_all_finish() {
    const THREADS: i64 = 30;
    const AT_ONCE: usize = 4;
    let stage = Stage::shared(|config| config.concurrency_max = AT_ONCE);
    let threads: Vec<_> = (0..THREADS).map(|_| stage.spawn(count_one::call())).collect();
    for thread in threads {
        join(thread).expect("none fails");
    }
    assert_eq!(count("limited"), THREADS);
}

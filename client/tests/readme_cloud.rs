//! The port of a threaded program that the README shows, before and after, compiles and does the same.

#![allow(clippy::unwrap_used, reason = "that is how threaded programs are written")]

mod before {
    // begin before
    use std::sync::{Arc, Barrier, Mutex};
    use std::thread;

    fn work(part: u64, total: Arc<Mutex<u64>>, phase: Arc<Barrier>) -> u64 {
        *total.lock().unwrap() += part;
        phase.wait();
        *total.lock().unwrap() - part
    }

    pub(crate) fn run() -> Vec<u64> {
        let (total, phase) = (Arc::new(Mutex::new(0)), Arc::new(Barrier::new(4)));
        let threads: Vec<_> = (0..4)
            .map(|part| {
                let (total, phase) = (Arc::clone(&total), Arc::clone(&phase));
                thread::spawn(move || work(part, total, phase))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
    // end
}

mod after {
    // begin after
    use greenroom::sync::{Barrier, Mutex};
    use greenroom::{Error, cloud};

    #[cloud]
    fn work(part: u64) -> Result<u64, Error> {
        let (total, phase) = (Mutex::named("total", 0), Barrier::named("phase", 4));
        *total.lock()? += part;
        phase.wait()?;
        Ok(*total.lock()? - part)
    }

    pub(crate) fn run() -> Result<Vec<u64>, Error> {
        let threads: Vec<_> = (0..4).map(work::spawn).collect();
        threads.into_iter().map(|thread| Ok(thread.join()?)).collect()
    }
    // end
}

/// The part of this file between those words, without the module's indentation.
fn shown(which: &str) -> String {
    let source = include_str!("readme_cloud.rs");
    let begun = source.split_once(&format!("    // begin {which}\n")).expect("has a beginning").1;
    let lines = begun.lines().take_while(|line| line.trim() != "// end");
    lines.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
}

#[test]
fn the_readme_shows_this_code() {
    let readme = include_str!("../../README.md");
    for which in ["before", "after"] {
        assert!(readme.contains(&shown(which)), "the README shows other code {which} the port:\n{}", shown(which));
    }
}

#[test]
fn both_do_the_same() {
    let expected = vec![6, 5, 4, 3];
    assert_eq!(before::run(), expected);
    assert_eq!(after::run(), Ok(expected));
}

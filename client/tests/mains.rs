//! An async `main` runs on a runtime that is made for it, or on that of another's attribute, and then the session ends.

use std::process::ExitCode;

use greenroom::sync::Mutex;
use greenroom::{Counter, Error};

static HITS: Counter = Counter::shared("hits");

/// What each `main` does: calls of tasks beside its own, and a guard that is dropped at the end.
async fn work() -> Result<(), Error> {
    let hit = tokio::spawn(HITS.increment_async());
    let mut total = Mutex::named("total", 0).lock_async().await?;
    *total += hit.await.expect("does not panic")?;
    assert_eq!(*total, 1, "an earlier session has left something");
    assert!(matches!(HITS.get(), Err(Error::Blocking { .. })));
    Ok(())
}

mod made {
    #[greenroom::main]
    async fn main() -> Result<(), greenroom::Error> {
        super::work().await
    }

    pub(super) const RUN: fn() -> std::process::ExitCode = main;
}

mod of_tokio {
    #[greenroom::main]
    #[tokio::main(flavor = "current_thread")]
    async fn main() -> Result<(), greenroom::Error> {
        super::work().await
    }

    pub(super) const RUN: fn() -> std::process::ExitCode = main;
}

mod failing {
    #[greenroom::main]
    async fn main() -> Result<(), String> {
        Err("it says so".to_owned())
    }

    pub(super) const RUN: fn() -> std::process::ExitCode = main;
}

/// One test, for they share the process's session.
#[test]
fn an_async_main_runs_and_ends_its_session() {
    let codes = [made::RUN(), of_tokio::RUN(), failing::RUN()].map(|code| format!("{code:?}"));
    let [success, failure] = [ExitCode::SUCCESS, ExitCode::FAILURE].map(|code| format!("{code:?}"));
    assert_eq!(codes, [&success, &success, &failure].map(Clone::clone));
}

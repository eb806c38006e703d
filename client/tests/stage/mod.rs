//! One description of what a type promises, played in two worlds: on the pure state machine, without a clock or a network,
//! and on a cluster of three nodes behind real sockets.
//!
//! A test is a function `fn name(stage: &Stage)` over the library's own handles, and `scenarios!` plays it in both.

#![allow(dead_code, unreachable_pub, unused_imports, unused_macros, reason = "each test uses a part of it")]

mod cluster;
mod pure;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use greenroom::{Caller, Error, RawHandle};
use tokio::task::JoinHandle;

/// How long anything may take that should happen at once.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Where a scenario is played.
pub struct Stage {
    world: World,
    runtime: tokio::runtime::Runtime,
}

enum World {
    Pure(pure::Machine),
    Cluster(cluster::Job),
}

/// A client with a session of its own: what it holds is released when the session ends.
pub struct Session {
    caller: Arc<dyn Caller>,
    end: Box<dyn FnOnce() + Send>,
}

impl Session {
    /// What handles go through: `mutex.through(session.caller())`.
    pub fn caller(&self) -> Arc<dyn Caller> {
        Arc::clone(&self.caller)
    }

    /// Ends the session, as the end of its process would.
    pub fn end(self) {
        (self.end)();
    }
}

/// Something that is under way.
pub struct Started<'a, T> {
    stage: &'a Stage,
    task: JoinHandle<T>,
}

impl Stage {
    /// The state machine of one slot, in virtual time.
    pub fn pure() -> Self {
        Self { world: World::Pure(pure::Machine::start()), runtime: runtime() }
    }

    /// Three nodes, which all scenarios of the process share; the objects are this scenario's own.
    pub fn cluster() -> Self {
        Self { world: World::Cluster(cluster::Job::fresh()), runtime: runtime() }
    }

    /// A client with a session of its own.
    pub fn session(&self) -> Session {
        match &self.world {
            World::Pure(machine) => machine.session(),
            World::Cluster(job) => job.session(self.runtime.handle()),
        }
    }

    /// So many clients.
    pub fn sessions<const N: usize>(&self) -> [Session; N] {
        std::array::from_fn(|_| self.session())
    }

    /// Lets `future` run beside the scenario; it is under way when it waits in an object, see [`until_parked`](Self::until_parked).
    pub fn start<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Started<'_, T> {
        Started { stage: self, task: self.runtime.spawn(future) }
    }

    /// Makes a call that waits in `object`, and lets whatever answer comes lie there: dropping it gives up.
    pub fn hold<'f, T>(&self, object: &RawHandle, future: impl Future<Output = T> + 'f) -> Held<'f, T> {
        let (before, mut future) = (self.parked(object), Box::pin(future));
        let _runtime = self.runtime.enter();
        until("the call is parked", || {
            let answer = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(answer.is_pending(), "it does not wait");
            self.parked(object) == before + 1
        });
        Held { _future: future }
    }

    /// Makes the call of a future, and leaves its answer unseen. The clients' only thread, which reads answers, is held up
    /// meanwhile: on a busy machine one might come within the poll.
    pub fn make<T>(&self, call: Pin<&mut (impl Future<Output = T> + ?Sized)>) {
        let (tell, told) = mpsc::channel();
        let (made, is_made) = mpsc::channel::<()>();
        let reader = self.runtime.spawn(async move {
            tell.send(()).expect("it is waited for");
            // Nothing is sent: the other end is dropped.
            let _ = is_made.recv();
        });
        told.recv().expect("the thread is held up");
        let answer = call.poll(&mut Context::from_waker(Waker::noop()));
        drop(made);
        self.runtime.block_on(reader).expect("does not panic");
        assert!(answer.is_pending(), "it has an answer at once");
    }

    /// Makes a call, and lets its answer, which is on its way once that is so, lie there: dropping what this returns gives up.
    pub fn answered<'f, T>(&self, call: impl Future<Output = T> + 'f, so: impl FnMut() -> bool) -> Held<'f, T> {
        let mut future = Box::pin(call);
        self.make(future.as_mut());
        until("the call has been answered", so);
        Held { _future: future }
    }

    /// What an object says of itself: `state`, `holders`, `parked`.
    pub fn describe(&self, object: &RawHandle) -> serde_json::Value {
        object.describe().expect("describes")
    }

    /// How many calls wait in the object.
    pub fn parked(&self, object: &RawHandle) -> usize {
        self.describe(object)["parked"].as_array().expect("is a list").len()
    }

    /// Waits until so many calls wait in the object.
    pub fn until_parked(&self, object: &RawHandle, count: usize) {
        until("so many calls are parked", || self.parked(object) == count);
    }

    /// Lets time pass: only in the pure world is there anything to be done for it.
    pub fn pass(&self, time: Duration) {
        if let World::Pure(machine) = &self.world {
            machine.advance(time);
        }
    }
}

/// A call whose answer nobody takes.
pub struct Held<'f, T> {
    _future: Pin<Box<dyn Future<Output = T> + 'f>>,
}

impl<T: Send + 'static> Started<'_, T> {
    /// Waits for its end, and returns what came of it.
    pub fn finish(self) -> T {
        let ended = self.stage.runtime.block_on(async { tokio::time::timeout(DEADLINE, self.task).await });
        ended.unwrap_or_else(|_| panic!("it does not end within {DEADLINE:?}")).expect("does not panic")
    }

    /// Waits for its end, which comes by a timeout of that length.
    pub fn finish_after(self, timeout: Duration) -> T {
        until("it times out", || {
            self.stage.pass(timeout);
            self.task.is_finished()
        });
        self.finish()
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Gives up: its future is dropped.
    pub fn give_up(self) {
        self.task.abort();
        let ended = self.stage.runtime.block_on(async { tokio::time::timeout(DEADLINE, self.task).await });
        assert!(ended.expect("it ends").is_err_and(|error| error.is_cancelled()), "it had ended before");
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        std::thread::yield_now();
    }
}

/// Waits until there is something.
pub fn until_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    until(what, || {
        found = find();
        found.is_some()
    });
    found.expect("was found")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("starts")
}

/// Plays each scenario in both worlds, as a test of its name in `pure` and one in `cluster`.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod pure {
            $(#[test]
            fn $name() {
                super::$name(&super::stage::Stage::pure());
            })*
        }

        mod cluster {
            $(#[test]
            fn $name() {
                super::$name(&super::stage::Stage::cluster());
            })*
        }
    };
}

pub(crate) use scenarios;

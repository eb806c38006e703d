//! Synchronization in the shape of `std::sync`: the same names, an object's key more, and a `Result` for the network.

mod event;
mod exchanger;
mod latch;
mod mutex;
mod notify;
mod once;
mod phaser;
mod promise;

pub use event::Event;
pub use exchanger::Exchanger;
/// ```no_run
/// use greenroom::sync::Barrier;
///
/// let phase = Barrier::named("phase", 80);
/// if phase.wait()?.is_leader() {
///     println!("all 80 are here");
/// }
/// # Ok::<(), greenroom::Error>(())
/// ```
#[doc(inline)]
pub use greenroom_actors::objects::Barrier;
pub use greenroom_actors::objects::{
    Aborted, AlreadySet, BarrierHandle, BarrierWaitResult, PhaserError, PromiseError, SetError,
};
pub use latch::Latch;
pub use mutex::{Mutex, MutexGuard};
pub use notify::Notify;
pub use once::{Once, OnceCell};
pub use phaser::{Party, Phaser};
pub use promise::Promise;

//! Atomics in the shape of `std::sync::atomic`: the same names, an object's key more, and a `Result` for the network.
//!
//! Every call is linearizable, which is stronger than `SeqCst`, so there is no `Ordering` to give. A value of another type is a
//! [`Cell`](crate::Cell); a number that is only counted is a [`Counter`](crate::Counter).
//!
//! ```no_run
//! use greenroom::sync::atomic::{AtomicBool, AtomicF64, AtomicI64, AtomicU64};
//!
//! let next_id = AtomicU64::named("next id", 0);
//! let mine = next_id.fetch_add(1)?; // nobody else gets it
//!
//! let balance = AtomicI64::named("balance", 100);
//! let spent = balance.fetch_update(|left| (left >= 50).then(|| left - 50))?;
//! assert_eq!(spent, Ok(100));
//!
//! let claimed = AtomicBool::named("claimed", false);
//! let is_first = !claimed.swap(true)?;
//!
//! let loss = AtomicF64::named("loss", 0.0);
//! loss.fetch_add(0.25)?;
//! # Ok::<(), greenroom::Error>(())
//! ```

pub use greenroom_actors::objects::{
    AtomicBool, AtomicBoolHandle, AtomicF64, AtomicF64Handle, AtomicI64, AtomicI64Handle, AtomicU64, AtomicU64Handle,
    Exchanged,
};

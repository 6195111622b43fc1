//! Locks as the standard library has them, and tokio's channel; under `engine_loom` those of loom, which tries every order of
//! events.
//!
//! A cfg of this crate's own, since `--cfg loom` takes sockets away from tokio. `engine/loom` sets it for itself alone.

#[cfg(engine_loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(engine_loom)]
pub(crate) use stand_in::watched as watch;
#[cfg(not(engine_loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(not(engine_loom))]
pub(crate) use tokio::sync::watch;

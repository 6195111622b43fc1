//! The engine's files whose locks are loom's here: the ones that are used, and broken ones in which loom has to find it.

// By this name the engine's `sync` calls for what the engine itself doesn't have.
extern crate self as stand_in;

include!(concat!(env!("OUT_DIR"), "/root.rs"));

pub use sound::{api, backoff, object, queue, store, trigger, watch};
pub(crate) use sound::{frame, sync, transport, watched};

//! The engine's files whose locks are loom's here: the ones that are used, and broken ones in which loom has to find it.

include!(concat!(env!("OUT_DIR"), "/root.rs"));

pub use sound::{api, backoff, object, queue, store, trigger, watch};
pub(crate) use sound::{frame, sync, transport, watched};

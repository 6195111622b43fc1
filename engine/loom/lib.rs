//! The engine's files whose locks are loom's here: the ones that are used, and broken ones in which loom has to find it.

include!(concat!(env!("OUT_DIR"), "/root.rs"));

pub(crate) use sound::sync;
pub use sound::{backoff, object, queue, trigger};

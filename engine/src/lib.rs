//! A Kubernetes controller runtime over plain HTTP.
//!
//! The modules stand in the order in which data flows, and each imports only from those above it:
//!
//! ```text
//! config -> transport -> frame -> api -> watch -> store -> reflector -> informer -> trigger -> queue -> controller
//! ```
//!
//! A change in the cluster arrives as bytes in [`transport`], is cut into JSON documents by [`frame`] and decoded by
//! [`api`]; [`watch`] decides what it means for the cache, [`store`] keeps it, [`reflector`] drives the one into the
//! other, and [`informer`] tells all who want to know. [`trigger`] turns the change into keys, [`queue`] hands each key
//! to one worker at a time, and [`controller`] calls the reconciler. Past `trigger` only keys travel, never events: a
//! reconciler looks at the present state alone. What a reconciler writes goes out through [`api`] again, and [`settle`]
//! finds out what became of a write that was refused or lost; [`lease`] says who may write.
//!
//! The modules before `config` are what all others share. Those marked *pure* neither await nor log nor read a clock.

pub mod object; // pure: keys, versions, identities
pub mod backoff; // pure: failures -> delay
pub mod shutdown;
pub mod trace;
mod sync; // locks of std, or of loom
pub mod config;
pub mod transport;
pub mod frame; // pure: bytes -> JSON documents
pub mod api;
pub mod lease; // a Lease, and who else is there -> who may write
pub mod watch; // pure: answers of the API server -> transactions on a cache
pub mod store; // pure but for its lock
pub mod settle;
pub mod reflector;
pub mod informer;
pub mod trigger; // pure: change -> keys
pub mod queue; // pure, with a thin async shell
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod events; // pure, with a thin async shell
pub mod controller;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

/// What the README shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

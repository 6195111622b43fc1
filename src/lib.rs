//! The operator that turns an `Application` into a running, reachable, healed application.
//!
//! The modules stand in the order in which data flows, and each imports only from those above it.

pub mod application; // the custom resource: what users write and what they read back
pub mod manifests; // what a cluster needs to run the operator
pub mod args; // what the process was told

//! The operator that turns an `Application` into a running, reachable, healed application.
//!
//! The modules stand in the order in which data flows, and each imports only from those above it.

pub mod application; // the custom resource: what users write and what they read back
pub mod manifests; // what a cluster needs to run the operator
pub mod args; // what the process was told
pub mod log; // where it is told what happens
pub mod observe; // caches -> what there is of one Application
pub mod demand; // kinds that are watched only where there is a reason to
pub mod trigger; // pure: a child's change -> the Application it concerns
pub mod pace; // pure: how fast a new version replaces pods
pub mod contest; // pure: another writer that never gives up
pub mod config; // pure: configuration there is -> what pods are to run with, and from when
pub mod readiness; // pure: how long a readiness probe may fail before that is told
pub mod plan; // pure: wish and what there is -> the writes that are missing
pub mod apply; // the writes, carried out
pub mod contents; // what is in that configuration, as digests
pub mod status; // pure: what there is -> what the user is told
pub mod reconcile; // observe -> plan -> apply -> status
pub mod admin; // what the kubelet, Prometheus and people ask
pub mod election; // who acts, of several replicas
pub mod run; // wiring
pub mod preview; // files with Applications -> what would become of them
pub mod kubectl; // what people ask `kubectl application`, and what they are shown

//! A real Kubernetes control plane on this machine, for tests and for trying things out.
//!
//! ```no_run
//! let cluster = cluster::Cluster::start(cluster::Options::default())?;
//! cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: blue}}");
//! assert!(cluster.kubectl_ok(&["get", "namespaces"]).contains("blue"));
//! # Ok::<(), cluster::Error>(())
//! ```
//!
//! Nothing here is simulated but the kubelet: etcd, API server, controller manager and scheduler
//! are those of Kubernetes, built from Go modules by `cluster/build`, and KWOK plays any number of
//! nodes. Every call blocks; an async test calls it from `spawn_blocking`, or simply calls it.
//!
//! # Invariants
//!
//! 1. A cluster's processes die with the process that started it, however that one dies.
//! 2. All of them hold the lock on the cluster's folder, so a free lock means that all are gone.
//! 3. Everything listens on 127.0.0.1 alone.

// From what a cluster is made of, over one process, to the whole and its command line.
mod component;
mod options;
pub mod assets;
pub mod ports;
pub mod folder;
mod kubeconfig;
mod flags;
mod nodes;
mod reaper;
mod process;
pub mod processes;
mod kubectl;
pub mod ready;
mod start;
mod running;
pub mod command;

pub use assets::{Assets, WhyNot, available};
pub use component::Component;
pub use kubectl::Kubectl;
pub use options::{Components, Options};
pub use running::{Cluster, start_or_say};
pub use start::Error;

//! The programs that make up a cluster.

use std::fmt;

/// A program that runs as a process of its own.
///
/// Their order is the order in which they start: each one needs those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Keeps the API server's data.
    Etcd,
    /// `kube-apiserver`.
    ApiServer,
    /// `kube-controller-manager`: Deployments, `ReplicaSets`, garbage collection and so on.
    ControllerManager,
    /// `kube-scheduler`.
    Scheduler,
    /// Plays the kubelet of every fake node.
    Kwok,
}

impl Component {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 5] = [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler, Self::Kwok];

    /// The name of its program, and of its log.
    pub fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

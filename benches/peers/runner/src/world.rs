//! A control plane of etcd and API server, and a user for the operator.

use std::fs;
use std::path::PathBuf;

use cluster::{Cluster, Component, Options};
use engine::config::Config;
use engine::transport::{self, Service};

use crate::peer;

use crate::audit::Log;

/// Whom the operator acts as.
pub(crate) const OPERATOR: &str = "peer";

/// Where the Applications stand.
pub(crate) const NAMESPACE: &str = "bench";

/// Kubernetes' own range has 2,768 ports, and each Application of a fleet wants one. No more than are needed: the API server
/// writes the whole range with each Service.
const NODE_PORTS: &str = "--service-node-port-range=20000-32767";

const SET_UP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: bench}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: peer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: peer}]
";

pub(crate) struct World {
    cluster: Cluster,
    pub(crate) service: Service,
    pub(crate) log: Log,
}

impl World {
    pub(crate) fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let flags = vec![(Component::ApiServer, NODE_PORTS.to_owned())];
        let cluster = Cluster::start(Options { users: vec![OPERATOR.to_owned()], flags, ..Options::api_only() })?;
        cluster.apply(include_str!("../../../../crds/10-application.yaml"));
        cluster.apply(SET_UP);
        cluster.kubectl_ok(&["wait", "--for=condition=Established", "crd/applications.minetto.dev"]);
        let config = Config::from_kubeconfig(cluster.kubeconfig(), None)?;
        let service = transport::connect(&config)?;
        let log = Log::new(cluster.audit_log());
        Ok(Self { cluster, service, log })
    }

    /// Processor time of the API server so far, in seconds: what all that it is asked comes to.
    pub(crate) fn server_cpu(&self) -> f64 {
        let folder = self.cluster.folder().display().to_string();
        let is_server = |process: &u32| {
            let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            let program = line.split('\0').next().unwrap_or_default();
            program.ends_with("kube-apiserver") && line.contains(&folder)
        };
        let entries = fs::read_dir("/proc").expect("Linux").flatten();
        let mut processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        processes.find(is_server).and_then(peer::cpu).expect("the API server runs")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.cluster.kubeconfig_for(OPERATOR)
    }

    pub(crate) fn peer_log(&self) -> PathBuf {
        self.cluster.folder().join("peer.log")
    }
}

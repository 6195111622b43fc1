//! A control plane of etcd and API server, and a user for the operator.

use std::path::PathBuf;

use cluster::{Cluster, Options};
use engine::config::Config;
use engine::transport::{self, Service};

use crate::audit::Log;

/// Whom the operator acts as.
pub(crate) const OPERATOR: &str = "peer";

/// Where the Applications stand.
pub(crate) const NAMESPACE: &str = "bench";

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
        let cluster = Cluster::start(Options { users: vec![OPERATOR.to_owned()], ..Options::api_only() })?;
        cluster.apply(include_str!("../../../../crds/10-application.yaml"));
        cluster.apply(SET_UP);
        cluster.kubectl_ok(&["wait", "--for=condition=Established", "crd/applications.minetto.dev"]);
        let config = Config::from_kubeconfig(cluster.kubeconfig(), None)?;
        let service = transport::connect(&config)?;
        let log = Log::new(cluster.audit_log());
        Ok(Self { cluster, service, log })
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.cluster.kubeconfig_for(OPERATOR)
    }

    pub(crate) fn peer_log(&self) -> PathBuf {
        self.cluster.folder().join("peer.log")
    }
}

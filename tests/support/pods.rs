//! What the Deployment controller writes of pods that are ready at once, where none runs.

use serde_json::{Value, json};

use super::{Api, path};

/// Writes of a Deployment, as it was last seen, that all its pods are ready.
pub(crate) fn report_ready(api: &Api, deployment: &Value) {
    let metadata = &deployment["metadata"];
    let (Some(namespace), Some(name)) = (metadata["namespace"].as_str(), metadata["name"].as_str()) else { return };
    let replicas = &deployment["spec"]["replicas"];
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason, "message": ""});
    let status = json!({"observedGeneration": metadata["generation"], "replicas": replicas,
        "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
        "conditions": [condition("Available", "MinimumReplicasAvailable"),
            condition("Progressing", "NewReplicaSetAvailable")]});
    let path = format!("{}/{name}/status", path("deployments", namespace));
    let (code, said) = api.ask("PATCH", &path, &json!({"status": status}));
    // It may be gone by now.
    assert!(matches!(code, 200 | 404), "{said}");
}

//! The operator's own namespace and Deployment.

use serde_json::{Value, json};

/// Name of the operator's `ServiceAccount`, roles and Deployment.
pub(super) const NAME: &str = "application-operator";

/// The operator's namespace: its own, so that nobody who may edit another one can use its token.
pub(super) const NAMESPACE: &str = "application-operator-system";

/// The user `nonroot` of distroless images; any user but root would do.
const USER: u32 = 65532;

/// Time between the request to stop and the kill: reconciles in flight end within a request's
/// timeout, and 30 s is what Kubernetes grants by itself.
const GRACE_SECONDS: u32 = 30;

/// Labels of everything that belongs to the operator.
pub(super) fn labels() -> Value {
    json!({ "app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": NAME })
}

/// The operator's namespace, in which only pods without privileges are admitted.
pub(super) fn namespace() -> Value {
    let mut labels = labels();
    labels["pod-security.kubernetes.io/enforce"] = json!("restricted");
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": labels },
    })
}

/// The operator itself, run from `image`.
pub(super) fn deployment(image: &str) -> Value {
    let selector = json!({ "app.kubernetes.io/name": NAME });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": labels() },
        "spec": {
            "replicas": 1,
            // No two at a time: there is no leader election yet.
            "strategy": { "type": "Recreate" },
            "selector": { "matchLabels": selector },
            "template": {
                "metadata": {
                    "labels": labels(),
                    "annotations": { "kubectl.kubernetes.io/default-container": "operator" },
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "nodeSelector": { "kubernetes.io/os": "linux" },
                    "terminationGracePeriodSeconds": GRACE_SECONDS,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [container(image)],
                },
            },
        },
    })
}

fn container(image: &str) -> Value {
    json!({
        "name": "operator",
        "image": image,
        // Metrics listen on the loopback address by default; here Prometheus comes from outside.
        "args": ["run", "--metrics-bind-address=:8080", "--log-format=json"],
        "env": [{
            "name": "POD_NAME",
            "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } },
        }],
        "ports": [
            { "name": "metrics", "containerPort": 8080, "protocol": "TCP" },
            { "name": "probes", "containerPort": 8081, "protocol": "TCP" },
        ],
        // A minute of silence before a restart: it costs a full list of everything watched.
        "livenessProbe": {
            "httpGet": { "path": "/healthz", "port": "probes" },
            "initialDelaySeconds": 15,
            "periodSeconds": 20,
        },
        "readinessProbe": {
            "httpGet": { "path": "/readyz", "port": "probes" },
            "periodSeconds": 5,
        },
        // No CPU limit: it would throttle exactly when the whole cluster has to be read again.
        "resources": {
            "requests": { "cpu": "10m", "memory": "64Mi" },
            "limits": { "memory": "256Mi" },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
    })
}

//! The operator's own namespace and Deployment.

use serde_json::{Value, json};

/// Name of the operator's `ServiceAccount`, roles and Deployment.
pub(super) const NAME: &str = "application-operator";

/// The operator's namespace: its own, so that nobody who may edit another one can use its token.
pub const NAMESPACE: &str = "application-operator-system";

/// The user `nonroot` of distroless images; any user but root would do.
const USER: u32 = 65532;

/// Time between the request to stop and the kill: reconciles in flight end within a request's
/// timeout, and 30 s is what Kubernetes grants by itself.
const GRACE_SECONDS: u32 = 30;

/// Two outlive a crash, a node, and an update. A third would wait as well and be needed less.
const REPLICAS: u32 = 2;

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
            // One acts, and one stands by with its caches filled.
            "replicas": REPLICAS,
            // A new one is ready, and so warm, before an old one is stopped, which gives the Lease back.
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
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
                    // On two nodes where there are two, and on one where there is one.
                    "topologySpreadConstraints": [{
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": { "matchLabels": selector },
                        // Each revision by itself, or the pods of the former one would count during a rollout.
                        "matchLabelKeys": ["pod-template-hash"],
                    }],
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

/// Lets nodes be drained one after another, and never both replicas evicted at once.
pub(super) fn budget() -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": labels() },
        "spec": {
            "maxUnavailable": 1,
            // One that is not ready stands in nobody's way.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": { "matchLabels": { "app.kubernetes.io/name": NAME } },
        },
    })
}

fn container(image: &str) -> Value {
    json!({
        "name": "operator",
        "image": image,
        // Metrics listen on the loopback address by default; here Prometheus comes from outside. What is for debugging stays
        // there, where `kubectl port-forward` reaches it: who has to ask for it first has lost what was to be seen.
        "args": [
            "run",
            "--metrics-bind-address=:8080",
            "--debug-bind-address=127.0.0.1:8082",
            "--log-format=json",
        ],
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
        // By docs/sizing.md, for 3,600 Applications, and 10,900 within the limit. No CPU limit: it would throttle exactly when
        // the whole cluster has to be read again.
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

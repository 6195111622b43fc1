//! Who may do what: the operator itself, and the people who use it.
//!
//! The operator's rules list what it does and nothing else; no Secret, no wildcard.

use serde_json::{Value, json};

use super::operator::{NAME, NAMESPACE, labels};

/// The definition of `HTTPRoute`.
const ROUTE_DEFINITION: &str = "httproutes.gateway.networking.k8s.io";

/// Name of the role by which replicas elect a leader.
const ELECTION: &str = "application-operator-leader-election";

/// Name of the role by which the operator looks at Secrets.
const SECRETS: &str = "application-operator-secrets";

/// Verbs that read.
const READ: [&str; 3] = ["get", "list", "watch"];

/// The identity under which the operator speaks to the API server.
pub(super) fn service_account() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": labels() },
    })
}

/// What the operator itself may do.
pub(super) fn role() -> Value {
    role_of(
        NAME,
        &json!({}),
        &json!([
            // `patch` takes the Go operator's finalizer off.
            rule("minetto.dev", "applications", &["get", "list", "patch", "watch"]),
            rule("minetto.dev", "applications/status", &["patch"]),
            // Where OwnerReferencesPermissionEnforcement is on, an ownerReference that blocks
            // deletion of the owner asks for this.
            rule("minetto.dev", "applications/finalizers", &["update"]),
            // A server-side apply is a `patch`, and a `create` too where the object is absent.
            // `get` settles a write whose answer was lost.
            // A child is deleted that is no longer wished for; and where the admission plugin OwnerReferencesPermissionEnforcement is on, who changes an
            // object's owners must be allowed to delete it: to adopt a child, and to take back one that was disowned.
            rule("apps", "deployments", &["create", "delete", "get", "list", "patch", "watch"]),
            rule("", "services", &["create", "delete", "get", "list", "patch", "watch"]),
            rule("policy", "poddisruptionbudgets", &["create", "delete", "get", "list", "patch", "watch"]),
            rule("autoscaling", "horizontalpodautoscalers", &["create", "delete", "get", "list", "patch", "watch"]),
            // Revisions, to go back to; those that are too old are deleted. `patch` notes on one what became of it.
            rule("apps", "controllerrevisions", &["create", "delete", "get", "list", "patch", "watch"]),
            // Migrations.
            rule("batch", "jobs", &["create", "delete", "get", "list", "patch", "watch"]),
            rule("networking.k8s.io", "ingresses", &["create", "delete", "get", "list", "patch", "watch"]),
            rule("gateway.networking.k8s.io", "httproutes", &["create", "delete", "get", "list", "patch", "watch"]),
            // Whether the cluster knows HTTPRoutes.
            named(rule("apiextensions.k8s.io", "customresourcedefinitions", &["list", "watch"]), ROUTE_DEFINITION),
            // Which version each is, of those of Applications that follow them; `get` reads what is in one that has changed.
            rule("", "configmaps", &READ),
            // A namespace's labels tell which pods it admits.
            rule("", "namespaces", &["list", "watch"]),
            // A pod tells why it does not run; nothing of it is changed.
            rule("", "pods", &["list", "watch"]),
            // `patch` counts those that repeat.
            rule("events.k8s.io", "events", &["create", "patch"]),
        ]),
    )
}

/// What the operator may do beside [`role`] where it is to look at Secrets.
pub(super) fn secrets_role() -> Value {
    role_of(SECRETS, &json!({}), &json!([rule("", "secrets", &READ)]))
}

/// Gives [`secrets_role`] to the operator in every namespace.
pub(super) fn secrets_binding() -> Value {
    let mut binding = binding();
    binding["metadata"]["name"] = json!(SECRETS);
    binding["roleRef"]["name"] = json!(SECRETS);
    binding
}

/// Gives [`role`] to the operator in every namespace.
pub(super) fn binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": NAME, "labels": labels() },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": NAME,
        },
        "subjects": [{ "kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE }],
    })
}

/// Lets the operator's replicas elect one of them, by a Lease in their own namespace.
pub(super) fn election() -> Value {
    let one = named(rule("coordination.k8s.io", "leases", &["get", "patch", "watch"]), NAME);
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": { "name": ELECTION, "namespace": NAMESPACE, "labels": labels() },
        // Who may create anything can't be told by name what.
        "rules": [rule("coordination.k8s.io", "leases", &["create"]), one],
    })
}

/// Gives [`election`] to the operator.
pub(super) fn election_binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": { "name": ELECTION, "namespace": NAMESPACE, "labels": labels() },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ELECTION },
        "subjects": [{ "kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE }],
    })
}

/// Lets those see Applications who may view a namespace. Kubernetes' `edit` and `admin` include
/// its `view`.
pub(super) fn view() -> Value {
    role_of(
        "application-operator-view",
        &json!({ "rbac.authorization.k8s.io/aggregate-to-view": "true" }),
        &json!([
            rule("minetto.dev", "applications", &READ),
            rule("minetto.dev", "applications/status", &["get"]),
            rule("minetto.dev", "applications/scale", &["get"]),
        ]),
    )
}

/// Lets those change Applications who may edit a namespace, and so run pods in it already: to
/// create an Application is to run an image.
pub(super) fn edit() -> Value {
    let change = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    role_of(
        "application-operator-edit",
        &json!({
            "rbac.authorization.k8s.io/aggregate-to-admin": "true",
            "rbac.authorization.k8s.io/aggregate-to-edit": "true",
        }),
        &json!([
            rule("minetto.dev", "applications", &change),
            rule("minetto.dev", "applications/status", &["get"]),
            rule("minetto.dev", "applications/scale", &["get", "patch", "update"]),
        ]),
    )
}

fn role_of(name: &str, extra_labels: &Value, rules: &Value) -> Value {
    let mut labels = labels();
    for (label, value) in extra_labels.as_object().into_iter().flatten() {
        labels[label] = value.clone();
    }
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": name, "labels": labels },
        "rules": rules,
    })
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs })
}

/// The rule for the object called `name` alone.
fn named(mut rule: Value, name: &str) -> Value {
    rule["resourceNames"] = json!([name]);
    rule
}

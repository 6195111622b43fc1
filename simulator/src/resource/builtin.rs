//! The built-in resources, a line each.

use serde_json::json;

use super::{Nature, Resource, Scale};
use crate::schema;

/// Group, version, kind, plural, nature, and what it has.
type Line = (&'static str, &'static str, &'static str, &'static str, Nature, &'static [Has]);

/// What a resource has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    /// Objects in namespaces.
    Namespaces,
    /// `/status`.
    Status,
    /// `metadata.generation`.
    Generation,
    /// `/scale`, at `spec.replicas` and `status.replicas`.
    Scale,
}

use Has::{Generation, Namespaces, Status};

const LINES: [Line; 18] = [
    ("", "v1", "ConfigMap", "configmaps", Nature::ConfigMap, &[Namespaces]),
    ("", "v1", "Event", "events", Nature::Plain, &[Namespaces]),
    ("", "v1", "Namespace", "namespaces", Nature::Namespace, &[Status]),
    ("", "v1", "Pod", "pods", Nature::Pod, &[Namespaces, Status, Generation]),
    ("", "v1", "Secret", "secrets", Nature::Plain, &[Namespaces]),
    ("", "v1", "Service", "services", Nature::Service, &[Namespaces, Status]),
    ("", "v1", "ServiceAccount", "serviceaccounts", Nature::Plain, &[Namespaces]),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", Nature::Plain, &[Namespaces]),
    ("apps", "v1", "Deployment", "deployments", Nature::Deployment, &[Namespaces, Status, Generation, Has::Scale]),
    ("apps", "v1", "ReplicaSet", "replicasets", Nature::ReplicaSet, &[Namespaces, Status, Generation, Has::Scale]),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", Nature::Plain, &[Namespaces, Status]),
    ("batch", "v1", "Job", "jobs", Nature::Job, &[Namespaces, Status, Generation]),
    ("coordination.k8s.io", "v1", "Lease", "leases", Nature::Plain, &[Namespaces]),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", Nature::EndpointSlice, &[Namespaces, Generation]),
    ("events.k8s.io", "v1", "Event", "events", Nature::Plain, &[Namespaces]),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", Nature::Plain, &[Namespaces, Status, Generation]),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", Nature::Plain, &[Namespaces, Status, Generation]),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        Nature::Definition,
        &[Status, Generation],
    ),
];

/// The built-ins.
pub(super) fn all() -> impl Iterator<Item = Resource> {
    LINES.into_iter().map(|(group, version, kind, plural, nature, has)| {
        let path = |name: &str| vec![name.to_owned(), "replicas".to_owned()];
        let scale = Scale { spec: path("spec"), status: path("status"), selector: None };
        Resource {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            is_namespaced: has.contains(&Namespaces),
            schema: match (nature, group) {
                // Not described: its maps are merged, and its lists owned as a whole.
                (Nature::Definition, _) => {
                    schema::custom(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))
                }
                // Two types of the same name.
                (_, "events.k8s.io") => schema::builtin("events.Event"),
                _ => schema::builtin(kind),
            },
            nature,
            has_status: has.contains(&Status),
            has_generation: has.contains(&Generation),
            scale: has.contains(&Has::Scale).then_some(scale),
        }
    })
}

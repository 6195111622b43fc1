//! A request of a sequence, with placeholders for what is known only when it is made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request. In query and body stand `$rv`, `$old` and `$uid` for version, previous version and uid of the object at the
/// path, `$space` for the namespace, `$any` for the last version of any object, `$continue` for where the last page of the
/// resource's list ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) method: String,
    /// Such as `configmaps/a/status`.
    pub(crate) path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) query: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) content: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) body: Value,
}

/// The resources of the grammar, and where they are served.
pub(crate) const RESOURCES: [(&str, &str); 10] = [
    ("configmaps", "/api/v1"),
    ("services", "/api/v1"),
    ("namespaces", "/api/v1"),
    ("deployments", "/apis/apps/v1"),
    ("replicasets", "/apis/apps/v1"),
    ("jobs", "/apis/batch/v1"),
    ("poddisruptionbudgets", "/apis/policy/v1"),
    ("applications", "/apis/minetto.dev/v1alpha1"),
    ("samples", "/apis/fidelity.test/v1"),
    ("ratchets", "/apis/fidelity.test/v1"),
];

impl Operation {
    /// The plural name of the resource.
    pub(crate) fn resource(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Path and query in a namespace.
    pub(crate) fn uri(&self, space: &str) -> String {
        let root = root(self.resource(), space);
        let rest = self.path.split_once('/').map_or(String::new(), |(_, rest)| format!("/{rest}"));
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("{root}{}{rest}{query}", self.resource()).replace("$space", space)
    }

    /// The object's own path, without subresource.
    pub(crate) fn object(&self) -> String {
        self.path.splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
    }
}

/// What stands before the plural name.
pub(crate) fn root(resource: &str, space: &str) -> String {
    let (_, root) = RESOURCES.iter().find(|(name, _)| *name == resource).expect("a resource of the grammar");
    if resource == "namespaces" { format!("{root}/") } else { format!("{root}/namespaces/{space}/") }
}

/// A sequence as it is kept: a line for each request.
pub(crate) fn render(operations: &[Operation]) -> String {
    let lines: Vec<_> = operations.iter().map(|one| serde_json::to_string(one).expect("JSON")).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

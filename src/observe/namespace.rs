//! Namespaces, of which the labels tell what pods they admit. Pure.

use engine::object::{Metadata, Object, Resource};
use serde::Deserialize;

/// What Pod Security admission refuses pods by.
/// <https://kubernetes.io/docs/concepts/security/pod-security-admission/#pod-security-admission-labels-for-namespaces>
const ENFORCE_LABEL: &str = "pod-security.kubernetes.io/enforce";

/// A namespace as it is kept.
#[derive(Debug, Deserialize)]
pub struct Namespace {
    /// What every object has.
    pub metadata: Metadata,
}

impl Object for Namespace {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Namespace", plural: "namespaces" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Namespace {
    /// Whether it enforces the Pod Security Standard `restricted`.
    pub fn enforces_restricted(&self) -> bool {
        self.metadata.labels.get(ENFORCE_LABEL) == Some("restricted")
    }
}

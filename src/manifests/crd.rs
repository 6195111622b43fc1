//! The `CustomResourceDefinition` of `Application`: its Rust types plus what types cannot say.

use engine::object::Object;
use serde_json::{Value, json};

use super::schema;
use crate::application::{Application, ApplicationSpec, ApplicationStatus, NAME_MAX};

/// What the name of the application's own container ends in, behind the Application's.
const CONTAINER: &str = "-container";

/// The `CustomResourceDefinition` of `Application`.
pub fn application() -> Value {
    let resource = Application::RESOURCE;
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": resource.to_string(),
            "labels": super::operator::labels(),
        },
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": format!("{}List", resource.kind),
                "plural": resource.plural,
                "singular": "application",
                // Not `app`: KubeVela, Argo CD and others have it already.
                "shortNames": ["mapp"],
                "categories": ["all"],
            },
            "versions": [{
                "name": resource.version,
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": root_schema() },
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    },
                },
                "additionalPrinterColumns": columns(),
            }],
        },
    })
}

/// Schema of a whole object. `metadata` is checked by the API server itself, but for its name.
fn root_schema() -> Value {
    json!({
        "description": "An application that the operator keeps running: \
            a Deployment of its image and a Service in front of it.",
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": schema::structural::<ApplicationSpec>(),
            "status": schema::structural::<ApplicationStatus>(),
        },
        "x-kubernetes-validations": [
            at_creation("has(self.spec)", "spec is required, with an image"),
            at_creation(
                &format!("self.metadata.name.size() <= {NAME_MAX}"),
                &format!(
                    "name must have at most {NAME_MAX} characters, because the children's names \
                     (<name>-deployment and others) are made from it"
                ),
            ),
            at_creation(
                "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "name must start with a letter and consist of lower-case letters, digits and \
                 '-', such as shop-2, because the Service <name>-service is looked up in DNS",
            ),
            {
                "rule": format!(
                    "!has(self.spec) || !has(self.spec.initContainers) || \
                     !self.spec.initContainers.exists(container, container.name.endsWith('{CONTAINER}') && \
                     container.name.substring(0, container.name.size() - {}) == self.metadata.name) || \
                     oldSelf.hasValue() && has(oldSelf.value().spec) && has(oldSelf.value().spec.initContainers) && \
                     self.spec.initContainers == oldSelf.value().spec.initContainers",
                    CONTAINER.len()
                ),
                "optionalOldSelf": true,
                "message": "spec.initContainers must not have one called <name>-container, as the application's own is",
            },
        ],
    })
}

/// A rule for the whole object that binds new ones alone.
///
/// The server forgives an update the faults that a field had before, but not those of the whole
/// object. An Application from the Go operator's time, whose schema had no rules, could then never
/// be changed again, not even to take the finalizer off, and so never be deleted.
fn at_creation(rule: &str, message: &str) -> Value {
    json!({
        "rule": format!("oldSelf.hasValue() || {rule}"),
        "optionalOldSelf": true,
        "message": message,
    })
}

/// What `kubectl get applications` shows; those of priority 1 only with `--output wide`.
///
/// Whether it is well and why not come first, and nothing that has no bound but the image, so that a row fits into 80
/// columns where name and image have 33 characters together, beside the longest reason that lasts.
fn columns() -> Value {
    let ready = ".status.conditions[?(@.type==\"Ready\")]";
    let column = |name: &str, kind: &str, path: &str, description: &str| json!({"name": name, "type": kind, "jsonPath": path, "description": description});
    let mut wide = [
        column("URL", "string", ".status.url", "Where it is reached from outside."),
        column("Port", "integer", ".spec.port", "Port of the container and of the Service."),
        column("Ready-Replicas", "integer", ".status.readyReplicas", "Number of pods that are ready to serve."),
        column("Message", "string", &format!("{ready}.message"), "Why the application is ready or not, in a sentence."),
    ];
    for column in &mut wide {
        column["priority"] = json!(1);
    }
    let narrow = [
        column("Ready", "string", &format!("{ready}.status"), "Whether the application runs as its spec says."),
        column("Reason", "string", &format!("{ready}.reason"), "Why the application is ready or not."),
        column("Replicas", "integer", ".spec.replicas", "Number of pods wished for."),
        column("Image", "string", ".spec.image", "Container image."),
        json!({ "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" }),
    ];
    narrow.into_iter().chain(wide).collect()
}

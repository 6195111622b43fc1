//! The custom resource `Application`: what users wish for, and what they are told about it.
//!
//! Field documentation becomes the descriptions of the `CustomResourceDefinition`, which
//! `kubectl explain` shows, so it is written for users. Knows nothing of how a wish is fulfilled.

pub mod condition;

use engine::object::{Metadata, Object, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use self::condition::{ConditionStatus, ConditionType, Reason};

/// The longest name an Application may have.
///
/// A label value and a DNS label hold 63 characters, and the longest name made from it,
/// `<name>-deployment`, is to be both.
pub const NAME_MAX: usize = 63 - "-deployment".len();

/// An application that the operator keeps running.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Application {
    /// What every object has.
    pub metadata: Metadata,
    /// What the user wishes for.
    #[serde(default)]
    pub spec: ApplicationSpec,
    /// What became of it; the default until the operator has written one.
    #[serde(default)]
    pub status: ApplicationStatus,
}

impl Object for Application {
    const RESOURCE: Resource =
        Resource { group: "minetto.dev", version: "v1alpha1", kind: "Application", plural: "applications" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// What is to run.
//
// Decoding is laxer than the schema: an object stored before the schema existed may lack anything,
// and must still be readable, or its old finalizer could never be removed.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ApplicationSpec {
    /// Container image to run, such as `nginx:1.29` or `ghcr.io/example/shop@sha256:…`.
    //
    // A reference has at most 255 characters of name, 128 of tag and 135 of digest (sha512).
    #[schemars(
        length(min = 1, max = 520),
        extend("x-kubernetes-validations" = [{
            "rule": "!self.matches('[[:space:]]')",
            "message": "must be an image reference without spaces, such as nginx:1.29"
        }])
    )]
    pub image: String,

    /// Number of pods to keep running; 0 stops the application without removing it.
    //
    // The bound is there for slips of the keyboard: a whole cluster is tested up to 150,000 pods.
    #[schemars(range(min = 0, max = 10_000), default = "default_replicas")]
    pub replicas: i32,

    /// TCP port on which the container listens. The Service offers the same port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

impl ApplicationSpec {
    /// Why this can't be run; `None` if it can. Only what was stored before the present schema is at fault.
    pub fn fault(&self) -> Option<String> {
        if self.image.is_empty() || self.image.contains(char::is_whitespace) {
            Some("spec.image must be an image reference without spaces, such as nginx:1.29".to_owned())
        } else if !(1..=65535).contains(&self.port) {
            Some(format!("spec.port must be between 1 and 65535, not {}", self.port))
        } else if self.replicas < 0 {
            Some(format!("spec.replicas must be 0 or more, not {}", self.replicas))
        } else {
            None
        }
    }
}

impl Default for ApplicationSpec {
    /// What an object without a spec decodes into: no image, no port, which cannot be run.
    fn default() -> Self {
        Self { image: String::new(), replicas: default_replicas(), port: 0 }
    }
}

/// What the operator found and did.
//
// No field is ever left out when written: a merge patch keeps what it does not mention.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = require_nothing)]
pub struct ApplicationStatus {
    /// Whether the application is ready, progressing or degraded, and why.
    #[schemars(schema_with = "condition::list_schema")]
    pub conditions: Vec<Condition>,

    /// The `metadata.generation` that this status describes. While it is lower than the present
    /// one, the operator has not yet seen the latest change.
    pub observed_generation: i64,

    /// Number of pods that exist.
    pub replicas: i32,

    /// Number of pods that are ready to serve.
    pub ready_replicas: i32,

    /// Number of pods that run the latest spec.
    pub updated_replicas: i32,

    /// Label selector of the pods, in the form in which `kubectl get pods --selector` takes it.
    pub selector: String,
}

impl ApplicationStatus {
    /// The condition of that type, if it was ever written.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == kind.as_str())
    }
}

/// One pod: what someone means who says nothing about number.
fn default_replicas() -> i32 {
    1
}

/// A status is read from any version of the operator, so its schema demands no field.
fn require_nothing(schema: &mut Schema) {
    schema.remove("required");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(value: serde_json::Value) -> Application {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn omitted_replicas_mean_one() {
        let app = decode(json!({"metadata": {"name": "a"}, "spec": {"image": "i", "port": 80}}));
        assert_eq!(app.spec, ApplicationSpec { image: "i".into(), replicas: 1, port: 80 });
        assert_eq!(app.status, ApplicationStatus::default());
    }

    #[test]
    fn an_object_from_before_the_schema_is_still_readable() {
        let app = decode(json!({"metadata": {"name": "a", "finalizers": ["f"]}, "status": {}}));
        assert!(app.spec.image.is_empty() && app.spec.port == 0);
        assert_eq!(app.metadata().finalizers.len(), 1);
    }

    #[test]
    fn a_status_leaves_no_field_out_and_comes_back_as_it_was() {
        let written = serde_json::to_value(ApplicationStatus::default()).unwrap();
        assert_eq!(
            written,
            json!({"conditions": [], "observedGeneration": 0, "replicas": 0, "readyReplicas": 0,
                "updatedReplicas": 0, "selector": ""})
        );
        let status: ApplicationStatus = serde_json::from_value(json!({
            "conditions": [{"type": "Ready", "status": "True", "reason": "FromTheFuture",
                "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z",
                "observedGeneration": 7}, {"type": "Foreign", "status": "Unknown", "reason": "R",
                "message": "m", "lastTransitionTime": "2026-01-02T03:04:05Z"}],
            "fromTheFuture": {},
        }))
        .unwrap();
        assert_eq!(status.condition(ConditionType::Ready).unwrap().observed_generation, Some(7));
        assert_eq!(status.condition(ConditionType::Degraded), None);
        let again = serde_json::to_value(&status).unwrap();
        assert_eq!(serde_json::from_value::<ApplicationStatus>(again).unwrap(), status);
    }
}

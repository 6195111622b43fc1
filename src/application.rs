//! The custom resource `Application`: what users wish for, and what they are told about it.
//!
//! Field documentation becomes the descriptions of the `CustomResourceDefinition`, which
//! `kubectl explain` shows, so it is written for users. Knows nothing of how a wish is fulfilled.

pub mod allowed;
pub mod around;
pub mod condition;
pub mod config;
pub mod http;
pub mod reason;
pub mod rollout;
pub mod spec;
pub mod verbatim;

use std::fmt;

use engine::object::{Metadata, Object, Resource};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use self::allowed::Allowed;
pub use self::condition::{Condition, ConditionStatus, ConditionType};
pub use self::reason::Reason;
pub use self::spec::{ApplicationSpec, SecurityProfile};
pub use self::verbatim::Verbatim;

use self::http::Http;

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

impl Application {
    /// Whether this is the same life as `other`, with the same wish.
    pub fn has_wish_of(&self, other: &Self) -> bool {
        let (one, other) = (&self.metadata, &other.metadata);
        one.uid == other.uid && one.generation == other.generation
    }

    /// Whether it asks for an `HTTPRoute`, or was told last to have one, which may have to go.
    pub fn may_have_route(&self) -> bool {
        self.spec.http.as_deref().is_some_and(Http::is_route)
            || self.status.resources.iter().any(|child| child.kind == "HTTPRoute")
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
    pub conditions: Box<[Condition]>,

    /// The `metadata.generation` that this status describes. While it is lower than the present
    /// one, the operator has not yet seen the latest change.
    pub observed_generation: i64,

    /// Number of pods that exist.
    pub replicas: i32,

    /// Number of pods that are ready to serve.
    pub ready_replicas: i32,

    /// Number of pods that run the latest spec.
    pub updated_replicas: i32,

    /// Number of the revision that runs, or is on its way; `kubectl application history` shows it.
    pub current_revision: Option<i64>,

    /// Number of the revision that was last rolled out to its end: all its pods were updated and available.
    pub last_good_revision: Option<i64>,

    /// Why a pod does not run: the first that is found to fail, while there is one.
    pub failure: Option<Box<Failure>>,

    /// Where it is reached from outside, if `spec.http` says so.
    pub url: Option<String>,

    /// The children, and whether each is as it should be.
    pub resources: Box<[ChildState]>,

    /// Label selector of the pods, in the form in which `kubectl get pods --selector` takes it.
    pub selector: String,
}

/// A pod that fails, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = require_nothing)]
pub struct Failure {
    /// Name of the pod.
    pub pod: String,

    /// Name of the container; empty if it is the pod as a whole.
    pub container: String,

    /// Why, in one word, such as `ImagePullBackOff`.
    pub reason: String,

    /// What the container's program ended with, if it has ended.
    pub exit_code: Option<i32>,

    /// Why, in the words of whoever found it.
    pub message: String,
}

/// How a child is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = require_nothing)]
pub struct ChildState {
    /// Kind of the child, such as `Deployment`.
    pub kind: String,

    /// Name of the child.
    pub name: String,

    /// Whether it is there, and does what it is there for.
    pub ready: bool,

    /// Why it is not ready, in one word; empty if it is.
    pub reason: String,
}

impl ApplicationStatus {
    /// The condition of that type, if it was ever written.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == kind.as_str())
    }
}

impl fmt::Display for Failure {
    /// As it is read: where, what, and in whose words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pod, container, reason, exit_code, message } = self;
        write!(f, "Pod {pod}")?;
        if !container.is_empty() {
            write!(f, ", container {container}")?;
        }
        write!(f, ": {reason}")?;
        if let Some(code) = exit_code {
            write!(f, " (exit code {code})")?;
        }
        if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
    }
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
        assert_eq!(
            app.spec,
            ApplicationSpec { image: "i".into(), replicas: 1, port: Some(80), ..ApplicationSpec::default() }
        );
        assert_eq!(app.status, ApplicationStatus::default());
    }

    #[test]
    fn an_object_from_before_the_schema_is_still_readable() {
        let app = decode(json!({"metadata": {"name": "a", "finalizers": ["f"]}, "status": {}}));
        assert!(app.spec.image.is_empty() && app.spec.port.is_none());
        assert_eq!(app.metadata().finalizers.len(), 1);
    }

    #[test]
    fn a_status_leaves_no_field_out_and_comes_back_as_it_was() {
        let written = serde_json::to_value(ApplicationStatus::default()).unwrap();
        assert_eq!(
            written,
            json!({"conditions": [], "observedGeneration": 0, "replicas": 0, "readyReplicas": 0,
                "updatedReplicas": 0, "currentRevision": null, "lastGoodRevision": null, "failure": null, "url": null,
                "resources": [], "selector": ""})
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

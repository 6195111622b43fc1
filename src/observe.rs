//! Caches in, what there is of one Application out. Decides nothing, and asks no server.
//!
//! Of the children only what the operator reads is kept: the spec as the bytes that arrived, which are compared when there is
//! a reason to, and the few counts of the status.

use std::sync::Arc;

use engine::api::Entry;
use engine::object::{Key, Metadata, Object, Resource, Uid};
use engine::store::Reader;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::application::Application;

/// Marks a child with the `uid` of its Application, so that a child whose owner reference was removed by hand is known
/// for what it is.
pub const OWNER_ANNOTATION: &str = "minetto.dev/application-uid";

/// A Deployment as it is kept.
#[derive(Debug, Deserialize)]
pub struct Deployment {
    /// What every object has.
    pub metadata: Metadata,
    /// The desired state, as it arrived.
    pub spec: Box<RawValue>,
    /// What the deployment controller says.
    #[serde(default)]
    pub status: DeploymentStatus,
}

/// The part of a Deployment's status that tells how far a rollout is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// The generation that the counts are about.
    pub observed_generation: i64,
    /// Pods that exist.
    pub replicas: i32,
    /// Pods of the latest template.
    pub updated_replicas: i32,
    /// Pods that are ready.
    pub ready_replicas: i32,
    /// Pods that have been ready for long enough.
    pub available_replicas: i32,
    /// What the counts don't say.
    pub conditions: Vec<DeploymentCondition>,
}

/// A condition of a Deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DeploymentCondition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// Whether it holds.
    pub status: Box<str>,
    /// Why, in a word.
    pub reason: Box<str>,
    /// Why, in a sentence.
    pub message: Box<str>,
}

/// A Service as it is kept.
#[derive(Debug, Deserialize)]
pub struct Service {
    /// What every object has.
    pub metadata: Metadata,
    /// The desired state, as it arrived.
    pub spec: Box<RawValue>,
}

impl Object for Deployment {
    const RESOURCE: Resource = Resource { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Object for Service {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Service", plural: "services" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// A child of an Application: an object that the operator renders under a name made from the Application's.
pub trait Child: Object {
    /// What the name ends with.
    const SUFFIX: &'static str;

    /// The desired state, as it arrived.
    fn spec(&self) -> &RawValue;

    /// The name of the child of the Application called `application`.
    fn name(application: &str) -> String {
        format!("{application}{}", Self::SUFFIX)
    }
}

impl Child for Deployment {
    const SUFFIX: &'static str = "-deployment";

    fn spec(&self) -> &RawValue {
        &self.spec
    }
}

impl Child for Service {
    const SUFFIX: &'static str = "-service";

    fn spec(&self) -> &RawValue {
        &self.spec
    }
}

/// The key of `application`'s child of kind `C`.
pub fn child_key<C: Child>(application: &Key) -> Key {
    application.sibling(C::name(&application.name))
}

/// What stands under the name of a child.
#[derive(Debug)]
pub enum Found<C> {
    /// Nothing.
    Absent,
    /// The Application's own child.
    Own(Arc<C>),
    /// A child of this Application or of its earlier life that is being deleted: nothing can be done until it is gone.
    Leaving(Arc<C>),
    /// Somebody else's object; the sentence says whose.
    Foreign(String),
}

impl<C> Found<C> {
    /// The own child, if there is one that is there to stay.
    pub fn own(&self) -> Option<&Arc<C>> {
        match self {
            Self::Own(child) => Some(child),
            _ => None,
        }
    }
}

/// What there is of one Application.
#[derive(Debug)]
pub struct Observed {
    /// What stands under the Deployment's name.
    pub deployment: Found<Deployment>,
    /// What stands under the Service's name.
    pub service: Found<Service>,
}

/// The caches.
#[derive(Clone)]
pub struct Caches {
    /// Applications.
    pub applications: Reader<Application>,
    /// Deployments.
    pub deployments: Reader<Deployment>,
    /// Services.
    pub services: Reader<Service>,
}

impl Caches {
    /// What there is of the Application with this key and uid.
    pub fn observe(&self, key: &Key, uid: &Uid) -> Observed {
        Observed {
            deployment: find(self.deployments.get(&child_key::<Deployment>(key)), uid),
            service: find(self.services.get(&child_key::<Service>(key)), uid),
        }
    }
}

fn find<C: Child>(entry: Option<Entry<C>>, uid: &Uid) -> Found<C> {
    let child = match entry {
        None => return Found::Absent,
        Some(Entry::Invalid(invalid)) => return Found::Foreign(format!("can't be decoded: {}", invalid.error)),
        Some(Entry::Valid(child)) => child,
    };
    let metadata = child.metadata();
    // The Go operator's children bear an owner reference that is not marked as controller.
    let owned = metadata.owner_references.iter().any(|owner| owner.uid == *uid);
    let marked = metadata.annotations.get(OWNER_ANNOTATION).is_some_and(|marked| **marked == *uid.0);
    // An Application that was deleted and created again finds the children of its earlier life, which the garbage collector
    // is about to remove.
    let bequeathed = metadata.owner_references.iter().any(|owner| {
        owner.refers_to(&Application::RESOURCE) && C::name(&owner.name) == *metadata.name && owner.uid != *uid
    });
    match metadata.controller() {
        _ if bequeathed && !owned && !marked => Found::Leaving(child),
        Some(other) if other.uid != *uid => Found::Foreign(format!("is controlled by {} {}", other.kind, other.name)),
        _ if !owned && !marked => Found::Foreign("is not owned by this Application".to_owned()),
        _ if metadata.is_terminating() => Found::Leaving(child),
        _ => Found::Own(child),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(metadata: &Value) -> Found<Service> {
        let service = json!({"metadata": metadata, "spec": {}}).to_string();
        find(Some(Entry::Valid(Arc::new(serde_json::from_str(&service).unwrap()))), &Uid("mine".into()))
    }

    fn owner(uid: &str, controller: bool) -> Value {
        json!({"kind": "Application", "name": "a", "uid": uid, "controller": controller})
    }

    #[test]
    fn a_child_is_ours_by_owner_reference_of_either_operator_or_by_its_mark() {
        assert!(matches!(found(&json!({"ownerReferences": [owner("mine", true)]})), Found::Own(_)));
        assert!(matches!(found(&json!({"ownerReferences": [owner("mine", false)]})), Found::Own(_)));
        assert!(matches!(found(&json!({"annotations": {OWNER_ANNOTATION: "mine"}})), Found::Own(_)));
    }

    #[test]
    fn an_object_of_somebody_else_is_foreign_and_says_whose_it_is() {
        let Found::Foreign(whose) = found(&json!({"ownerReferences": [owner("other", true), owner("mine", false)]}))
        else {
            panic!("it has another controller")
        };
        assert_eq!(whose, "is controlled by Application a");
        assert!(matches!(found(&json!({})), Found::Foreign(_)));
        assert!(matches!(found(&json!({"annotations": {OWNER_ANNOTATION: "an earlier life"}})), Found::Foreign(_)));
    }

    #[test]
    fn the_child_of_an_earlier_life_is_waited_for() {
        let earlier = |controller| {
            json!({"name": "a-service", "ownerReferences": [{"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
                "name": "a", "uid": "an earlier life", "controller": controller}]})
        };
        assert!(matches!(found(&earlier(true)), Found::Leaving(_)));
        assert!(matches!(found(&earlier(false)), Found::Leaving(_)));
    }

    #[test]
    fn a_child_that_is_being_deleted_is_leaving() {
        let leaving = json!({"ownerReferences": [owner("mine", true)], "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert!(matches!(found(&leaving), Found::Leaving(_)));
    }
}

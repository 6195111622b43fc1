//! Objects of any kind as people look at them: Kubernetes' own types, beside the metadata that the engine goes by.

use engine::object::{Metadata, Object, Resource, Uid};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::application::Application;
use crate::observe::{Child, HttpRoutes, OWNER_ANNOTATION, Revision};

/// What an object of some kind is decoded as.
pub trait Known: DeserializeOwned + Send + Sync + 'static {
    /// Where the API server serves it.
    const RESOURCE: Resource;
}

/// An object, and since when it is there.
#[derive(Debug)]
pub struct Seen<T> {
    /// What every object has.
    pub metadata: Metadata,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// The object itself.
    pub it: T,
}

impl<T> Seen<T> {
    /// Whether the Application with this uid owns it, or it is marked as that one's.
    pub fn is_of(&self, uid: &Uid) -> bool {
        let owners = &self.metadata.owner_references;
        let is_marked = || self.metadata.annotations.get(OWNER_ANNOTATION).is_some_and(|marked| *marked == *uid.0);
        owners.iter().any(|owner| owner.uid == *uid) || is_marked()
    }

    /// Whether the object with this uid controls it.
    pub fn is_controlled_by(&self, uid: &Uid) -> bool {
        self.metadata.controller().is_some_and(|owner| owner.uid == *uid)
    }
}

impl<T: Known> Object for Seen<T> {
    const RESOURCE: Resource = T::RESOURCE;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl<'de, T: Known> Deserialize<'de> for Seen<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        let metadata = Metadata::deserialize(&object["metadata"]).map_err(D::Error::custom)?;
        let created = object["metadata"]["creationTimestamp"].as_str().and_then(|time| time.parse().ok());
        let it = serde_json::from_value(object).map_err(D::Error::custom)?;
        Ok(Self { metadata, created, it })
    }
}

macro_rules! kubernetes {
    ($($kind:ident)*) => {
        $(
            impl Known for $kind {
                const RESOURCE: Resource = Resource {
                    group: <$kind as k8s_openapi::Resource>::GROUP,
                    version: <$kind as k8s_openapi::Resource>::VERSION,
                    kind: <$kind as k8s_openapi::Resource>::KIND,
                    plural: <$kind as k8s_openapi::Resource>::URL_PATH_SEGMENT,
                };
            }
        )*
    };
}

kubernetes! { Deployment HorizontalPodAutoscaler Ingress Job Pod PodDisruptionBudget ReplicaSet Service }

macro_rules! ours {
    ($($kind:ty)*) => {
        $(
            impl Known for $kind {
                const RESOURCE: Resource = <$kind as Object>::RESOURCE;
            }
        )*
    };
}

ours! { Application Child<HttpRoutes> Revision }

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_with_its_age_and_its_owners() {
        let pod = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-02T03:04:05Z",
            "ownerReferences": [{"uid": "u", "controller": true}]}, "status": {"phase": "Running"}});
        let pod: Seen<Pod> = serde_json::from_value(pod).unwrap();
        assert_eq!(pod.created, Some("2026-01-02T03:04:05Z".parse().unwrap()));
        assert_eq!(pod.it.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
        let uid = Uid("u".into());
        assert!(pod.is_of(&uid) && pod.is_controlled_by(&uid) && !pod.is_of(&Uid("v".into())));
        assert_eq!(Seen::<Ingress>::RESOURCE.to_string(), "ingresses.networking.k8s.io");
    }

    #[test]
    fn a_revision_keeps_its_template_on_the_way() {
        let revision = json!({"metadata": {}, "revision": 3, "data": {"spec": {"template": {"a": 1}}}});
        let revision: Seen<Revision> = serde_json::from_value(revision).unwrap();
        assert_eq!((revision.it.revision, revision.it.template()), (3, Some(json!({"a": 1}))));
    }
}

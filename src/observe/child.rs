//! The kinds of children, and what is kept of a live one.
//!
//! All kinds are kept as one type, so that what is true of every child is written once: only the spec, as the bytes that
//! arrived, which are compared when there is a reason to, and the few fields of a status that anybody reads.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use engine::object::{Key, Metadata, Object, Resource};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A kind of child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Runs the pods.
    Deployment,
    /// Gives them one address.
    Service,
    /// Keeps enough of them while nodes are drained.
    PodDisruptionBudget,
    /// Scales the Application by its load.
    HorizontalPodAutoscaler,
    /// Leads requests from outside to the Service.
    Ingress,
    /// The same by the Gateway API.
    HttpRoute,
}

impl Kind {
    /// Every kind, in the order in which they are told of.
    pub const ALL: [Self; 6] = [
        Self::Deployment,
        Self::Service,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::Ingress,
        Self::HttpRoute,
    ];

    /// Where the API server serves it.
    pub const fn resource(self) -> Resource {
        match self {
            Self::Deployment => Resource { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" },
            Self::Service => Resource { group: "", version: "v1", kind: "Service", plural: "services" },
            Self::PodDisruptionBudget => {
                Resource { group: "policy", version: "v1", kind: "PodDisruptionBudget", plural: "poddisruptionbudgets" }
            }
            Self::HorizontalPodAutoscaler => Resource {
                group: "autoscaling",
                version: "v2",
                kind: "HorizontalPodAutoscaler",
                plural: "horizontalpodautoscalers",
            },
            Self::Ingress => {
                Resource { group: "networking.k8s.io", version: "v1", kind: "Ingress", plural: "ingresses" }
            }
            Self::HttpRoute => {
                Resource { group: "gateway.networking.k8s.io", version: "v1", kind: "HTTPRoute", plural: "httproutes" }
            }
        }
    }

    /// What the name of such a child ends with; it begins with the Application's.
    pub const fn suffix(self) -> &'static str {
        match self {
            // The Go operator's names.
            Self::Deployment => "-deployment",
            Self::Service => "-service",
            Self::PodDisruptionBudget => "-budget",
            Self::HorizontalPodAutoscaler => "-autoscaler",
            Self::Ingress => "-ingress",
            Self::HttpRoute => "-route",
        }
    }

    /// The name of the child of the Application called `application`.
    pub fn name(self, application: &str) -> String {
        format!("{application}{}", self.suffix())
    }

    /// The key of the child of the Application with the key `application`.
    pub fn key(self, application: &Key) -> Key {
        application.sibling(self.name(&application.name))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource().kind)
    }
}

/// A child as it is kept.
#[derive(Debug, Deserialize)]
pub struct Live {
    /// What every object has.
    pub metadata: Metadata,
    /// The desired state, as it arrived.
    pub spec: Box<RawValue>,
    /// What its controller says.
    #[serde(default)]
    pub status: Status,
}

impl Live {
    /// Whether, of a Deployment, all pods that it is to have are of its latest template, and available; of one without pods,
    /// nothing is known.
    pub fn is_rolled_out(&self) -> bool {
        #[derive(Deserialize)]
        struct Spec {
            replicas: i32,
        }
        let status = &self.status;
        let counts = [status.updated_replicas, status.replicas, status.available_replicas];
        let wished = serde_json::from_str(self.spec.get()).map_or(0, |Spec { replicas }| replicas);
        wished > 0 && status.observed_generation >= self.metadata.generation && counts == [wished; 3]
    }
}

/// The part of a child's status that is read: of a Deployment, how far a rollout is; of an `HTTPRoute`, what its Gateways say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
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
    /// What the counts don't say, as far as anybody reads it.
    #[serde(deserialize_with = "read")]
    pub conditions: Box<[Condition]>,
    /// What each Gateway says of an `HTTPRoute`.
    pub parents: Box<[Parent]>,
}

/// What a Gateway says of an `HTTPRoute`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Parent {
    /// Whether it accepts it, and finds what it leads to.
    pub conditions: Box<[Condition]>,
}

/// The types of a Deployment's conditions that anybody here reads. Its counts tell what `Available` does, and autoscalers and
/// budgets have several that nobody asks for.
const READ: [&str; 2] = ["Progressing", "ReplicaFailure"];

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[Condition]>, D::Error> {
    let mut conditions = Vec::<Condition>::deserialize(deserializer)?;
    conditions.retain(|condition| READ.contains(&&*condition.kind));
    Ok(conditions.into())
}

impl Status {
    /// The name of a Deployment's `ReplicaSet` for its latest template, if its controller says it. It does so in the message of
    /// `Progressing` alone, in quotes (kubernetes/pkg/controller/deployment/progress.go); to look at the `ReplicaSets` would
    /// take a cache of all of them.
    pub fn newest_replica_set(&self) -> Option<&str> {
        let progressing = self.conditions.iter().find(|condition| &*condition.kind == "Progressing")?;
        progressing.message.split('"').nth(1)
    }
}

/// A condition of a child.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// Whether it holds.
    pub status: Box<str>,
    /// Why, in a word.
    pub reason: Box<str>,
    /// Why, in a sentence.
    pub message: Box<str>,
    /// Since when it holds, or doesn't (RFC 3339); empty where its writer does not say, which the server stores as `null`.
    #[serde(deserialize_with = "or_empty")]
    pub last_transition_time: Box<str>,
    /// The generation that it is about; 0 where it does not say.
    pub observed_generation: i64,
}

fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<str>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Names a [`Kind`] as a type, for caches and requests, which are typed.
pub trait Marker: Send + Sync + 'static {
    /// The kind.
    const KIND: Kind;
}

/// A live child of the kind that `K` names.
pub struct Child<K>(pub Arc<Live>, PhantomData<fn() -> K>);

impl<K: Marker> fmt::Debug for Child<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", K::KIND, self.0)
    }
}

impl<'de, K> Deserialize<'de> for Child<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(Live::deserialize(deserializer)?), PhantomData))
    }
}

impl<K: Marker> Object for Child<K> {
    const RESOURCE: Resource = K::KIND.resource();

    fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }
}

macro_rules! markers {
    ($($marker:ident is $kind:ident;)*) => {
        $(
            #[doc = concat!("Names [`Kind::", stringify!($kind), "`].")]
            #[derive(Debug)]
            pub enum $marker {}

            impl Marker for $marker {
                const KIND: Kind = Kind::$kind;
            }
        )*
    };
}

markers! {
    Deployments is Deployment;
    Services is Service;
    Budgets is PodDisruptionBudget;
    Autoscalers is HorizontalPodAutoscaler;
    Ingresses is Ingress;
    HttpRoutes is HttpRoute;
}

/// A live Deployment.
pub type Deployment = Child<Deployments>;

/// A live Service.
pub type Service = Child<Services>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_childs_conditions_those_are_kept_that_are_read() {
        let kinds = |status: &str| -> Vec<Box<str>> {
            let status: Status = serde_json::from_str(status).unwrap();
            status.conditions.into_iter().map(|condition| condition.kind).collect()
        };
        let conditions =
            r#"{"conditions": [{"type": "Available"}, {"type": "ReplicaFailure"}, {"type": "Progressing"}]}"#;
        assert_eq!(kinds(conditions), ["ReplicaFailure".into(), "Progressing".into()]);
        assert_eq!(kinds("{}"), []);
    }
}

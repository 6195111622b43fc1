//! Caches in, what there is of one Application out. Decides nothing, and asks no server.

pub mod child;
pub mod config;
pub mod gateway;
pub mod job;
pub mod namespace;
pub mod pod;
pub mod remnant;
pub mod revision;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::api::Entry;
use engine::object::{Key, Object, Uid};
use engine::store::Reader;

pub use self::child::{
    Autoscalers, Budgets, Child, Deployment, Deployments, HttpRoutes, Ingresses, Kind, Live, Marker, Service, Services,
};
pub use self::config::{ConfigMaps, Configuration, FollowersOf, Missing, Part, Rolled, Secrets, Stamp};
pub use self::gateway::{Gateway, RouteDefinition};
pub use self::job::Job;
pub use self::namespace::Namespace;
pub use self::pod::{Pod, Unready};
pub use self::remnant::Remnant;
pub use self::revision::{Labelled, Revision};
use crate::application::config::Source;
use crate::application::{Application, Failure};

/// Marks a child with the `uid` of its Application, so that a child whose owner reference was removed by hand is known
/// for what it is.
pub const OWNER_ANNOTATION: &str = "minetto.dev/application-uid";

/// What stands under the name of a child.
#[derive(Debug, Clone, Default)]
pub enum Found {
    /// Nothing.
    #[default]
    Absent,
    /// The Application's own child.
    Own(Arc<Live>),
    /// A child of this Application or of its earlier life that is being deleted: nothing can be done until it is gone.
    Leaving(Arc<Live>),
    /// Somebody else's object; the sentence says whose.
    Foreign(String),
}

impl Found {
    /// The own child, if there is one that is there to stay.
    pub fn own(&self) -> Option<&Arc<Live>> {
        match self {
            Self::Own(child) => Some(child),
            _ => None,
        }
    }

    /// Whose `child` is, which stands under the name of a child of that kind of the Application with that uid.
    pub fn judge(kind: Kind, child: Arc<Live>, uid: &Uid) -> Self {
        let metadata = &child.metadata;
        // The Go operator's children bear an owner reference that is not marked as controller.
        let owned = metadata.owner_references.iter().any(|owner| owner.uid == *uid);
        let marked = metadata.annotations.get(OWNER_ANNOTATION).is_some_and(|marked| *marked == *uid.0);
        // An Application that was deleted and created again finds the children of its earlier life, which the garbage
        // collector is about to remove.
        let bequeathed = metadata.owner_references.iter().any(|owner| {
            owner.refers_to(&Application::RESOURCE) && kind.name(&owner.name) == *metadata.name && owner.uid != *uid
        });
        match metadata.controller() {
            _ if bequeathed && !owned && !marked => Self::Leaving(child),
            Some(other) if other.uid != *uid => {
                Self::Foreign(format!("is controlled by {} {}", other.kind, other.name))
            }
            _ if !owned && !marked => Self::Foreign("is not owned by this Application".to_owned()),
            _ if metadata.is_terminating() => Self::Leaving(child),
            _ => Self::Own(child),
        }
    }
}

/// What there is of one Application.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// What stands under the children's names; a kind that is left out is absent.
    pub children: BTreeMap<Kind, Found>,
    /// Whether the namespace enforces the Pod Security Standard `restricted`.
    pub enforces_restricted: bool,
    /// Why a pod of the newest `ReplicaSet` does not run, if one doesn't.
    pub failure: Option<Failure>,
    /// Which container of such a pod has run for the longest without being ready, if one isn't.
    pub unready: Option<Unready>,
    /// Why a migration's pod does not run, or failed, by the name of its Job.
    pub migration_failures: BTreeMap<Arc<str>, Failure>,
    /// Its revisions.
    pub revisions: Vec<Arc<Revision>>,
    /// Jobs of its migrations.
    pub jobs: Vec<Arc<Job>>,
    /// What may run of migrations beside these.
    pub remnants: Vec<Remnant>,
    /// Whether there can be an `HTTPRoute`.
    pub gateway: Gateway,
    /// The configuration that its pods follow, if they follow one.
    pub configuration: Option<Configuration>,
}

impl Observed {
    /// The configuration that the pods run with, or are to run with, if they follow one.
    pub fn rolled(&self) -> Option<&Rolled> {
        self.configuration.as_ref()?.rolled.as_ref()
    }

    /// What stands under the name of the child of that kind.
    pub fn of(&self, kind: Kind) -> &Found {
        self.children.get(&kind).unwrap_or(&Found::Absent)
    }
}

/// The caches.
#[derive(Clone)]
pub struct Caches {
    /// Applications.
    pub applications: Reader<Application>,
    /// Deployments.
    pub deployments: Reader<Child<Deployments>>,
    /// Services.
    pub services: Reader<Child<Services>>,
    /// `PodDisruptionBudgets`.
    pub budgets: Reader<Child<Budgets>>,
    /// `HorizontalPodAutoscalers`.
    pub autoscalers: Reader<Child<Autoscalers>>,
    /// Revisions of Applications.
    pub revisions: Reader<Revision>,
    /// Jobs of their migrations.
    pub jobs: Reader<Job>,
    /// Ingresses.
    pub ingresses: Reader<Child<Ingresses>>,
    /// `HTTPRoutes`, where the cluster knows them.
    pub routes: Reader<Child<HttpRoutes>>,
    /// The definition of `HTTPRoutes`, if there is one.
    pub route_definition: Reader<RouteDefinition>,
    /// `ConfigMaps`, once an Application follows one.
    pub config_maps: Reader<Stamp<ConfigMaps>>,
    /// Secrets, once an Application follows one, where the operator is told to look at them.
    pub secrets: Option<Reader<Stamp<Secrets>>>,
    /// Pods of Applications, and of their Jobs.
    pub pods: Reader<Pod>,
    /// Namespaces, where the operator looks after all of them.
    pub namespaces: Option<Reader<Namespace>>,
}

impl Caches {
    /// What there is of the Application with this key and uid.
    pub fn observe(&self, key: &Key, uid: &Uid) -> Observed {
        let children = [
            found(&self.deployments, key, uid),
            found(&self.services, key, uid),
            found(&self.budgets, key, uid),
            found(&self.autoscalers, key, uid),
            found(&self.ingresses, key, uid),
            found(&self.routes, key, uid),
        ];
        let children: BTreeMap<_, _> = children.into();
        let pods = self.pods.by_index::<pod::OfApplication>(key);
        let deployment = children.get(&Kind::Deployment).and_then(Found::own);
        let newest = deployment.and_then(|deployment| deployment.status.newest_replica_set());
        let jobs = self.jobs.by_index::<Labelled>(key);
        let mut observed = Observed {
            enforces_restricted: self.enforces_restricted(&key.namespace),
            failure: pod::first_failure(&pods, newest),
            unready: pod::longest_unready(&pods, newest),
            migration_failures: pod::migration_failures(&pods),
            revisions: revision::own(self.revisions.by_index::<Labelled>(key), uid),
            remnants: remnant::remnants(&jobs, &pods, uid),
            jobs: revision::own(jobs, uid),
            gateway: Gateway::of(&self.route_definition, self.routes.is_synced()),
            configuration: None,
            children,
        };
        if let Some(Entry::Valid(application)) = self.applications.get(key) {
            observed.configuration = self.configuration(&application, &observed);
        }
        observed
    }

    /// The configuration that `application` follows, and what its Deployment says of its pods; `None` if it follows none.
    fn configuration(&self, application: &Application, observed: &Observed) -> Option<Configuration> {
        application.spec.rolling_config()?;
        let key = application.metadata.key();
        let (mut parts, mut is_listed) = (Vec::new(), true);
        for reference in application.spec.references() {
            let key = key.sibling(&*reference.name);
            let (there, is_synced) = match (reference.source, &self.secrets) {
                (Source::ConfigMap, _) => (config::version(&self.config_maps, &key), self.config_maps.is_synced()),
                (Source::Secret, Some(secrets)) => (config::version(secrets, &key), secrets.is_synced()),
                (Source::Secret, None) => continue,
            };
            is_listed &= is_synced;
            parts.push(Part { reference, there });
        }
        let rolled = observed.of(Kind::Deployment).own().and_then(|deployment| Rolled::of(deployment));
        (!parts.is_empty()).then_some(Configuration { rolled, parts, is_listed, ..Configuration::default() })
    }

    fn enforces_restricted(&self, namespace: &Arc<str>) -> bool {
        let cached = self.namespaces.as_ref().and_then(|cache| cache.get(&Key::new("", namespace.clone())));
        matches!(cached, Some(Entry::Valid(namespace)) if namespace.enforces_restricted())
    }
}

fn found<K: Marker>(cache: &Reader<Child<K>>, application: &Key, uid: &Uid) -> (Kind, Found) {
    (K::KIND, find(K::KIND, cache.get(&K::KIND.key(application)), uid))
}

fn find<K: Marker>(kind: Kind, entry: Option<Entry<Child<K>>>, uid: &Uid) -> Found {
    match entry {
        None => Found::Absent,
        Some(Entry::Invalid(invalid)) => Found::Foreign(format!("can't be decoded: {}", invalid.error)),
        Some(Entry::Valid(child)) => Found::judge(kind, child.0.clone(), uid),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(metadata: &Value) -> Found {
        let service = json!({"metadata": metadata, "spec": {}}).to_string();
        let service: Child<Services> = serde_json::from_str(&service).unwrap();
        find(Kind::Service, Some(Entry::Valid(Arc::new(service))), &Uid("mine".into()))
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

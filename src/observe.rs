//! Caches in, what there is of one Application out. Decides nothing, and asks no server.

pub mod child;
pub mod config;
pub mod found;
pub mod gateway;
pub mod job;
pub mod namespace;
pub mod pod;
pub mod remnant;
pub mod revision;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::api::Entry;
use engine::object::{Key, Uid};
use engine::store::Reader;

pub use self::child::{
    Autoscalers, Budgets, Child, Deployment, Deployments, HttpRoutes, Ingresses, Kind, Live, Marker, Service, Services,
};
pub use self::config::{ConfigMaps, Configuration, FollowersOf, Missing, Part, Rolled, Secrets, Stamp};
pub use self::found::{Found, OWNER_ANNOTATION};
pub use self::gateway::{Gateway, RouteDefinition};
pub use self::job::Job;
pub use self::namespace::Namespace;
pub use self::pod::{Pod, Unready};
pub use self::remnant::Remnant;
pub use self::revision::{Labelled, Revision};
use crate::application::config::Source;
use crate::application::{Application, Failure};

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
    (K::KIND, Found::of(cache.get(&K::KIND.key(application)), uid))
}

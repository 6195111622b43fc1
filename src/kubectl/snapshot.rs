//! All that there is of one Application: its children, and what they have made. Lists enter, by the seam [`Source`]; whose each
//! object is, is decided here.

use std::sync::Arc;

use engine::api::{Collection, Scope};
use engine::object::{Key, Object, Uid};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::error::Error;
use super::object::{Known, Seen};
use crate::application::Application;
use crate::application::http::Http;
use crate::observe::pod::POD_LABEL;
use crate::observe::revision::APPLICATION_LABEL;
use crate::observe::{Child, HttpRoutes, Kind, Revision};
use crate::plan;

/// What is there, of which kind it may be; the objects are ordered by name.
type Some<T> = Vec<Arc<Seen<T>>>;

/// Where objects come from: a list that is asked for once, or a cache that is kept.
pub trait Source {
    /// The objects of that kind in `scope`; `None` where they may not be read, or the cluster does not know the kind.
    fn objects<T: Known>(&self, scope: Scope) -> impl Future<Output = Result<Option<Some<T>>, Error>>;
}

/// What there is of one Application.
#[derive(Debug)]
pub struct Snapshot {
    /// The Application.
    pub application: Arc<Seen<Application>>,
    /// The Deployment that runs the pods.
    pub deployments: Some<Deployment>,
    /// Its `ReplicaSets`.
    pub replica_sets: Some<ReplicaSet>,
    /// Pods of these, and of the Jobs.
    pub pods: Some<Pod>,
    /// The Service.
    pub services: Some<Service>,
    /// The disruption budget.
    pub budgets: Some<PodDisruptionBudget>,
    /// What scales it.
    pub autoscalers: Some<HorizontalPodAutoscaler>,
    /// What leads requests to it.
    pub ingresses: Some<Ingress>,
    /// The same by the Gateway API.
    pub routes: Some<Child<HttpRoutes>>,
    /// Jobs of migrations.
    pub jobs: Some<Job>,
    /// Its revisions, by number.
    pub revisions: Some<Revision>,
    /// The kinds that may not be read.
    pub unread: Vec<&'static str>,
}

impl Snapshot {
    /// What `source` has of the Application with this key; `None` if there is no such Application.
    ///
    /// # Errors
    ///
    /// If the source fails, or Applications may not be read.
    pub async fn of(source: &impl Source, key: &Key) -> Result<Option<Self>, Error> {
        let one = |name: &str| Scope { selector: Collection::object(&key.sibling(name)).selector, ..scope(key) };
        let Some(applications) = source.objects::<Application>(one(&key.name)).await? else {
            return Err(Error::Unknown);
        };
        let Some(application) = applications.into_iter().next() else { return Ok(None) };
        let asks_for_route = application.it.spec.http.as_deref().is_some_and(Http::is_route);
        let child = |kind: Kind| one(&kind.name(&key.name));
        let labelled = |label: String| scope(key).labels(&label).map_err(Error::Selector);
        let of_pods = labelled(format!("{POD_LABEL} in ({name},{name}.migration)", name = key.name))?;
        let of_replica_sets = labelled(format!("{POD_LABEL}={}", key.name))?;
        let own = labelled(format!("{APPLICATION_LABEL}={}", key.name))?;
        let found = futures_util::try_join!(
            source.objects(child(Kind::Deployment)),
            source.objects(of_replica_sets),
            source.objects(of_pods),
            source.objects(child(Kind::Service)),
            source.objects(child(Kind::PodDisruptionBudget)),
            source.objects(child(Kind::HorizontalPodAutoscaler)),
            source.objects(child(Kind::Ingress)),
            // A cluster without Gateway API is of no interest to those who don't use it.
            async { if asks_for_route { source.objects(child(Kind::HttpRoute)).await } else { Ok(Some(Vec::new())) } },
            source.objects(own.clone()),
            source.objects(own),
        )?;
        let mut snapshot = Self::new(application);
        snapshot.deployments = snapshot.take(found.0);
        snapshot.replica_sets = snapshot.take(found.1);
        snapshot.pods = snapshot.take(found.2);
        snapshot.services = snapshot.take(found.3);
        snapshot.budgets = snapshot.take(found.4);
        snapshot.autoscalers = snapshot.take(found.5);
        snapshot.ingresses = snapshot.take(found.6);
        snapshot.routes = snapshot.take(found.7);
        snapshot.jobs = snapshot.take(found.8);
        snapshot.revisions = snapshot.take(found.9);
        snapshot.retain_own();
        Ok(Some(snapshot))
    }

    /// The Application, of which nothing else is known yet.
    pub fn new(application: Arc<Seen<Application>>) -> Self {
        Self {
            application,
            deployments: Vec::new(),
            replica_sets: Vec::new(),
            pods: Vec::new(),
            services: Vec::new(),
            budgets: Vec::new(),
            autoscalers: Vec::new(),
            ingresses: Vec::new(),
            routes: Vec::new(),
            jobs: Vec::new(),
            revisions: Vec::new(),
            unread: Vec::new(),
        }
    }

    fn take<T: Known>(&mut self, found: Option<Some<T>>) -> Some<T> {
        found.unwrap_or_else(|| {
            self.unread.push(T::RESOURCE.plural);
            Vec::new()
        })
    }

    /// Leaves out what bears the labels and belongs to somebody else. A child under the right name stays, whosever it is: that
    /// is what stands in the way.
    pub fn retain_own(&mut self) {
        let uid = self.application.metadata.uid.clone();
        let is_of = |uids: &[Uid], object: Option<&Uid>| object.is_some_and(|owner| uids.contains(owner));
        let deployments = uids(&self.deployments);
        self.replica_sets.retain(|set| is_of(&deployments, owner(set)));
        self.jobs.retain(|job| job.is_of(&uid));
        self.revisions.retain(|revision| revision.is_of(&uid));
        self.find_kept();
        let mut makers = uids(&self.replica_sets);
        makers.extend(uids(&self.jobs));
        self.pods.retain(|pod| is_of(&makers, owner(pod)));
    }

    /// Finds the revision that is no object of its own, and puts all in order.
    fn find_kept(&mut self) {
        let deployment = self.deployment().map(|own| (own.metadata.clone(), own.created));
        let (of_deployment, came) = deployment.unzip();
        let mut keepers: Vec<_> = self.revisions.iter().map(|one| (one.metadata.clone(), one.created)).collect();
        if keepers.is_empty() {
            keepers.extend(of_deployment.map(|metadata| (metadata, None)));
        }
        for (keeper, next) in keepers {
            if let Some(kept) = plan::kept_revision(&self.application.it, &keeper)
                && self.revisions.iter().all(|one| one.metadata.name != kept.metadata.name)
            {
                // It came with the Deployment, if that has not been made anew since.
                let created = came.flatten().filter(|came| next.is_none_or(|next| *came <= next));
                self.revisions.push(Arc::new(Seen { metadata: kept.metadata.clone(), created, it: kept }));
            }
        }
        self.revisions.sort_by_key(|revision| revision.it.revision);
    }

    /// The Deployment, if it is this Application's.
    pub fn deployment(&self) -> Option<&Arc<Seen<Deployment>>> {
        self.deployments.first().filter(|deployment| deployment.is_of(&self.application.metadata.uid))
    }

    /// The pods that a `ReplicaSet` or a Job has made.
    pub fn pods_of(&self, maker: &Uid) -> impl Iterator<Item = &Arc<Seen<Pod>>> {
        self.pods.iter().filter(move |pod| pod.is_controlled_by(maker))
    }
}

fn scope(key: &Key) -> Scope {
    Scope::namespaces([key.namespace.clone()])
}

fn uids<T: Known>(objects: &[Arc<Seen<T>>]) -> Vec<Uid> {
    objects.iter().map(|object| object.metadata().uid.clone()).collect()
}

fn owner<T: Known>(object: &Seen<T>) -> Option<&Uid> {
    object.metadata.controller().map(|owner| &owner.uid)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::observe::Observed;
    use crate::observe::revision::REVISION_ANNOTATION;

    fn seen<T: Known>(object: Value) -> Arc<Seen<T>> {
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn metadata(name: &str, uid: &str, owner: &str) -> Value {
        json!({"name": name, "namespace": "demo", "uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"uid": owner, "controller": true}]})
    }

    /// An Application called `shop` with this spec and status, as of generation 3.
    pub(in crate::kubectl) fn bare(spec: &Value, status: &Value) -> Snapshot {
        let mut status = status.clone();
        status["observedGeneration"] = json!(3);
        let mut metadata = metadata("shop", "u-1", "");
        metadata["generation"] = json!(3);
        Snapshot::new(seen(json!({"metadata": metadata, "spec": spec, "status": status})))
    }

    /// What there is in the middle of a rollout from revision 1, of which one pod is left, to revision 2, of whose pods so many
    /// are ready, and one crashes.
    pub(in crate::kubectl) fn rolling(ready: i32) -> Snapshot {
        let wished = ready + 1;
        let message =
            "Pod shop-deployment-2-bad, container shop-container: CrashLoopBackOff (exit code 1): no database";
        let degraded = json!({"type": "Degraded", "status": "True", "reason": "PodFailing", "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let mut not_ready = degraded.clone();
        (not_ready["type"], not_ready["status"]) = (json!("Ready"), json!("False"));
        let status = json!({"conditions": [not_ready, degraded], "readyReplicas": ready + 1, "currentRevision": 2,
            "lastGoodRevision": 1, "url": "https://shop.example.com",
            "failure": {"pod": "shop-deployment-2-bad", "container": "shop-container", "reason": "CrashLoopBackOff",
                "exitCode": 1, "message": "no database"}});
        let mut snapshot = bare(&json!({"image": "nginx:2", "port": 80, "replicas": wished}), &status);
        let mut deployment = metadata("shop-deployment", "d", "u-1");
        deployment["generation"] = json!(2);
        deployment["annotations"] = json!({"deployment.kubernetes.io/revision": "2"});
        snapshot.deployments.push(seen(json!({"metadata": deployment, "spec": {"replicas": wished, "template": {},
            "selector": {}}, "status": {"observedGeneration": 2, "replicas": wished + 1, "updatedReplicas": wished,
            "availableReplicas": ready + 1}})));
        for (number, replicas, ready) in [(0, 0, 0), (1, 1, 1), (2, wished, ready)] {
            let mut set = metadata(&format!("shop-deployment-{number}"), &format!("r{number}"), "d");
            set["annotations"] = json!({"deployment.kubernetes.io/revision": number.to_string()});
            let template =
                json!({"spec": {"containers": [{"name": "shop-container", "image": format!("nginx:{number}")}]}});
            snapshot.replica_sets.push(seen(json!({"metadata": set, "spec": {"replicas": replicas,
                "selector": {}, "template": template}, "status": {"replicas": replicas, "readyReplicas": ready}})));
            let revision = metadata(&format!("shop-{number}"), &format!("v{number}"), "u-1");
            let data = json!({"spec": {"template": template}});
            snapshot.revisions.push(seen(json!({"metadata": revision, "revision": number, "data": data})));
        }
        let mut pod = |name: &str, owner: &str, container: Value| {
            let metadata = metadata(name, name, owner);
            snapshot.pods.push(seen(json!({"metadata": metadata, "spec": {"containers": [{"name": "c"}]},
                "status": {"phase": "Running", "containerStatuses": [container]}})));
        };
        let running = json!({"name": "c", "ready": true, "restartCount": 0, "image": "", "imageID": "",
            "state": {"running": {}}});
        pod("shop-deployment-1-a", "r1", running.clone());
        for number in 0..ready {
            pod(&format!("shop-deployment-2-{number:02}"), "r2", running.clone());
        }
        pod(
            "shop-deployment-2-bad",
            "r2",
            json!({"name": "c", "ready": false, "restartCount": 4, "image": "",
            "imageID": "", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no\u{1b}[31m data\nbase データベース"}}}),
        );
        snapshot
            .services
            .push(seen(json!({"metadata": metadata("shop-service", "s", "u-1"), "spec": {"type": "NodePort",
            "clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 31000}]}})));
        snapshot.retain_own();
        snapshot
    }

    #[test]
    fn the_only_revision_is_that_which_the_deployment_keeps() {
        let mut snapshot = bare(&json!({"image": "nginx"}), &json!({"currentRevision": 1}));
        let observed = Observed::default();
        let rendered = plan::render(&snapshot.application.it, &observed, Kind::Deployment).unwrap();
        let mut metadata = metadata("shop-deployment", "d", "u-1");
        metadata["annotations"] = rendered["metadata"]["annotations"].clone();
        snapshot.deployments.push(seen(json!({"metadata": metadata, "spec": {"selector": {}, "template": {}}})));
        snapshot.retain_own();
        snapshot.retain_own();
        let found: Vec<_> = snapshot.revisions.iter().map(|revision| revision.it.revision).collect();
        assert_eq!((found, snapshot.revisions[0].it.template()), (vec![1], Some(rendered["spec"]["template"].clone())));
    }

    #[test]
    fn the_first_revision_is_that_which_the_second_one_keeps() {
        let mut snapshot = bare(&json!({"image": "nginx"}), &json!({}));
        let rendered = plan::render(&snapshot.application.it, &Observed::default(), Kind::Deployment).unwrap();
        let kept = &rendered["metadata"]["annotations"][REVISION_ANNOTATION];
        let mut second = metadata("shop-2", "v2", "u-1");
        second["annotations"] = json!({REVISION_ANNOTATION: kept});
        let data = json!({"spec": {"template": {}}});
        snapshot.revisions.push(seen(json!({"metadata": second, "revision": 2, "data": data})));
        let deployment = |created: &str| {
            let mut deployment = metadata("shop-deployment", "d", "u-1");
            deployment["creationTimestamp"] = json!(created);
            seen(json!({"metadata": deployment, "spec": {"selector": {}, "template": {}}}))
        };
        for (came, told) in [("2025-12-31T00:00:00Z", true), ("2026-01-02T00:00:00Z", false)] {
            snapshot.deployments = vec![deployment(came)];
            snapshot.retain_own();
            let found: Vec<_> = snapshot.revisions.iter().map(|one| (one.it.revision, one.created.is_some())).collect();
            assert_eq!(found, [(1, told), (2, true)], "a Deployment that was made anew says nothing of its age");
        }
    }

    #[test]
    fn what_bears_the_labels_and_belongs_to_somebody_else_is_left_out() {
        let mut snapshot = rolling(2);
        assert_eq!((snapshot.replica_sets.len(), snapshot.pods.len(), snapshot.revisions.len()), (3, 4, 3));
        let stray = json!({"metadata": metadata("stray", "x", "somebody"), "spec": {"containers": []}});
        snapshot.pods.push(seen(stray));
        snapshot.revisions.push(seen(json!({"metadata": metadata("stray", "y", "an earlier life"), "revision": 9})));
        snapshot.retain_own();
        assert_eq!((snapshot.pods.len(), snapshot.revisions.len()), (4, 3));
        let foreign = json!({"metadata": metadata("shop-deployment", "z", "somebody"), "spec": {"selector": {},
            "template": {}}});
        snapshot.deployments = vec![seen(foreign)];
        assert!(snapshot.deployment().is_none());
        snapshot.retain_own();
        assert!(snapshot.replica_sets.is_empty(), "they are of another Deployment");
    }
}

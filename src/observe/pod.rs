//! The pods of Applications: what is kept of each, and why one does not run. Pure.
//!
//! Little more is kept than what a failure shows itself by: of a thousand pods that run, no container is remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::api::{Entry, Label, Labels, Scope, Selector};
use engine::object::{Key, Metadata, Object, Resource};
use engine::store::Index;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Deserializer};

use super::Kind;
use super::child::Condition;
use super::job::MIGRATION_LABEL;
use super::revision::APPLICATION_LABEL;
use crate::application::Failure;

/// The label by which the operator's pods are told from all others, and its value the Application's name.
pub const POD_LABEL: &str = "label";

/// Reasons of a container that waits as every container does at first.
const PATIENT: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// A pod as it is kept.
#[derive(Debug, Deserialize)]
pub struct Pod {
    /// What every object has.
    pub metadata: Metadata,
    /// What the scheduler and the kubelet say.
    #[serde(default)]
    status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: Box<str>,
    reason: Box<str>,
    message: Box<str>,
    /// That no node has room for it, if that is so; the other conditions say less than the containers do.
    #[serde(rename = "conditions", deserialize_with = "unschedulable")]
    unschedulable: Option<Box<Condition>>,
    #[serde(deserialize_with = "telling")]
    init_container_statuses: Box<[ContainerStatus]>,
    #[serde(deserialize_with = "telling")]
    container_statuses: Box<[ContainerStatus]>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: Box<str>,
    ready: bool,
    /// `false` as long as its startup probe has not succeeded.
    started: Option<bool>,
    state: State,
    last_state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<Running>,
    waiting: Option<Said>,
    terminated: Option<Said>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Running {
    started_at: Option<Time>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    reason: Box<str>,
    message: Box<str>,
    exit_code: i32,
}

/// A container that runs and is not ready: it is on its way, or its readiness probe fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Its pod.
    pub pod: Arc<str>,
    /// Its name.
    pub container: Box<str>,
    /// When it began to run, by the kubelet's clock.
    pub since: Timestamp,
}

impl Object for Pod {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Pod", plural: "pods" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Pods by the key of their Application.
#[derive(Debug)]
pub struct OfApplication;

impl Index<Pod> for OfApplication {
    type Value = Key;

    fn values(pod: &Pod) -> impl IntoIterator<Item = Key> {
        pod.application()
    }
}

/// The pods of Applications in these namespaces; in all, if there are none.
pub fn scope<'n>(namespaces: impl IntoIterator<Item = &'n str>) -> Scope {
    let labels = Labels(vec![Label::Exists(POD_LABEL.into())]);
    Scope { selector: Selector { labels, ..Selector::default() }, ..Scope::namespaces(namespaces) }
}

impl Pod {
    /// The Application that it runs for: the one that it is labelled with, if a `ReplicaSet` of its Deployment owns it, or if it is
    /// a migration's.
    pub fn application(&self) -> Option<Key> {
        if self.is_of_migration() {
            return self.metadata.labels.get(APPLICATION_LABEL).map(|name| self.metadata.key().sibling(name));
        }
        let name = self.metadata.labels.get(POD_LABEL)?;
        let deployment = format!("{}-", Kind::Deployment.name(name));
        let owner = self.metadata.controller()?;
        let is_own = &*owner.kind == "ReplicaSet" && owner.name.starts_with(&deployment);
        is_own.then(|| self.metadata.key().sibling(name))
    }

    /// Whether a Job made it to run a migration, which may have left it since (`kubectl delete job --cascade=orphan`).
    fn is_of_migration(&self) -> bool {
        let has = |label| self.metadata.labels.get(label).is_some();
        let may_be = self.metadata.controller().is_none_or(|owner| &*owner.kind == "Job");
        may_be && has(APPLICATION_LABEL) && has(MIGRATION_LABEL)
    }

    /// Whether it runs a migration, or is about to.
    pub fn runs_migration(&self) -> bool {
        self.is_of_migration() && !matches!(&*self.status.phase, "Succeeded" | "Failed")
    }

    /// Why it does not run, if that does not pass by itself.
    pub fn failure(&self) -> Option<Failure> {
        // One that has ended (evicted, say) has been replaced by its `ReplicaSet`, and may lie there for weeks. A Job keeps
        // its own to tell why it has failed.
        let is_replaced = &*self.status.phase == "Failed" && !self.is_of_migration();
        if self.metadata.is_terminating() || is_replaced {
            return None;
        }
        let status = &self.status;
        let mut containers = status.init_container_statuses.iter().chain(&status.container_statuses);
        let fault = containers.find_map(|container| Some((&container.name, container.fault()?)));
        let (container, (reason, exit_code, message)) = match fault {
            Some((container, fault)) => (&**container, fault),
            None => ("", self.fault()?),
        };
        Some(Failure {
            pod: self.metadata.name.to_string(),
            container: container.to_owned(),
            reason: reason.to_owned(),
            exit_code,
            message: message.to_owned(),
        })
    }

    /// The container that runs and is not ready, if there is nothing worse to be said of the pod. One whose startup probe has not
    /// succeeded is no such container: what becomes of that, the kubelet decides, and ends it.
    pub fn unready(&self) -> Option<Unready> {
        if self.metadata.is_terminating() || self.is_of_migration() || self.failure().is_some() {
            return None;
        }
        let waits = |container: &&ContainerStatus| !container.ready && container.started != Some(false);
        self.status.container_statuses.iter().filter(waits).find_map(|container| {
            let since = container.state.running.as_ref()?.started_at.as_ref()?.0;
            Some(Unready { pod: self.metadata.name.clone(), container: container.name.clone(), since })
        })
    }

    /// What is wrong with the pod as a whole.
    fn fault(&self) -> Option<(&str, Option<i32>, &str)> {
        let status = &self.status;
        let ended = (&*status.phase == "Failed").then_some((&*status.reason, None, &*status.message));
        let unscheduled = || status.unschedulable.as_ref();
        ended.or_else(|| unscheduled().map(|condition| (&*condition.reason, None, &*condition.message)))
    }
}

fn unschedulable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Condition>>, D::Error> {
    let mut conditions = Vec::<Condition>::deserialize(deserializer)?.into_iter();
    let is_it = |condition: &Condition| &*condition.kind == "PodScheduled" && &*condition.reason == "Unschedulable";
    Ok(conditions.find(is_it).map(Box::new))
}

/// Those containers of which there is something to tell.
fn telling<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[ContainerStatus]>, D::Error> {
    let mut containers = Vec::<ContainerStatus>::deserialize(deserializer)?;
    containers.retain(|container| !container.ready || container.fault().is_some());
    Ok(containers.into())
}

impl ContainerStatus {
    /// Reason, exit code and message.
    fn fault(&self) -> Option<(&str, Option<i32>, &str)> {
        match &self.state.waiting {
            Some(waiting) if PATIENT.contains(&&*waiting.reason) || waiting.reason.is_empty() => None,
            Some(waiting) => {
                // Of a container that crashes again and again, how it ended says more than that it waits.
                let last = self.last_state.failed();
                let message = last.map(|last| &*last.message).filter(|said| !said.is_empty());
                Some((&waiting.reason, last.map(|last| last.exit_code), message.unwrap_or(&waiting.message)))
            }
            None => {
                // Running again after a crash, and not ready yet, is as bad as crashed.
                let crashed = self.last_state.failed().filter(|_| !self.ready);
                let ended = self.state.failed().or(crashed)?;
                Some((&ended.reason, Some(ended.exit_code), &ended.message))
            }
        }
    }
}

impl State {
    /// How it ended, if badly.
    fn failed(&self) -> Option<&Said> {
        self.terminated.as_ref().filter(|ended| ended.exit_code != 0)
    }
}

/// The failure to tell of, of several pods: the first by name, so that it does not change back and forth. Of the pods of
/// `ReplicaSets`, those of the `newest` count alone, if it is known: another's are on their way out.
pub fn first_failure(pods: &[Entry<Pod>], newest: Option<&str>) -> Option<Failure> {
    let failures = serving(pods, newest).filter_map(|pod| pod.failure());
    failures.min_by(|one, other| one.pod.cmp(&other.pod))
}

/// The container that has run for the longest without being ready, of the pods that [`first_failure`] counts.
pub fn longest_unready(pods: &[Entry<Pod>], newest: Option<&str>) -> Option<Unready> {
    let unready = serving(pods, newest).filter_map(|pod| pod.unready());
    unready.min_by(|one, other| (one.since, &one.pod).cmp(&(other.since, &other.pod)))
}

/// The pods of the `newest` `ReplicaSet`, or of all where that is not known.
fn serving<'p>(pods: &'p [Entry<Pod>], newest: Option<&'p str>) -> impl Iterator<Item = &'p Arc<Pod>> {
    let is_newest = move |pod: &Pod| {
        newest.is_none_or(|newest| pod.metadata.controller().is_some_and(|owner| *owner.name == *newest))
    };
    valid(pods).filter(move |pod| !pod.is_of_migration() && is_newest(pod))
}

/// The last failure of each Job that runs a migration, by the Job's name; pods that are tried one after the other have names
/// without an order, so that it is the last by name.
pub fn migration_failures(pods: &[Entry<Pod>]) -> BTreeMap<Arc<str>, Failure> {
    let mut of_migrations: Vec<_> = valid(pods).filter(|pod| pod.is_of_migration()).collect();
    of_migrations.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
    let failures = of_migrations.into_iter();
    failures.filter_map(|pod| Some((pod.metadata.controller()?.name.clone(), pod.failure()?))).collect()
}

fn valid(pods: &[Entry<Pod>]) -> impl Iterator<Item = &Arc<Pod>> {
    pods.iter().filter_map(|entry| match entry {
        Entry::Valid(pod) => Some(pod),
        Entry::Invalid(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        let metadata = json!({"name": "web-deployment-1-a", "namespace": "shop", "labels": {POD_LABEL: "web"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-deployment-1", "controller": true}]});
        serde_json::from_str(&json!({"metadata": metadata, "status": status}).to_string()).unwrap()
    }

    fn told(status: &Value) -> Option<(String, String, Option<i32>, String)> {
        pod(status).failure().map(|failure| (failure.container, failure.reason, failure.exit_code, failure.message))
    }

    fn container(fields: &Value) -> Value {
        let mut status = json!({"containerStatuses": [{"name": "web-container"}]});
        for (field, value) in fields.as_object().unwrap() {
            status["containerStatuses"][0][field] = value.clone();
        }
        status
    }

    #[test]
    fn what_passes_by_itself_is_no_failure() {
        for status in [
            json!({}),
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}),
            container(&json!({"state": {"waiting": {"reason": "ContainerCreating"}}})),
            container(&json!({"state": {"waiting": {"reason": "PodInitializing"}}})),
            container(&json!({"state": {"running": {}}, "ready": false})),
            container(&json!({"state": {"running": {}}, "ready": true, "lastState": {"terminated": {"exitCode": 1}}})),
            json!({"initContainerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 0}}}]}),
            // Of a readiness gate whose controller does not say since when.
            json!({"conditions": [{"type": "example.com/gate", "status": "False", "lastTransitionTime": null}]}),
        ] {
            assert_eq!(told(&status), None, "{status}");
        }
    }

    #[test]
    fn a_failure_names_the_container_and_how_it_ended() {
        let named = |reason: &str, code, message: &str| {
            Some(("web-container".to_owned(), reason.to_owned(), code, message.to_owned()))
        };
        let image = json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}});
        assert_eq!(told(&container(&image)), named("ImagePullBackOff", None, "no such image"));
        let crash = json!({"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}});
        assert_eq!(told(&container(&crash)), named("CrashLoopBackOff", Some(137), "back-off 10s"));
        let again = json!({"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}}});
        assert_eq!(told(&container(&again)), named("Error", Some(2), ""));
        let unschedulable = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/4 nodes are available"}]});
        let pod = Some((String::new(), "Unschedulable".to_owned(), None, "0/4 nodes are available".to_owned()));
        assert_eq!(told(&unschedulable), pod);
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "disk"});
        assert_eq!(told(&evicted), None, "another has taken its place");
    }

    #[test]
    fn of_a_pod_that_runs_as_it_should_no_container_and_no_condition_is_kept() {
        let mut status = container(&json!({"ready": true, "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 1}}}));
        status["initContainerStatuses"] =
            json!([{"name": "a", "ready": true, "state": {"terminated": {"exitCode": 0}}}]);
        status["conditions"] = json!([{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]);
        let kept = |status: &Value| {
            let PodStatus { unschedulable, init_container_statuses, container_statuses, .. } = pod(status).status;
            [usize::from(unschedulable.is_some()), init_container_statuses.len(), container_statuses.len()]
        };
        assert_eq!(kept(&status), [0, 0, 0]);
        status["containerStatuses"][0]["ready"] = json!(false);
        status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] = json!(1);
        status["conditions"][1]["reason"] = json!("Unschedulable");
        assert_eq!(kept(&status), [1, 1, 1]);
    }

    #[test]
    fn a_container_that_runs_and_is_not_ready_is_told_apart_from_one_that_starts_or_has_crashed() {
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        let unready = |fields: &Value| pod(&container(fields)).unready();
        let found = unready(&json!({"state": running, "ready": false, "started": true})).expect("it is not ready");
        assert_eq!((&*found.pod, &*found.container), ("web-deployment-1-a", "web-container"));
        assert_eq!(found.since.to_string(), "2026-01-01T00:00:00Z");
        for status in [
            json!({"state": running, "ready": true, "started": true}),
            json!({"state": running, "ready": false, "started": false}),
            json!({"state": running, "ready": false, "lastState": {"terminated": {"exitCode": 2}}}),
            json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
            json!({"state": {"running": {"startedAt": null}}}),
        ] {
            assert_eq!(unready(&status), None, "{status}");
        }
    }

    #[test]
    fn a_pod_of_a_former_template_fails_without_being_told_of_and_one_of_a_migration_apart() {
        let of = |owner: &str, kind: &str, status: &Value| {
            let mut pod = pod(status);
            pod.metadata.name = format!("{owner}-x").into();
            pod.metadata.owner_references[0].name = owner.into();
            pod.metadata.owner_references[0].kind = kind.into();
            let of_migration = [(APPLICATION_LABEL, "web"), (MIGRATION_LABEL, "schema")];
            pod.metadata.labels = pod.metadata.labels.iter().chain(of_migration).collect();
            Entry::Valid(Arc::new(pod))
        };
        let failing = container(&json!({"state": {"waiting": {"reason": "ErrImagePull"}}}));
        let mut ended = container(&json!({"state": {"terminated": {"exitCode": 3, "reason": "Error"}}}));
        ended["phase"] = json!("Failed");
        let former = of("web-deployment-1", "ReplicaSet", &failing);
        let newest = of("web-deployment-2", "ReplicaSet", &failing);
        let migration = of("web-mig-a", "Job", &ended);
        let pods = [former, newest, migration];
        let told = |newest| first_failure(&pods, newest).map(|failure| failure.pod);
        assert_eq!(told(Some("web-deployment-2")).as_deref(), Some("web-deployment-2-x"));
        assert_eq!(told(Some("web-deployment-3")), None);
        assert_eq!(told(None).as_deref(), Some("web-deployment-1-x"), "where it is not known, all count");
        let failures = migration_failures(&pods);
        assert_eq!((failures.len(), failures["web-mig-a"].exit_code), (1, Some(3)));
        let status = |message: &str| crate::observe::child::Status {
            conditions: [Condition { kind: "Progressing".into(), message: message.into(), ..Default::default() }]
                .into(),
            ..Default::default()
        };
        let progressing = status(r#"ReplicaSet "web-deployment-2" is progressing."#);
        assert_eq!(progressing.newest_replica_set(), Some("web-deployment-2"));
        assert_eq!(status("Deployment is paused").newest_replica_set(), None);
    }

    #[test]
    fn a_pod_belongs_to_the_application_whose_replica_set_owns_it() {
        assert_eq!(pod(&json!({})).application(), Some(Key::new("shop", "web")));
        let mut foreign = pod(&json!({}));
        foreign.metadata.owner_references = Box::default();
        assert_eq!(foreign.application(), None, "a label alone is anybody's");
    }
}

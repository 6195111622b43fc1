//! The pods of Applications: what is kept of each, and why one does not run. Pure.
//!
//! Little more is kept than what a failure shows itself by: of a thousand pods that run, no container is remembered.

use std::sync::Arc;

use engine::api::{Entry, Label, Labels, Scope, Selector};
use engine::object::{Key, Metadata, Object, Resource};
use engine::store::Index;
use serde::Deserialize;

use super::Kind;
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
    conditions: Vec<super::child::Condition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: Box<str>,
    ready: bool,
    state: State,
    last_state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Said>,
    terminated: Option<Said>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    reason: Box<str>,
    message: Box<str>,
    exit_code: i32,
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
    /// The Application that it runs for: the one that it is labelled with, if a `ReplicaSet` of its Deployment owns it.
    pub fn application(&self) -> Option<Key> {
        let name = self.metadata.labels.get(POD_LABEL)?;
        let deployment = format!("{}-", Kind::Deployment.name(name));
        let owner = self.metadata.controller()?;
        let is_own = &*owner.kind == "ReplicaSet" && owner.name.starts_with(&deployment);
        is_own.then(|| self.metadata.key().sibling(&**name))
    }

    /// Why it does not run, if that does not pass by itself.
    pub fn failure(&self) -> Option<Failure> {
        // One that has ended (evicted, say) has been replaced by its `ReplicaSet`, and may lie there for weeks.
        if self.metadata.is_terminating() || &*self.status.phase == "Failed" {
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

    /// What is wrong with the pod as a whole.
    fn fault(&self) -> Option<(&str, Option<i32>, &str)> {
        let status = &self.status;
        let unscheduled = |condition: &&super::child::Condition| {
            &*condition.kind == "PodScheduled" && &*condition.reason == "Unschedulable"
        };
        status.conditions.iter().find(unscheduled).map(|condition| (&*condition.reason, None, &*condition.message))
    }
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

/// The failure to tell of, of several pods: the first by name, so that it does not change back and forth.
pub fn first_failure(pods: Vec<Entry<Pod>>) -> Option<Failure> {
    let pods = pods.into_iter().filter_map(|entry| match entry {
        Entry::Valid(pod) => Some(pod),
        Entry::Invalid(_) => None,
    });
    pods.filter_map(|pod: Arc<Pod>| pod.failure()).min_by(|one, other| one.pod.cmp(&other.pod))
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
    fn a_pod_belongs_to_the_application_whose_replica_set_owns_it() {
        assert_eq!(pod(&json!({})).application(), Some(Key::new("shop", "web")));
        let mut foreign = pod(&json!({}));
        foreign.metadata.owner_references.clear();
        assert_eq!(foreign.application(), None, "a label alone is anybody's");
    }
}

//! What there is of one Application in, a tree of what people look at out. Pure: the time is an argument.

mod child;
mod pod;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DeploymentStatus, ReplicaSet};
use serde::Serialize;

use super::object::{Known, Seen};
use super::snapshot::Snapshot;
use super::text::{age, printable};
use crate::application::ConditionType;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It does what it is there for.
    Good,
    /// It is on its way.
    Busy,
    /// Something is in its way that does not pass by itself.
    Bad,
    /// It is of the past, or nothing is known.
    Idle,
}

/// How many of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many there are.
    pub done: i32,
    /// How many there are to be.
    pub of: i32,
}

/// An object, and those that it has made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Kind of the object; empty where a line stands for several.
    pub kind: &'static str,
    /// Its name, or what the line stands for.
    pub name: String,
    /// How well it is.
    pub health: Health,
    /// What it does, in a word.
    pub state: String,
    /// How many of its pods or containers are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Count>,
    /// Whether `ready` is shown as a bar where there is room, since it is a rollout's.
    #[serde(skip)]
    pub is_rollout: bool,
    /// How old it is, as kubectl shows it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub age: String,
    /// What else is to be known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What it has made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

impl Node {
    fn of<T: Known>(object: &Seen<T>, health: Health, state: impl Into<String>, now: Timestamp) -> Self {
        Self {
            kind: T::RESOURCE.kind,
            name: object.metadata.name.to_string(),
            health,
            state: state.into(),
            ready: None,
            is_rollout: false,
            age: age(object.created, now),
            detail: String::new(),
            children: Vec::new(),
        }
    }

    /// A line for several objects.
    fn of_several(name: String, health: Health) -> Self {
        Self {
            kind: "",
            name,
            health,
            state: String::new(),
            ready: None,
            is_rollout: false,
            age: String::new(),
            detail: String::new(),
            children: Vec::new(),
        }
    }
}

/// The tree of an Application.
pub fn tree(snapshot: &Snapshot, now: Timestamp) -> Node {
    let application = &*snapshot.application;
    let status = &application.it.status;
    let ready = status.condition(ConditionType::Ready);
    let holds = |kind| status.condition(kind).is_some_and(|condition| condition.status == "True");
    let is_of_now = status.observed_generation == application.metadata.generation;
    let (health, state) = match ready {
        _ if application.metadata.is_terminating() => (Health::Busy, "Terminating"),
        // A status of another spec says nothing of this one.
        _ if !is_of_now => (Health::Busy, "Pending"),
        None => (Health::Busy, "Pending"),
        Some(ready) if holds(ConditionType::Ready) => (Health::Good, &*ready.reason),
        Some(ready) if holds(ConditionType::Degraded) => (Health::Bad, &*ready.reason),
        Some(ready) => (Health::Busy, &*ready.reason),
    };
    let mut root = Node::of(application, health, state, now);
    root.ready = Some(Count { done: status.ready_replicas, of: application.it.spec.replicas });
    root.detail = printable(&application.it.spec.image);
    root.children.extend(snapshot.jobs.iter().map(|job| {
        let mut node = child::job(job, now);
        node.children = pod::pods(snapshot.pods_of(&job.metadata.uid), now);
        node
    }));
    root.children.extend(snapshot.deployments.iter().map(|deployment| {
        let mut node = child::deployment(deployment, now);
        if snapshot.deployment().is_some() {
            node.children = replica_sets(snapshot, now);
        }
        node
    }));
    root.children.extend(snapshot.services.iter().map(|service| child::service(service, now)));
    root.children.extend(snapshot.budgets.iter().map(|budget| child::budget(budget, now)));
    root.children.extend(snapshot.autoscalers.iter().map(|autoscaler| child::autoscaler(autoscaler, now)));
    root.children.extend(snapshot.ingresses.iter().map(|ingress| child::ingress(ingress, now)));
    root.children.extend(snapshot.routes.iter().map(|route| child::route(route, now)));
    for node in &mut root.children {
        child::contest(node, snapshot);
    }
    root
}

/// The `ReplicaSets`, the newest first; those of the past without pods in one line.
fn replica_sets(snapshot: &Snapshot, now: Timestamp) -> Vec<Node> {
    let current = snapshot.deployment().and_then(|deployment| number(deployment));
    let mut sets: Vec<_> = snapshot.replica_sets.iter().collect();
    sets.sort_by_key(|set| std::cmp::Reverse(number(set)));
    let has_pods = |set: &Seen<ReplicaSet>| {
        set.it.status.as_ref().is_some_and(|status| status.replicas > 0)
            || set.it.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default() > 0
            || snapshot.pods_of(&set.metadata.uid).next().is_some()
    };
    let (shown, past): (Vec<_>, Vec<_>) =
        sets.into_iter().partition(|set| has_pods(set) || number(set).is_some() && number(set) == current);
    let mut nodes: Vec<_> = shown
        .into_iter()
        .map(|set| {
            let mut node = child::replica_set(set, number(set) == current, revision_of(snapshot, set), now);
            node.children = pod::pods(snapshot.pods_of(&set.metadata.uid), now);
            node
        })
        .collect();
    if !past.is_empty() {
        let many = if past.len() == 1 { "ReplicaSet" } else { "ReplicaSets" };
        nodes.push(Node::of_several(format!("{} earlier {many} without pods", past.len()), Health::Idle));
    }
    nodes
}

/// The pods of a Deployment that have its latest template and are available, as far as its counts tell.
pub fn rolled_out(status: &DeploymentStatus) -> i32 {
    let [updated, available, exist] =
        [status.updated_replicas, status.available_replicas, status.replicas].map(Option::unwrap_or_default);
    // Of what is available, all former pods may be a part.
    updated.min(available - (exist - updated)).max(0)
}

/// The deployment controller's own count, which its `ReplicaSets` bear as well.
fn number<T>(object: &Seen<T>) -> Option<i64> {
    object.metadata.annotations.get("deployment.kubernetes.io/revision")?.parse().ok()
}

/// The number of the Application's revision that the `ReplicaSet` has the template of.
fn revision_of(snapshot: &Snapshot, set: &Seen<ReplicaSet>) -> Option<i64> {
    let spec = serde_json::value::to_raw_value(set.it.spec.as_ref()?).ok()?;
    let has = |template| crate::plan::compare::has_template(&template, &spec);
    let mut newest_first = snapshot.revisions.iter().rev();
    newest_first.find(|revision| revision.it.template().is_some_and(has)).map(|revision| revision.it.revision)
}

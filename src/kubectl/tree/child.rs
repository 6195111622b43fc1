//! Each kind of child as a line. Pure.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Count, Health, Node};
use crate::kubectl::object::Seen;
use crate::kubectl::snapshot::Snapshot;
use crate::kubectl::text::printable;
use crate::observe::{Child, HttpRoutes};

pub(super) fn deployment(deployment: &Seen<Deployment>, now: Timestamp) -> Node {
    let status = deployment.it.status.clone().unwrap_or_default();
    let spec = deployment.it.spec.clone().unwrap_or_default();
    let wished = spec.replicas.unwrap_or(1);
    let [exist, updated, available] =
        [status.replicas, status.updated_replicas, status.available_replicas].map(Option::unwrap_or_default);
    let rolled = super::rolled_out(&status);
    let conditions = status.conditions.unwrap_or_default();
    let stalled = conditions.iter().find(|one| one.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    let refused = conditions.iter().find(|one| one.type_ == "ReplicaFailure" && one.status == "True");
    let is_seen = status.observed_generation.unwrap_or_default() >= deployment.metadata.generation;
    let (health, state, said) = match (stalled, refused) {
        _ if deployment.metadata.is_terminating() => (Health::Busy, "Terminating", None),
        _ if !is_seen => (Health::Busy, "Pending", None),
        (_, Some(refused)) => (Health::Bad, "ReplicaFailure", refused.message.clone()),
        (Some(stalled), _) => (Health::Bad, "Stalled", stalled.message.clone()),
        _ if spec.paused == Some(true) && updated < exist => (Health::Idle, "Paused", None),
        _ if [exist, updated, available] == [wished; 3] => (Health::Good, "Available", None),
        _ => (Health::Busy, "RollingOut", None),
    };
    let mut node = Node::of(deployment, health, state, now);
    node.ready = Some(Count { done: rolled, of: wished });
    node.is_rollout = health != Health::Good;
    node.detail = match said {
        Some(said) => printable(&said),
        None if health == Health::Good => String::new(),
        None => format!("{updated} of {wished} updated, {available} available"),
    };
    node
}

/// A `ReplicaSet`, which has the template of the Application's revision of that number.
pub(super) fn replica_set(set: &Seen<ReplicaSet>, is_current: bool, revision: Option<i64>, now: Timestamp) -> Node {
    let status = set.it.status.clone().unwrap_or_default();
    let wished = set.it.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or_default();
    let (health, state) = match () {
        () if !is_current => (Health::Idle, "Former"),
        () if ready >= wished && status.replicas == wished => (Health::Good, "Current"),
        () => (Health::Busy, "Current"),
    };
    let mut node = Node::of(set, health, state, now);
    node.ready = Some(Count { done: ready, of: wished.max(status.replicas) });
    node.is_rollout = is_current && health == Health::Busy;
    let containers = set.it.spec.as_ref().and_then(|spec| spec.template.as_ref()?.spec.as_ref()?.containers.first());
    let image = containers.and_then(|container| container.image.as_deref()).unwrap_or_default();
    node.detail = match revision {
        Some(number) => format!("revision {number}, {}", printable(image)),
        None => printable(image),
    };
    node
}

pub(super) fn job(job: &Seen<Job>, now: Timestamp) -> Node {
    let status = job.it.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let holds = |kind: &str| conditions.iter().find(|one| one.type_ == kind && one.status == "True");
    let (health, state, said) = match (holds("Failed"), holds("Complete")) {
        (Some(failed), _) => (Health::Bad, "Failed", failed.message.clone().unwrap_or_default()),
        (None, Some(_)) => (Health::Good, "Complete", String::new()),
        _ if status.active.unwrap_or_default() > 0 => (Health::Busy, "Running", String::new()),
        _ => (Health::Busy, "Pending", String::new()),
    };
    let migration = job.metadata.labels.get(crate::observe::job::MIGRATION_LABEL).unwrap_or_default();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    let detail = format!("migration {migration}{said}");
    Node { detail: printable(&detail), ..Node::of(job, health, state, now) }
}

pub(super) fn service(service: &Seen<Service>, now: Timestamp) -> Node {
    let spec = service.it.spec.clone().unwrap_or_default();
    let kind = spec.type_.unwrap_or_else(|| "ClusterIP".to_owned());
    let ports: Vec<_> = spec.ports.unwrap_or_default().iter().map(port).collect();
    let status = service.it.status.clone().unwrap_or_default();
    let points = status.load_balancer.and_then(|balancer| balancer.ingress).unwrap_or_default();
    let outside: Vec<_> = points.into_iter().filter_map(|point| point.hostname.or(point.ip)).collect();
    let waits = kind == "LoadBalancer" && outside.is_empty();
    let address = if outside.is_empty() { spec.cluster_ip.unwrap_or_default() } else { outside.join(",") };
    let health = if waits { Health::Busy } else { Health::Good };
    let detail = printable(&format!("{address} {}", ports.join(",")));
    Node { detail, ..Node::of(service, health, kind, now) }
}

/// As `kubectl get services` writes it.
fn port(port: &k8s_openapi::api::core::v1::ServicePort) -> String {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    match port.node_port.filter(|port| *port != 0) {
        Some(node_port) => format!("{}:{node_port}/{protocol}", port.port),
        None => format!("{}/{protocol}", port.port),
    }
}

pub(super) fn budget(budget: &Seen<PodDisruptionBudget>, now: Timestamp) -> Node {
    let spec = budget.it.spec.clone().unwrap_or_default();
    let amount = |amount: &IntOrString| match amount {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    let rule = match (&spec.min_available, &spec.max_unavailable) {
        (Some(min), _) => format!("at least {} stay", amount(min)),
        (_, Some(max)) => format!("at most {} missing", amount(max)),
        _ => String::new(),
    };
    let allowed = budget.it.status.as_ref().map(|status| status.disruptions_allowed);
    // None allowed is what it is there for while pods are missing, and where nobody evicts any, no fault.
    let (health, state) = match allowed {
        Some(0) => (Health::Idle, "AtLimit"),
        Some(_) => (Health::Good, "Guarding"),
        None => (Health::Busy, "Pending"),
    };
    let evictions = allowed.map_or_else(String::new, |allowed| format!(", {allowed} may be evicted now"));
    Node { detail: printable(&format!("{rule}{evictions}")), ..Node::of(budget, health, state, now) }
}

pub(super) fn autoscaler(autoscaler: &Seen<HorizontalPodAutoscaler>, now: Timestamp) -> Node {
    let spec = autoscaler.it.spec.clone().unwrap_or_default();
    let status = autoscaler.it.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|one| one.type_ == kind);
    let inactive = condition("ScalingActive").filter(|one| one.status == "False");
    let limited = condition("ScalingLimited").filter(|one| one.status == "True");
    let (health, state) = match (inactive, limited) {
        (Some(inactive), _) => (Health::Bad, inactive.reason.clone().unwrap_or_else(|| "Inactive".to_owned())),
        (None, Some(limited)) => (Health::Good, limited.reason.clone().unwrap_or_else(|| "Limited".to_owned())),
        (None, None) if conditions.is_empty() => (Health::Busy, "Pending".to_owned()),
        (None, None) => (Health::Good, "Active".to_owned()),
    };
    let (least, most) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    let detail = match inactive.and_then(|inactive| inactive.message.as_deref()) {
        Some(why) => printable(why),
        None => format!("{least} to {most} pods, {} wished", status.desired_replicas),
    };
    Node { detail, ..Node::of(autoscaler, health, state, now) }
}

pub(super) fn ingress(ingress: &Seen<Ingress>, now: Timestamp) -> Node {
    let rules = ingress.it.spec.as_ref().and_then(|spec| spec.rules.clone()).unwrap_or_default();
    let hosts: Vec<_> = rules.into_iter().map(|rule| rule.host.unwrap_or_else(|| "*".to_owned())).collect();
    let status = ingress.it.status.as_ref();
    let points = status.and_then(|status| status.load_balancer.as_ref()?.ingress.clone()).unwrap_or_default();
    let outside: Vec<_> = points.into_iter().filter_map(|point| point.hostname.or(point.ip)).collect();
    // Whether a controller writes an address is its own choice, so that none is no fault.
    let (health, state) = if outside.is_empty() { (Health::Idle, "NoAddress") } else { (Health::Good, "Addressed") };
    let address = if outside.is_empty() { String::new() } else { format!(" at {}", outside.join(",")) };
    let detail = hosts.join(",") + &address;
    Node { detail: printable(&detail), ..Node::of(ingress, health, state, now) }
}

pub(super) fn route(route: &Seen<Child<HttpRoutes>>, now: Timestamp) -> Node {
    let parents = &route.it.0.status.parents;
    let conditions = || parents.iter().flat_map(|parent| &parent.conditions);
    let refused = conditions().find(|one| matches!(&*one.kind, "Accepted" | "ResolvedRefs") && &*one.status == "False");
    let is_accepted = conditions().any(|one| &*one.kind == "Accepted" && &*one.status == "True");
    let (health, state, detail) = match refused {
        Some(refused) => (Health::Bad, refused.reason.to_string(), printable(&refused.message)),
        None if is_accepted => (Health::Good, "Accepted".to_owned(), String::new()),
        None => (Health::Idle, "Pending".to_owned(), String::new()),
    };
    let hosts: Vec<String> = serde_json::from_str::<serde_json::Value>(route.it.0.spec.get())
        .ok()
        .and_then(|spec| serde_json::from_value(spec["hostnames"].clone()).ok())
        .unwrap_or_default();
    let detail = if detail.is_empty() { printable(&hosts.join(",")) } else { detail };
    Node { detail, ..Node::of(route, health, state, now) }
}

/// Says of a child whose name somebody else's object bears that it is none.
pub(super) fn contest(node: &mut Node, snapshot: &Snapshot) {
    let resources = &snapshot.application.it.status.resources;
    let contested = resources
        .iter()
        .any(|child| child.kind == node.kind && child.name == node.name && child.reason == "ChildConflict");
    if contested {
        (node.health, node.state, node.ready) = (Health::Bad, "ChildConflict".to_owned(), None);
        "belongs to somebody else".clone_into(&mut node.detail);
    }
}

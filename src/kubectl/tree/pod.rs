//! Pods as lines: what each does, and, of many, those alone that something is to be said of. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::{Count, Health, Node};
use crate::kubectl::object::Seen;
use crate::kubectl::text::printable;

/// The most pods of one maker that are shown one by one: about as many as are read, beside a screen's other lines.
const MOST: usize = 10;

/// The pods of one maker. Of many, those that are not well are shown, and of those the first.
pub(super) fn pods<'a>(pods: impl Iterator<Item = &'a Arc<Seen<Pod>>>, now: Timestamp) -> Vec<Node> {
    let mut nodes: Vec<_> = pods.map(|pod| node(pod, now)).collect();
    if nodes.len() <= MOST {
        return nodes;
    }
    nodes.sort_by_key(|node| match node.health {
        Health::Bad => 0,
        Health::Busy => 1,
        Health::Idle => 2,
        Health::Good => 3,
    });
    // The line that stands for the rest counts as well.
    let worth = nodes.iter().filter(|node| node.health != Health::Good).count();
    let rest = nodes.split_off(worth.min(MOST - 1));
    let mut states: Vec<(&str, Health, usize)> = Vec::new();
    for node in &rest {
        match states.iter_mut().find(|(state, health, _)| *state == node.state && *health == node.health) {
            Some((_, _, count)) => *count += 1,
            None => states.push((&node.state, node.health, 1)),
        }
    }
    let health = states.first().map_or(Health::Idle, |(_, health, _)| *health);
    let words: Vec<_> = states.iter().map(|(state, _, count)| format!("{count} {state}")).collect();
    let ready = Count {
        done: rest.iter().filter_map(|node| node.ready).map(|count| count.done).sum(),
        of: rest.iter().filter_map(|node| node.ready).map(|count| count.of).sum(),
    };
    let which = if nodes.is_empty() { "" } else { "more " };
    let more = Node::of_several(format!("{} {which}Pods: {}", rest.len(), words.join(", ")), health);
    nodes.push(Node { ready: Some(ready), ..more });
    nodes
}

fn node(pod: &Seen<Pod>, now: Timestamp) -> Node {
    let status = pod.it.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let inits = status.init_container_statuses.unwrap_or_default();
    let wished = pod.it.spec.as_ref().map_or(containers.len(), |spec| spec.containers.len());
    let ready = containers.iter().filter(|container| container.ready).count();
    let phase = status.phase.unwrap_or_default();
    let unschedulable =
        status.conditions.unwrap_or_default().into_iter().find(|condition| {
            condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
        });
    let fault = inits.iter().chain(&containers).find_map(fault);
    let (health, state, mut detail) = match (fault, unschedulable) {
        _ if pod.metadata.is_terminating() => (Health::Idle, "Terminating".to_owned(), String::new()),
        (Some((state, detail)), _) => (Health::Bad, state, detail),
        (None, Some(condition)) => (Health::Bad, "Unschedulable".to_owned(), condition.message.unwrap_or_default()),
        _ => match &*phase {
            "Succeeded" => (Health::Good, "Completed".to_owned(), String::new()),
            "Failed" => {
                let reason = status.reason.filter(|reason| !reason.is_empty());
                (Health::Bad, reason.unwrap_or(phase), status.message.unwrap_or_default())
            }
            "Running" if ready == wished => (Health::Good, phase, String::new()),
            "Running" => (Health::Busy, "NotReady".to_owned(), String::new()),
            _ => {
                let waits = inits.iter().chain(&containers).find_map(waiting);
                (
                    Health::Busy,
                    waits.unwrap_or(if phase.is_empty() { "Pending".to_owned() } else { phase }),
                    String::new(),
                )
            }
        },
    };
    let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();
    if restarts > 0 {
        let told = if restarts == 1 { "1 restart".to_owned() } else { format!("{restarts} restarts") };
        detail = if detail.is_empty() { told } else { format!("{told}: {detail}") };
    }
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let ready = Some(Count { done: count(ready), of: count(wished) });
    Node { ready, detail: printable(&detail), ..Node::of(pod, health, state, now) }
}

fn waiting(container: &ContainerStatus) -> Option<String> {
    container.state.as_ref()?.waiting.as_ref()?.reason.clone()
}

/// What is wrong with a container, in a word and in a sentence.
fn fault(container: &ContainerStatus) -> Option<(String, String)> {
    let state = container.state.as_ref()?;
    let ended = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
        let ended = state.as_ref()?.terminated.clone()?;
        let reason = ended.reason.unwrap_or_else(|| "Error".to_owned());
        let message = ended.message.filter(|message| !message.is_empty());
        let said = message.map_or_else(String::new, |message| format!(": {message}"));
        (ended.exit_code != 0).then(|| (reason, format!("exit code {}{said}", ended.exit_code)))
    };
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.clone().unwrap_or_default();
        if matches!(&*reason, "" | "ContainerCreating" | "PodInitializing") {
            return None;
        }
        let message = waiting.message.clone().unwrap_or_default();
        return Some((reason, ended(&container.last_state).map_or(message, |(_, said)| said)));
    }
    ended(&container.state).or_else(|| ended(&container.last_state).filter(|_| !container.ready))
}

//! Deployments, their sets, pods and jobs → the cells of their rows.

use jiff::Timestamp;
use serde_json::Value;

use super::{Columns, age, labels};
use crate::object;

pub(super) const DEPLOYMENT: &Columns = &[
    ("Name", "string", 0),
    ("Ready", "string", 0),
    ("Up-to-date", "integer", 0),
    ("Available", "integer", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];

pub(super) fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let (wished, status) = (count(&object["spec"], "replicas"), &object["status"]);
    let mut cells = vec![
        name(object),
        format!("{}/{wished}", count(status, "readyReplicas")).into(),
        count(status, "updatedReplicas").into(),
        count(status, "availableReplicas").into(),
        created(object, now),
    ];
    cells.extend(template(object));
    cells
}

pub(super) const REPLICA_SET: &Columns = &[
    ("Name", "string", 0),
    ("Desired", "integer", 0),
    ("Current", "integer", 0),
    ("Ready", "integer", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];

pub(super) fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let status = &object["status"];
    let mut cells = vec![
        name(object),
        count(&object["spec"], "replicas").into(),
        count(status, "replicas").into(),
        count(status, "readyReplicas").into(),
        created(object, now),
    ];
    cells.extend(template(object));
    cells
}

pub(super) const REVISION: &Columns =
    &[("Name", "string", 0), ("Controller", "string", 0), ("Revision", "string", 0), ("Age", "string", 0)];

pub(super) fn revision(object: &Value, now: Timestamp) -> Vec<Value> {
    let controller = object::controller(object).map_or_else(
        || "<none>".to_owned(),
        |controller| {
            let group =
                text(controller, "apiVersion").rsplit_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
            format!("{}{group}/{}", text(controller, "kind").to_lowercase(), text(controller, "name"))
        },
    );
    vec![name(object), controller.into(), count(object, "revision").into(), created(object, now)]
}

pub(super) const JOB: &Columns = &[
    ("Name", "string", 0),
    ("Status", "string", 0),
    ("Completions", "string", 0),
    ("Duration", "string", 0),
    ("Age", "string", 0),
    ("Containers", "string", 1),
    ("Images", "string", 1),
    ("Selector", "string", 1),
];

pub(super) fn job(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let is = |kind: &str| has_condition(status, kind);
    let state = match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if object::is_terminating(object) => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let completions = match (spec["completions"].as_i64(), spec["parallelism"].as_i64()) {
        (Some(wished), _) => format!("{}/{wished}", count(status, "succeeded")),
        (None, Some(parallel)) if parallel > 1 => format!("{}/1 of {parallel}", count(status, "succeeded")),
        (None, _) => format!("{}/1", count(status, "succeeded")),
    };
    let second = |field: &str| status[field].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let duration = second("startTime").map(|begin| {
        let end = second("completionTime").unwrap_or(now);
        age::short(end.as_second() - begin.as_second())
    });
    let mut cells =
        vec![name(object), state.into(), completions.into(), duration.unwrap_or_default().into(), created(object, now)];
    cells.extend(template(object));
    cells
}

pub(super) const POD: &Columns = &[
    ("Name", "string", 0),
    ("Ready", "string", 0),
    ("Status", "string", 0),
    ("Restarts", "string", 0),
    ("Age", "string", 0),
    ("IP", "string", 1),
    ("Node", "string", 1),
    ("Nominated Node", "string", 1),
    ("Readiness Gates", "string", 1),
];

pub(super) fn pod(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let containers = list(spec, "containers").len();
    let statuses = list(status, "containerStatuses");
    let is_ready = |one: &&Value| one["ready"] == true && one["state"]["running"].is_object();
    let ready = statuses.iter().filter(is_ready).count();
    let restarts: i64 = statuses.iter().map(|one| count(one, "restartCount")).sum();
    let ended = |one: &Value| one["lastState"]["terminated"]["finishedAt"].as_str().map(str::to_owned);
    let last = statuses.iter().filter_map(ended).max();
    let restarts = match last.filter(|_| restarts > 0) {
        Some(last) => format!("{restarts} ({} ago)", age::since(Some(&last.into()), now)),
        None => restarts.to_string(),
    };
    let or_none = |text: &str| Value::from(if text.is_empty() { "<none>" } else { text });
    let gates = list(spec, "readinessGates");
    let open = gates.iter().filter(|gate| has_condition(status, text(gate, "conditionType"))).count();
    vec![
        name(object),
        format!("{ready}/{containers}").into(),
        state(object).into(),
        restarts.into(),
        created(object, now),
        or_none(text(status, "podIP")),
        or_none(text(spec, "nodeName")),
        or_none(text(status, "nominatedNodeName")),
        if gates.is_empty() { "<none>".into() } else { format!("{open}/{}", gates.len()).into() },
    ]
}

/// A pod's state in a word: what its containers say of themselves goes before its phase.
fn state(object: &Value) -> String {
    let status = &object["status"];
    let phase = text(status, "phase");
    let mut state = if text(status, "reason").is_empty() { phase } else { text(status, "reason") }.to_owned();
    let initial = list(status, "initContainerStatuses");
    let ended_well =
        |one: &Value| one["state"]["terminated"]["exitCode"] == 0 && one["state"]["terminated"].is_object();
    let unfinished = initial.iter().enumerate().find(|(_, one)| !ended_well(one));
    if let Some((number, one)) = unfinished.filter(|_| !has_condition(status, "Initialized")) {
        let waits = text(&one["state"]["waiting"], "reason");
        state = if let Some(end) = end(one) {
            format!("Init:{end}")
        } else if waits.is_empty() || waits == "PodInitializing" {
            format!("Init:{number}/{}", list(&object["spec"], "initContainers").len())
        } else {
            format!("Init:{waits}")
        };
    } else {
        let statuses = list(status, "containerStatuses");
        for one in statuses.iter().rev() {
            let waits = text(&one["state"]["waiting"], "reason");
            if !waits.is_empty() {
                waits.clone_into(&mut state);
            } else if let Some(end) = end(one) {
                state = end;
            }
        }
        if state == "Completed"
            && statuses.iter().any(|one| one["ready"] == true && one["state"]["running"].is_object())
        {
            state = if has_condition(status, "Ready") { "Running" } else { "NotReady" }.into();
        }
    }
    match object::is_terminating(object) {
        true if text(status, "reason") == "NodeLost" => "Unknown".into(),
        true if !matches!(phase, "Succeeded" | "Failed") => "Terminating".into(),
        _ => state,
    }
}

/// Why a container has ended, if it has.
fn end(status: &Value) -> Option<String> {
    let end = status["state"]["terminated"].as_object()?;
    let number = |name: &str| end.get(name).and_then(Value::as_i64).unwrap_or(0);
    Some(match (end.get("reason").and_then(Value::as_str).unwrap_or_default(), number("signal")) {
        ("", 0) => format!("ExitCode:{}", number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    })
}

/// Names and images of a template's containers, and the selector.
fn template(object: &Value) -> [Value; 3] {
    let containers = list(&object["spec"]["template"]["spec"], "containers");
    let joined = |field: &str| containers.iter().map(|one| text(one, field)).collect::<Vec<_>>().join(",").into();
    [joined("name"), joined("image"), labels(&object["spec"]["selector"]["matchLabels"]).into()]
}

fn name(object: &Value) -> Value {
    object::text(object, "name").into()
}

fn created(object: &Value, now: Timestamp) -> Value {
    age::since(object::metadata(object).get("creationTimestamp"), now).into()
}

fn has_condition(status: &Value, kind: &str) -> bool {
    list(status, "conditions").iter().any(|one| one["type"] == kind && one["status"] == "True")
}

fn count(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or(0)
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_says_first_what_keeps_it_from_running() {
        let pod = |status: Value| json!({"spec": {"initContainers": [{}, {}]}, "status": status});
        let waiting = |reason: &str| json!([{"state": {"waiting": {"reason": reason}}}]);
        for (status, shown) in [
            (json!({"phase": "Pending"}), "Pending"),
            (json!({"phase": "Pending", "containerStatuses": waiting("ImagePullBackOff")}), "ImagePullBackOff"),
            (
                json!({"phase": "Pending", "initContainerStatuses": waiting("CrashLoopBackOff")}),
                "Init:CrashLoopBackOff",
            ),
            (json!({"phase": "Pending", "initContainerStatuses": waiting("PodInitializing")}), "Init:0/2"),
            (
                json!({"phase": "Running", "containerStatuses": [{"state": {"terminated": {"exitCode": 2}}}]}),
                "ExitCode:2",
            ),
            (json!({"phase": "Failed", "reason": "Evicted"}), "Evicted"),
        ] {
            assert_eq!(state(&pod(status.clone())), shown, "{status}");
        }
    }
}

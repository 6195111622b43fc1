//! Jobs: how they end, and what is left of them.

use serde_json::{Value, json};

use crate::scenario::{Deed, Scenario, create, delete, merge, pod_spec};

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new("work", [vec![job("work", &json!({"completions": 3, "parallelism": 2}))]]),
        Scenario::new("work-foreground", [vec![job("work", &Value::Null)], vec![delete("jobs/work", "Foreground")]]),
        Scenario::new("work-background", [vec![job("work", &Value::Null)], vec![delete("jobs/work", "Background")]]),
        Scenario::new("work-orphan", [vec![job("work", &Value::Null)], vec![delete("jobs/work", "Orphan")]]),
        Scenario::new(
            "work-suspended",
            [
                vec![job("work", &json!({"suspend": true}))],
                vec![merge("jobs/work", json!({"spec": {"suspend": false}}))],
            ],
        ),
        Scenario::new(
            "work-stuck",
            [
                vec![job("work", &json!({"parallelism": 2, "completions": 4, "template": stuck()}))],
                vec![merge("jobs/work", json!({"spec": {"parallelism": 3}}))],
                vec![merge("jobs/work", json!({"spec": {"suspend": true}}))],
            ],
        ),
        Scenario::new("work-stuck-background", [stuck_job(), vec![delete("jobs/work", "Background")]]),
        Scenario::new("work-stuck-orphan", [stuck_job(), vec![delete("jobs/work", "Orphan")]]),
        Scenario::new("work-late", [vec![job("work", &json!({"activeDeadlineSeconds": 2, "template": stuck()}))]]),
        Scenario::new("nowhere", [vec![nowhere()], vec![merge("pods/nowhere/status", silence())]]),
        Scenario::new("work-gone", [vec![job("work", &json!({"ttlSecondsAfterFinished": 1}))]]),
    ]
}

fn job(name: &str, others: &Value) -> Deed {
    let mut body = json!({"metadata": {"name": name}, "spec": {"template": template(&json!({}))}});
    for (field, value) in others.as_object().into_iter().flatten() {
        body["spec"][field] = value.clone();
    }
    create("jobs", body)
}

fn stuck_job() -> Vec<Deed> {
    vec![job("work", &json!({"template": stuck()}))]
}

/// A template of pods for which there is no node.
fn stuck() -> Value {
    template(&json!({"disk": "none"}))
}

fn template(node: &Value) -> Value {
    let container = json!({"name": "main", "image": "busybox"});
    let spec = json!({
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "nodeSelector": node, "containers": [container],
    });
    json!({"metadata": {"labels": {"app": "work"}}, "spec": spec})
}

/// A pod for which there is no node.
fn nowhere() -> Deed {
    let mut spec = pod_spec("nginx");
    spec["nodeSelector"] = json!({"disk": "none"});
    create("pods", json!({"metadata": {"name": "nowhere"}, "spec": spec}))
}

/// That nobody knows anything of a pod.
fn silence() -> Value {
    json!({"status": {"conditions": []}})
}

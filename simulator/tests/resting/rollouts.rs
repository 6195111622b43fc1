//! Deployments: sizes, rollouts and what is left of them.

use serde_json::{Value, json};

use crate::scenario::{Deed, Scenario, create, delete, deployment, image, merge, pod_spec, scale};

/// No node has this label.
fn nowhere() -> Value {
    json!({"spec": {"template": {"metadata": {"labels": {"tag": "nowhere"}}, "spec": {"nodeSelector": {"disk": "none"}}}}})
}

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "sizes",
            [vec![deployment(3, &Value::Null)], vec![scale(5)], vec![scale(2)], vec![scale(0)], vec![scale(1)]],
        ),
        Scenario::new("update", [vec![deployment(4, &Value::Null)], vec![image("2")], vec![image("3"), scale(6)]]),
        Scenario::new(
            "rollback",
            [vec![deployment(2, &Value::Null)], vec![image("2")], vec![image("1")], vec![image("2")], vec![image("3")]],
        ),
        Scenario::new(
            "recreate",
            [vec![deployment(3, &json!({"strategy": {"type": "Recreate"}}))], vec![image("2")], vec![image("1")]],
        ),
        Scenario::new(
            "pause",
            [
                vec![deployment(2, &Value::Null)],
                vec![merge("deployments/web", json!({"spec": {"paused": true}}))],
                vec![image("2")],
                vec![scale(5)],
                vec![merge("deployments/web", json!({"spec": {"paused": false}}))],
            ],
        ),
        Scenario::new(
            "history",
            [
                vec![deployment(1, &json!({"revisionHistoryLimit": 1}))],
                vec![image("2")],
                vec![image("3")],
                vec![image("4")],
                vec![merge("deployments/web", json!({"spec": {"revisionHistoryLimit": 0}}))],
            ],
        ),
        Scenario::new(
            "annotated",
            [
                vec![deployment(1, &Value::Null)],
                vec![merge("deployments/web", json!({"metadata": {"annotations": {"team": "blue"}}}))],
                vec![merge(
                    "deployments/web",
                    json!({"metadata": {"annotations": {"team": null}, "labels": {"a": "b"}}}),
                )],
                vec![merge("deployments/web", json!({"spec": {"minReadySeconds": 1}}))],
            ],
        ),
        Scenario::new(
            "stuck",
            [
                vec![deployment(4, &Value::Null)],
                vec![merge("deployments/web", nowhere())],
                vec![scale(8)],
                vec![scale(3)],
                vec![image("2")],
            ],
        ),
        Scenario::new(
            "late",
            [
                vec![deployment(2, &json!({"progressDeadlineSeconds": 2}))],
                vec![merge("deployments/web", nowhere())],
                vec![image("1")],
            ],
        ),
        Scenario::new(
            "pods",
            [
                vec![deployment(2, &Value::Null)],
                vec![delete("pods/$name(pods?app=web)", "Background")],
                vec![merge("pods/$name(pods?app=web)", json!({"metadata": {"labels": {"app": "other"}}}))],
                vec![merge("pods/$name(pods?app=other)", json!({"metadata": {"labels": {"app": "web"}}}))],
            ],
        ),
        Scenario::new(
            "sets",
            [
                vec![deployment(2, &Value::Null)],
                vec![delete("replicasets/$name(replicasets?app=web)", "Background")],
                vec![delete("replicasets/$name(replicasets?app=web)", "Orphan")],
            ],
        ),
        Scenario::new("alone", [vec![set(2)], vec![pod("guest")], vec![delete("replicasets/alone", "Background")]]),
    ]
}

/// A `ReplicaSet` without a Deployment.
fn set(replicas: u32) -> Deed {
    let labels = json!({"app": "alone"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod_spec("nginx:1")});
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": labels}, "template": template});
    create("replicasets", json!({"metadata": {"name": "alone"}, "spec": spec}))
}

/// A pod that the set selects, and has no need of.
fn pod(name: &str) -> Deed {
    create("pods", json!({"metadata": {"name": name, "labels": {"app": "alone"}}, "spec": pod_spec("nginx:1")}))
}

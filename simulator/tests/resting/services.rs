//! Services and their slices, with pods that are ready and pods that aren't.

use serde_json::{Value, json};

use crate::scenario::{Deed, Scenario, create, delete, deployment, merge, pod_spec, scale};
use crate::side::UNREADY;

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "serving",
            [
                vec![service("web", &json!({"targetPort": "http"}), &Value::Null)],
                vec![deployment(2, &Value::Null)],
                vec![scale(3)],
            ],
        ),
        Scenario::new(
            "unready",
            [
                vec![service("web", &json!({"targetPort": 8080}), &Value::Null), pod("well", false), pod("ill", true)],
                vec![merge("services/web", json!({"spec": {"publishNotReadyAddresses": true}}))],
                vec![delete("pods/ill", "Background")],
            ],
        ),
        Scenario::new(
            "headless",
            [
                vec![service("web", &json!({"targetPort": "http"}), &json!({"clusterIP": "None"})), pod("well", false)],
                vec![delete("pods/well", "Background")],
            ],
        ),
    ]
}

fn service(name: &str, port: &Value, others: &Value) -> Deed {
    let mut body = json!({
        "metadata": {"name": name},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    });
    body["spec"]["ports"][0]["targetPort"] = port["targetPort"].clone();
    for (field, value) in others.as_object().into_iter().flatten() {
        body["spec"][field] = value.clone();
    }
    create("services", body)
}

fn pod(name: &str, is_unready: bool) -> Deed {
    let annotations = if is_unready { json!({UNREADY: "never-ready"}) } else { json!({}) };
    let metadata = json!({"name": name, "labels": {"app": "web"}, "annotations": annotations});
    create("pods", json!({"metadata": metadata, "spec": pod_spec("nginx:1")}))
}

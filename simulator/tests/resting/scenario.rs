//! What is done, step by step; after each step everything comes to rest.

use serde_json::{Value, json};

use crate::side::Side;

/// A request. Its path is relative to the scenario's namespace, such as `deployments/web`. In path and body
/// `$name(pods?app=web)` stands for the name of the first such object that is not on its way out, and `$uid(configmaps/a)` for a
/// uid.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) content: &'static str,
    pub(crate) body: Value,
}

/// Steps in a namespace of their own.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Vec<Deed>>,
}

impl Scenario {
    pub(crate) fn new(name: &'static str, steps: impl IntoIterator<Item = Vec<Deed>>) -> Self {
        Self { name, steps: steps.into_iter().collect() }
    }
}

/// The resources of the scenarios, and where they are served.
pub(crate) const RESOURCES: [(&str, &str); 8] = [
    ("namespaces", "/api/v1"),
    ("configmaps", "/api/v1"),
    ("services", "/api/v1"),
    ("pods", "/api/v1"),
    ("deployments", "/apis/apps/v1"),
    ("replicasets", "/apis/apps/v1"),
    ("jobs", "/apis/batch/v1"),
    ("endpointslices", "/apis/discovery.k8s.io/v1"),
];

/// A path in a namespace as the server has it.
pub(crate) fn uri(space: &str, path: &str) -> String {
    let resource = path.split(['/', '?']).next().unwrap_or_default();
    let (_, root) = RESOURCES.iter().find(|(name, _)| *name == resource).expect("a resource of the scenarios");
    let inner = if resource == "namespaces" { String::new() } else { format!("namespaces/{space}/") };
    format!("{root}/{inner}{path}").replace("$space", space)
}

/// Creates the namespace of a scenario.
pub(crate) fn open(side: &mut dyn Side, space: &str) {
    let body = json!({"metadata": {"name": space}});
    let (code, answer) = side.ask("POST", "/api/v1/namespaces", "application/json", &body);
    assert_eq!(code, 201, "{answer}");
}

pub(crate) fn create(resource: &str, body: Value) -> Deed {
    Deed { method: "POST", path: resource.to_owned(), content: "application/json", body }
}

pub(crate) fn merge(path: &str, body: Value) -> Deed {
    Deed { method: "PATCH", path: path.to_owned(), content: "application/merge-patch+json", body }
}

pub(crate) fn delete(path: &str, policy: &str) -> Deed {
    let body = json!({"propagationPolicy": policy});
    Deed { method: "DELETE", path: path.to_owned(), content: "application/json", body }
}

pub(crate) fn scale(replicas: u32) -> Deed {
    merge("deployments/web", json!({"spec": {"replicas": replicas}}))
}

/// Gives `deployments/web` another image. Its pods bear the image's tag as a label, by which a step finds them and their set.
pub(crate) fn image(tag: &str) -> Deed {
    let container = json!({"name": "main", "image": format!("nginx:{tag}"), "ports": ports()});
    let spec = json!({"containers": [container], "nodeSelector": null});
    let template = json!({"metadata": {"labels": {"tag": tag}}, "spec": spec});
    merge("deployments/web", json!({"spec": {"template": template}}))
}

/// A Deployment `web` with the image `nginx:1`, and what else its spec is to have.
pub(crate) fn deployment(replicas: u32, others: &Value) -> Deed {
    let mut body = json!({
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web", "tag": "1"}}, "spec": pod_spec("nginx:1")},
        },
    });
    for (name, value) in others.as_object().into_iter().flatten() {
        body["spec"][name] = value.clone();
    }
    create("deployments", body)
}

pub(crate) fn pod_spec(image: &str) -> Value {
    // Without grace, so that no kubelet waits.
    json!({
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": image, "ports": ports()}],
    })
}

fn ports() -> Value {
    json!([{"name": "http", "containerPort": 8080}])
}

//! What a write costs the API server, by its form: its processor time for some hundreds of them, one after the other.

use std::collections::BTreeMap;

use engine::transport::Service;
use http::Method;
use serde_json::{Value, json};

use crate::scenario::Measured;
use crate::traffic::{self, APPLICATIONS, DEPLOYMENTS, SERVICES, send};
use crate::world::World;

/// Writes of each form: enough that the kernel's ticks, and a collection of garbage more or less, do not count.
const WRITES: usize = 400;

/// Who measures nothing but this.
pub(crate) const NAME: &str = "writes";

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Milliseconds of processor time of the API server, by form.
pub(crate) async fn measure() -> Result<Measured, Box<dyn std::error::Error>> {
    let world = World::start()?;
    let mut forms = Forms { world: &world, values: BTreeMap::new() };
    let create = |name: String| json!({"name": name, "resourceVersion": "1"});
    let apply = |path: &str, name: &str| format!("{path}/{name}?fieldManager=bench&force=true");

    forms
        .each("Deployment, created by POST", |number| {
            let name = format!("post-{number}");
            (Method::POST, DEPLOYMENTS.to_owned(), JSON, deployment(json!({"name": name}), &name, "nginx:1.29"))
        })
        .await;
    forms
        .each("Deployment, created by apply", |number| {
            let name = format!("apply-{number}");
            (Method::PATCH, apply(DEPLOYMENTS, &name), APPLY, deployment(create(name.clone()), &name, "nginx:1.29"))
        })
        .await;
    forms
        .each("Deployment, image changed by PUT", |number| {
            let name = format!("post-{number}");
            let path = format!("{DEPLOYMENTS}/{name}");
            (Method::PUT, path, JSON, deployment(json!({"name": name}), &name, "nginx:1.30"))
        })
        .await;
    forms
        .each("Deployment, image changed by apply", |number| {
            let name = format!("apply-{number}");
            (Method::PATCH, apply(DEPLOYMENTS, &name), APPLY, deployment(json!({"name": name}), &name, "nginx:1.30"))
        })
        .await;
    forms
        .each("Service with a node port, created by POST", |number| {
            let name = format!("post-{number}");
            (Method::POST, SERVICES.to_owned(), JSON, service(json!({"name": name}), &name))
        })
        .await;
    forms
        .each("Service with a node port, created by apply", |number| {
            let name = format!("apply-{number}");
            (Method::PATCH, apply(SERVICES, &name), APPLY, service(create(name.clone()), &name))
        })
        .await;
    for number in 0..WRITES {
        traffic::create(&world.service, &format!("status-{number}")).await;
    }
    forms
        .each("Application, status by merge", |number| {
            let path = format!("{APPLICATIONS}/status-{number}/status");
            (Method::PATCH, path, MERGE, json!({"status": status()}))
        })
        .await;
    Ok(Measured { peer: NAME.to_owned(), applications: WRITES, values: forms.values })
}

struct Forms<'w> {
    world: &'w World,
    values: BTreeMap<String, f64>,
}

impl Forms<'_> {
    /// Makes all writes of one form.
    async fn each(&mut self, form: &str, write: impl Fn(usize) -> (Method, String, &'static str, Value)) {
        let service: &Service = &self.world.service;
        let before = self.world.server_cpu();
        for number in 0..WRITES {
            let (method, path, kind, body) = write(number);
            send(service, method, path, Some((kind, body))).await;
        }
        let each = (self.world.server_cpu() - before) * 1_000.0 / WRITES as f64;
        eprintln!("{form}: {each:.2} ms");
        self.values.insert(form.to_owned(), each);
    }
}

fn deployment(metadata: Value, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"label": name}},
            "template": {"metadata": {"labels": {"app": name, "label": name}}, "spec": {
                "automountServiceAccountToken": false, "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": format!("{name}-container"), "image": image,
                    "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                    "securityContext": {"allowPrivilegeEscalation": false}}],
            }},
        },
    })
}

fn service(metadata: Value, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {
            "type": "NodePort", "externalTrafficPolicy": "Local", "selector": {"app": name},
            "ports": [{"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"}],
        },
    })
}

/// A status with as many conditions as the operators write.
fn status() -> Value {
    let conditions: Vec<Value> = ["Ready", "Progressing", "Degraded", "Reconciling", "Stalled"]
        .map(|kind| {
            json!({"type": kind, "status": "False", "reason": "Pending", "observedGeneration": 1,
                "message": "Waiting for the cluster to take up the children",
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        })
        .into();
    json!({"observedGeneration": 1, "replicas": 0, "readyReplicas": 0, "updatedReplicas": 0, "selector": "label=a",
        "conditions": conditions})
}

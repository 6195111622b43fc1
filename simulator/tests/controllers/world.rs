//! A world, and how tests look at it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use simulator::{Answer, Request};

pub(crate) struct World(pub(crate) simulator::World);

pub(crate) const SECOND: Duration = Duration::from_secs(1);

impl World {
    pub(crate) fn new() -> Self {
        Self::seeded(7)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self(simulator::World::new(seed, Timestamp::UNIX_EPOCH))
    }

    pub(crate) fn ask(&mut self, method: &str, uri: &str, content: &str, body: &Value) -> (u16, Value) {
        let mut request = Request::new(method, uri);
        content.clone_into(&mut request.content_type);
        "test".clone_into(&mut request.user_agent);
        if !body.is_null() {
            request.body = body.to_string().into_bytes();
        }
        match self.0.handle(&request) {
            Answer::Document { code, body, .. } => (code, body),
            Answer::Watch(_) => panic!("a document"),
        }
    }

    #[track_caller]
    pub(crate) fn create(&mut self, uri: &str, body: &Value) -> Value {
        let (code, answer) = self.ask("POST", uri, "application/json", body);
        assert_eq!(code, 201, "{answer}");
        answer
    }

    #[track_caller]
    pub(crate) fn get(&mut self, uri: &str) -> Value {
        let (code, answer) = self.ask("GET", uri, "", &Value::Null);
        assert_eq!(code, 200, "{answer}");
        answer
    }

    #[track_caller]
    pub(crate) fn merge(&mut self, uri: &str, patch: &Value) -> Value {
        let (code, answer) = self.ask("PATCH", uri, "application/merge-patch+json", patch);
        assert_eq!(code, 200, "{answer}");
        answer
    }

    #[track_caller]
    pub(crate) fn delete(&mut self, uri: &str, policy: &str) {
        let body = json!({"propagationPolicy": policy});
        let (code, answer) = self.ask("DELETE", uri, "", &body);
        assert_eq!(code, 200, "{answer}");
    }

    pub(crate) fn is_there(&mut self, uri: &str) -> bool {
        self.ask("GET", uri, "", &Value::Null).0 == 200
    }

    #[track_caller]
    pub(crate) fn list(&mut self, uri: &str) -> Vec<Value> {
        self.get(uri)["items"].as_array().cloned().expect("a list")
    }

    pub(crate) fn pass(&mut self, seconds: u32) {
        self.0.pass(SECOND * seconds);
    }
}

pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
pub(crate) const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";
pub(crate) const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
pub(crate) const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

pub(crate) fn deployment(name: &str, replicas: u32, image: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]},
            },
        },
    })
}

/// A condition of an object: status, reason and message.
pub(crate) fn condition(object: &Value, kind: &str) -> [String; 3] {
    let found = object["status"]["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == kind);
    let found = found.unwrap_or(&Value::Null);
    ["status", "reason", "message"].map(|name| found[name].as_str().unwrap_or_default().to_owned())
}

/// Counts of a Deployment's status: replicas, updated, ready, available, unavailable.
pub(crate) fn counts(deployment: &Value) -> [i64; 5] {
    ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"]
        .map(|name| deployment["status"][name].as_i64().unwrap_or(0))
}

//! The objects of these tests: `ConfigMap`s, which say one thing each, and a client for them.

use std::collections::BTreeMap;

use engine::api::Client;
use engine::object::{Metadata, Object, Resource};
use engine::transport::Service;
use serde::Deserialize;
use serde_json::{Value, json};

/// As much of a `ConfigMap` as the tests read.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConfigMap {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) data: BTreeMap<String, String>,
}

impl ConfigMap {
    /// What it says under the one name that the tests use.
    pub(crate) fn value(&self) -> &str {
        self.data.get("value").map_or("", String::as_str)
    }
}

impl Object for ConfigMap {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Uid, version and value of each object, by name.
pub(crate) type State = BTreeMap<String, (String, String, String)>;

pub(crate) fn client(service: &Service) -> Client {
    Client::new(service.clone(), "engine-test")
}

/// An object that is to be written.
pub(crate) fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
}

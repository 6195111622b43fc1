//! A whole operator: it copies each `ConfigMap` that asks for it into other namespaces, and keeps the copies as they are.
//!
//! `kubectl annotate configmap settings copier.example/to=blue,green` makes two copies. One that is edited or deleted is put
//! back; one that is no longer asked for, or whose source is gone, is deleted, whether or not the copier ran at that time.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::api::{Client, Deleted, Deletion, Entry, Error};
use engine::controller::{Controller, Cx, Failure, Outcome, Reconcile};
use engine::object::{Key, Metadata, Object, Resource};
use engine::{config::Config, informer::Informers, shutdown, store::Index, transport, trigger};
use serde_json::{Value, json};

const TO: &str = "copier.example/to"; // On a source: namespaces, with commas between.
const FROM: &str = "copier.example/from"; // On a copy: the source's namespace. Owners can't be in another one.

/// As much of a `ConfigMap` as matters here; nothing else is decoded or kept.
#[derive(serde::Deserialize)]
struct ConfigMap {
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

impl Object for ConfigMap {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps" };
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Copies by their source.
struct BySource;

impl Index<ConfigMap> for BySource {
    type Value = Key;
    fn values(copy: &ConfigMap) -> impl IntoIterator<Item = Key> {
        copy.metadata.labels.get(FROM).map(|from| Key::new(from, copy.metadata.name.clone()))
    }
}

struct Copier;

impl Reconcile<ConfigMap> for Copier {
    async fn reconcile(&self, cx: &Cx<ConfigMap>) -> Result<Outcome, Failure> {
        let asked = cx.live().and_then(|source| source.metadata.annotations.get(TO)).unwrap_or_default();
        let targets = || asked.split(',').map(str::trim).filter(|to| !to.is_empty() && **to != *cx.key().namespace);
        let (cache, mut result) = (cx.reader::<ConfigMap>(), Ok(Outcome::Done));
        for copy in cache.by_index::<BySource>(cx.key()) {
            if !targets().any(|target| *target == *copy.metadata().namespace) {
                match cx.client().delete(&copy.key(), &Deletion::unchanged(copy.metadata())).await? {
                    Deleted::Gone => cache.remember_deleted(copy.metadata()),
                    Deleted::Terminating(copy) => drop(cache.remember(copy)),
                }
            }
        }
        for target in targets() {
            // One namespace that can't be written to keeps no other from its copy.
            result = copy(cx, target).await.map_err(Failure::from).and(result);
        }
        result
    }
}

async fn copy(cx: &Cx<ConfigMap>, target: &str) -> Result<Outcome, Error> {
    let (Some(source), cache) = (cx.live(), cx.reader::<ConfigMap>()) else { return Ok(Outcome::Done) };
    let key = Key::new(target, cx.key().name.clone());
    let metadata = json!({"name": key.name, "namespace": target, "labels": {FROM: cx.key().namespace}});
    let mut body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": source.data});
    let written: ConfigMap = match cache.get(&key) {
        None => cx.client().create(Some(target), &body).await?,
        Some(Entry::Valid(copy)) if BySource::values(&copy).into_iter().eq([cx.key().clone()]) => {
            if copy.data == source.data {
                return Ok(Outcome::Done);
            }
            body["metadata"]["resourceVersion"] = Value::from(&*copy.metadata.resource_version.0);
            cx.client().replace(&key, None, &body).await?
        }
        Some(_) => return Ok(Outcome::Done), // Somebody else's: it stays as it is.
    };
    cache.remember(written);
    Ok(Outcome::Done)
}

pub(crate) async fn run(client: Client, shutdown: shutdown::Shutdown) -> Result<(), engine::controller::Error> {
    let copies = Controller::<ConfigMap>::new("copier", &Informers::new(client), Arc::default());
    copies.watches(trigger::indexed::<BySource, ConfigMap>).run(Copier, shutdown).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(transport::connect(&Config::find(None, None)?)?, "copier");
    let (_trigger, shutdown) = shutdown::channel();
    tokio::select! {
        stopped = run(client, shutdown) => Ok(stopped?),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

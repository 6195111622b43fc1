//! A cache against an API server: it equals what the server has, however it was listed and whatever was cut.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::api::{Client, Entry};
use engine::config::Config;
use engine::object::{Key, Metadata, Object, Resource};
use engine::reflector::Reflector;
use engine::store::{self, Reader};
use engine::transport;
use serde::Deserialize;
use serde_json::json;
use testbed::{Component, Feature, Options, Server};

/// Many times what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the objects are.
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// More than two pages of a list.
const MANY: usize = 1_100;

/// As much of a `ConfigMap` as the tests read.
#[derive(Debug, Deserialize)]
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

/// What happened to which name: `+` it came, `~` it changed, `-` it went.
type Told = Arc<Mutex<Vec<String>>>;

/// A running reflector of the namespace `default`, its cache, and what it tells.
fn reflect(kubeconfig: &Path) -> (Reader<ConfigMap>, Told) {
    let config = Config::from_kubeconfig(kubeconfig, None).expect("the cluster's kubeconfig");
    let client = Client::new(transport::connect(&config).expect("a usable configuration"), "test");
    let (mut writers, reader) = store::new::<ConfigMap>(&["default".into()]);
    let told = Told::default();
    let tell = told.clone();
    tokio::spawn(Reflector::new(client, writers.remove(0)).run(move |change| {
        let sign = match (&change.old, &change.new) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        tell.lock().expect("no panic").push(format!("{sign}{}", change.key().name));
    }));
    (reader, told)
}

/// The data of the cached objects whose names begin with `app-`.
fn cached(reader: &Reader<ConfigMap>) -> BTreeMap<String, String> {
    let objects = reader.keys().into_iter().filter(|key| key.name.starts_with("app-"));
    let value = |key: &Key| match reader.get(key) {
        Some(Entry::Valid(object)) => object.data.get("value").cloned().unwrap_or_default(),
        _ => "not decoded".to_owned(),
    };
    objects.map(|key| (key.name.to_string(), value(&key))).collect()
}

/// Waits until the cache holds exactly these objects.
async fn wait_for(reader: &Reader<ConfigMap>, wished: &[(&str, &str)]) {
    let wished: BTreeMap<String, String> =
        wished.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let started = Instant::now();
    while cached(reader) != wished {
        assert!(started.elapsed() < PATIENCE, "{:?} is not {wished:?}", cached(reader));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: {value:?}}}\n---\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_follows_the_server_over_cuts_restarts_and_new_lives() {
    let Some(cluster) = testbed::start_or_say(Options::api_only()) else { return };
    cluster.apply(&(config_map("app-kept", "1") + &config_map("app-gone", "1") + &config_map("app-again", "1")));
    let (reader, told) = reflect(cluster.kubeconfig());
    wait_for(&reader, &[("app-again", "1"), ("app-gone", "1"), ("app-kept", "1")]).await;

    cluster.apply(&config_map("app-kept", "2"));
    wait_for(&reader, &[("app-again", "1"), ("app-gone", "1"), ("app-kept", "2")]).await;

    // Changes that are made while no watch is open, or before one has resumed.
    cluster.kill(Component::ApiServer).expect("it can be killed");
    cluster.restart(Component::ApiServer).expect("it comes back");
    told.lock().expect("no panic").clear();
    for name in ["app-gone", "app-again"] {
        cluster.admin().delete(&format!("{CONFIG_MAPS}/{name}"));
    }
    cluster.apply(&(config_map("app-again", "2") + &config_map("app-new", "1")));
    wait_for(&reader, &[("app-again", "2"), ("app-kept", "2"), ("app-new", "1")]).await;

    let told = told.lock().expect("no panic");
    let of = |name: &str| told.iter().filter(|told| told[1..] == *name).map(|told| &told[..1]).collect::<String>();
    assert_eq!(of("app-gone"), "-", "{told:?}");
    assert_eq!(of("app-again"), "-+", "a new life is a delete and an add: {told:?}");
    assert_eq!(of("app-kept"), "", "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_streamed_comes_in_pages() {
    for streamed in ["true", "false"] {
        let flags = match streamed {
            "true" => Vec::new(),
            _ if !testbed::has(Feature::Pages) => return,
            _ => vec![(Component::ApiServer, "--feature-gates=WatchList=false".to_owned())],
        };
        let Some(cluster) = testbed::start_or_say(Options { flags, ..Options::api_only() }) else { return };
        fill(&cluster);
        let (reader, told) = reflect(cluster.kubeconfig());
        reader.synced().await;
        assert_eq!(cached(&reader).len(), MANY, "whole at once, with WatchList={streamed}");
        cluster.apply(&config_map("app-0", "changed"));
        let started = Instant::now();
        while cached(&reader)["app-0"] != "changed" {
            assert!(started.elapsed() < PATIENCE, "the watch goes on from the list");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(told.lock().expect("no panic").iter().filter(|told| told.ends_with("app-0")).count(), 2);
        let log = std::fs::read_to_string(cluster.audit_log()).expect("the audit log");
        let pages = log.matches("configmaps?limit=500").count();
        assert_eq!(pages > 0, streamed == "false", "{pages} pages with WatchList={streamed}");
    }
}

fn fill(cluster: &Server) {
    for number in 0..MANY {
        let object = json!({"metadata": {"name": format!("app-{number}")}, "data": {"value": "1"}});
        cluster.admin().create(CONFIG_MAPS, &object);
    }
}

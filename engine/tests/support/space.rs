//! A namespace of a cluster: `ConfigMap`s are written to it, and read from it, past all caches.

use bytes::Bytes;
use engine::api::Client;
use engine::config::Config;
use engine::object::Key;
use engine::transport::{self, Response, Service};
use serde_json::{Value, json};
use testbed::Server;
use tower::ServiceExt as _;

use super::{ConfigMap, State, client, config_map};

/// A namespace.
pub(crate) struct Space<'c> {
    pub(crate) cluster: &'c Server,
    pub(crate) name: &'static str,
    pub(crate) config: Config,
    /// Speaks to the API server without any proxy between.
    pub(crate) client: Client,
    service: Service,
}

impl<'c> Space<'c> {
    /// A new namespace.
    pub(crate) fn new(cluster: &'c Server, name: &'static str) -> Self {
        cluster.admin().create("/api/v1/namespaces", &json!({"metadata": {"name": name}}));
        let config = Config::from_kubeconfig(cluster.kubeconfig(), None).expect("the cluster's kubeconfig");
        let service = transport::connect(&config).expect("a usable configuration");
        Self { cluster, name, config, client: client(&service), service }
    }

    pub(crate) fn key(&self, name: &str) -> Key {
        Key::new(self.name, name)
    }

    /// Creates an object.
    pub(crate) async fn create(&self, name: &str, value: &str) {
        let body = config_map(name, value);
        self.client.create::<ConfigMap>(Some(self.name), &body).await.expect("it is created");
    }

    /// Creates `count` objects, named after their numbers.
    pub(crate) async fn fill(&self, count: usize) {
        let names: Vec<String> = (0..count).map(|number| format!("app-{number}")).collect();
        // As many at a time as an API server likes.
        for some in names.chunks(50) {
            futures_util::future::join_all(some.iter().map(|name| self.create(name, "1"))).await;
        }
    }

    /// Changes an object, and returns its new state.
    pub(crate) async fn update(&self, name: &str, value: &str) -> ConfigMap {
        let body = json!({"data": {"value": value}});
        self.client.merge(&self.key(name), None, &body).await.expect("it is changed")
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, name: &str) {
        let response = self.try_delete(name).await.expect("an answer");
        assert!(response.status().is_success(), "{}", response.status());
    }

    /// Asks for the deletion of an object.
    pub(crate) async fn try_delete(&self, name: &str) -> Result<Response, transport::Error> {
        let path = format!("/api/v1/namespaces/{}/configmaps/{name}", self.name);
        let request = http::Request::delete(path).body(Bytes::new()).expect("a request");
        self.service.clone().oneshot(request).await
    }

    /// What the API server has.
    pub(crate) fn state(&self) -> State {
        let objects = self.cluster.admin().list(&format!("/api/v1/namespaces/{}/configmaps", self.name));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let objects = objects.iter().map(|object| {
            let metadata = &object["metadata"];
            let state = (text(&metadata["uid"]), text(&metadata["resourceVersion"]), text(&object["data"]["value"]));
            (text(&metadata["name"]), state)
        });
        objects.collect()
    }
}

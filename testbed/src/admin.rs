//! Requests to the server past all that is tested, as the user that may do everything.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::config::Config;
use engine::transport::{self, Service};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// A server that is paused answers to nothing.
const ANSWER: Duration = Duration::from_secs(10);

/// Many times what a deletion takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks.
const POLL: Duration = Duration::from_millis(20);

/// A client of the server. Clones are the same one.
#[derive(Clone)]
pub struct Admin {
    service: Service,
    runtime: Arc<Background>,
}

/// A runtime of its own, since tests may block, or be part of another one.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        // To wait for its end is forbidden within another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Admin {
    pub(crate) fn connect(kubeconfig: &Path) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("admin").build();
        let runtime = runtime.expect("a runtime");
        let service = {
            let _inside = runtime.enter();
            let config = Config::from_kubeconfig(kubeconfig, None).expect("the server's kubeconfig");
            let options = transport::Options::default().user_agent("testbed");
            transport::connect_with(&config, options).expect("a usable configuration")
        };
        Self { service, runtime: Arc::new(Background(Some(runtime))) }
    }

    /// The object at `path`, if there is one.
    #[track_caller]
    pub fn get(&self, path: &str) -> Option<Value> {
        match self.ask("GET", path, &Value::Null) {
            (404, _) => None,
            (code, object) => {
                assert_eq!(code, 200, "{path}: {object}");
                Some(object)
            }
        }
    }

    /// The objects at `path`.
    #[track_caller]
    pub fn list(&self, path: &str) -> Vec<Value> {
        let mut list = self.get(path).unwrap_or_default();
        serde_json::from_value(list["items"].take()).unwrap_or_default()
    }

    /// Creates an object in the collection at `path`.
    #[track_caller]
    pub fn create(&self, path: &str, object: &Value) -> Value {
        let (code, created) = self.ask("POST", path, object);
        assert_eq!(code, 201, "{path}: {created}");
        created
    }

    /// Deletes what is at `path`, and waits until it is gone, as kubectl does.
    #[track_caller]
    pub fn delete(&self, path: &str) {
        let (code, said) = self.ask("DELETE", path, &Value::Null);
        assert!(matches!(code, 200 | 202), "{path}: {said}");
        let uid = said["details"]["uid"].as_str().or(said["metadata"]["uid"].as_str()).unwrap_or_default().to_owned();
        wait(path, || self.get(path).is_none_or(|object| object["metadata"]["uid"] != *uid));
    }

    /// Waits until a `CustomResourceDefinition` has an effect.
    #[track_caller]
    pub fn wait_until_established(&self, definition: &str) {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition}");
        wait(&path, || {
            let object = self.get(&path).unwrap_or_default();
            let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
        });
    }

    /// Sends a request, and returns the code and the body of the answer. A PATCH is a merge patch.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.try_ask(method, path, body).expect("an answer of the API server")
    }

    /// Sends a request that may not be answered, as the API server may be dead.
    pub fn try_ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        self.send(method, path, kind, body)
    }

    /// Sends a server-side apply.
    #[track_caller]
    pub fn apply(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("PATCH", path, "application/apply-patch+yaml", body).expect("an answer of the API server")
    }

    /// Gives each event of a watch to `take`, until the server ends it.
    ///
    /// # Panics
    ///
    /// If an event is no JSON.
    pub fn watch(&self, path: &str, mut take: impl FnMut(Value)) {
        let request = http::Request::builder().uri(path).body(Bytes::new()).expect("a request");
        let (service, (send, lines)) = (self.service.clone(), mpsc::channel());
        let Some(runtime) = &self.runtime.0 else { return };
        runtime.spawn(async move {
            let Ok(response) = service.oneshot(request).await else { return };
            let (mut body, mut rest) = (response.into_body(), Vec::new());
            while let Some(Ok(frame)) = body.frame().await {
                rest.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    if send.send(line).is_err() {
                        return;
                    }
                }
            }
        });
        for line in lines {
            take(serde_json::from_slice(&line).unwrap_or_else(|error| panic!("{path}: {error}")));
        }
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Option<(u16, Value)> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind).body(body);
        let request = request.expect("a request");
        let (service, (send, answer)) = (self.service.clone(), mpsc::channel());
        let asked = self.runtime.0.as_ref()?.spawn(async move {
            let answer = async {
                let response = service.oneshot(request).await.ok()?;
                let code = response.status().as_u16();
                Some((code, response.into_body().collect().await.ok()?.to_bytes()))
            };
            // Nobody waits any longer for one that comes too late.
            let _ = send.send(answer.await);
        });
        let Ok(answer) = answer.recv_timeout(ANSWER) else {
            asked.abort();
            return None;
        };
        let (code, body) = answer?;
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        Some((code, serde_json::from_slice(&body).unwrap_or_else(|_| text())))
    }
}

/// Looks until something is so.
#[track_caller]
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        thread::sleep(POLL);
    }
}

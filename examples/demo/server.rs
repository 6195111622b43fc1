//! The demo's Kubernetes: the simulator with its controllers, on a port of this machine, and requests to it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs, io};

use bytes::Bytes;
use engine::config::Config;
use engine::transport::{self, Service};
use http_body_util::BodyExt as _;
use serde_json::Value;
use simulator::port::Port;
use simulator::{Controllers, Simulator};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

/// Always the same one, so that pods have the same names in each run, and in its picture.
const SEED: u64 = 1;

/// What can go wrong.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The running server.
pub(crate) struct Server {
    port: Option<Port>,
    controllers: JoinHandle<()>,
    service: Service,
    folder: PathBuf,
}

impl Server {
    /// Starts it, with a folder of its own beside the programs that were built.
    pub(crate) fn start(runtime: &Runtime) -> Result<Self, Failure> {
        let built = env::current_exe()?.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let folder = built.join(format!("demo-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let simulator = Simulator::new(SEED, Arc::new(jiff::Timestamp::now));
        let _inside = runtime.enter();
        let port = runtime.block_on(Port::open(&simulator, &folder))?;
        let service = transport::connect(&Config::from_kubeconfig(port.kubeconfig(), None)?)?;
        let controllers = runtime.spawn(async move { simulator.run(Controllers::new(SEED)).await });
        Ok(Self { port: Some(port), controllers, service, folder })
    }

    /// The file by which clients find it.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// What of the demo's is on the disk.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Applies each object of a file (server-side apply), and returns their names.
    pub(crate) fn apply(&self, runtime: &Runtime, file: &str) -> Result<Vec<String>, Failure> {
        let text = fs::read_to_string(file)?;
        let mut names = Vec::new();
        for document in text.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document)?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let kind = object["kind"].as_str().unwrap_or_default();
            let collection = match kind {
                "Namespace" => "/api/v1/namespaces".to_owned(),
                "CustomResourceDefinition" => "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(),
                _ => crate::world::collection("/apis/minetto.dev/v1alpha1", "applications"),
            };
            let path = format!("{collection}/{name}?fieldManager=demo");
            self.ask(runtime, "PATCH", &path, "application/apply-patch+yaml", &object)?;
            names.push(format!("{}/{name}", kind.to_lowercase()));
        }
        Ok(names)
    }

    /// Makes a request, and returns what it is answered.
    pub(crate) fn ask(
        &self,
        runtime: &Runtime,
        method: &str,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = http::Request::builder().method(method).uri(path).header("content-type", content).body(body)?;
        let (code, answer) = runtime.block_on(async {
            let response = self.service.clone().oneshot(request).await?;
            let code = response.status();
            Ok::<_, Failure>((code, response.into_body().collect().await?.to_bytes()))
        })?;
        let answer: Value = serde_json::from_slice(&answer)?;
        if code.is_success() {
            return Ok(answer);
        }
        let why = answer["message"].as_str().unwrap_or_default();
        Err(io::Error::other(format!("{method} {path}: {code}: {why}")).into())
    }

    /// Ends it, and takes its folder away.
    pub(crate) fn stop(mut self, runtime: &Runtime) {
        self.controllers.abort();
        if let Some(port) = self.port.take() {
            runtime.block_on(port.close());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The port's kubeconfig goes with the port.
        drop(self.port.take());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

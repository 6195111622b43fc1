//! The transport against an API server: its own certificate, its HTTP/2, and what happens when it is frozen.

use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::config::Config;
use engine::transport::{Body, Request, Service, connect};
use http_body_util::BodyExt as _;
use testbed::{Component, Options, start_or_say};
use tower::Service as _;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn request(method: &str, uri: &str, body: &'static str) -> Request {
    http::Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json")
        .body(Bytes::from_static(body.as_bytes()))
        .expect("a request")
}

/// Reads a watch until it has said `wanted`.
async fn hear(frames: &mut Body, wanted: &str) {
    let mut heard = String::new();
    while !heard.contains(wanted) {
        let frame = tokio::time::timeout(PATIENCE, frames.frame()).await.expect("nothing is said");
        let data = frame.expect("the watch goes on").expect("a frame").into_data().expect("data");
        heard.push_str(str::from_utf8(&data).expect("UTF-8"));
    }
}

async fn watch(service: &mut Service) -> Body {
    let watch = request("GET", "/api/v1/namespaces?watch=1", "");
    service.call(watch).await.expect("an answer").into_body()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_is_read_written_and_watched_and_its_silence_is_noticed() {
    let Some(cluster) = start_or_say(Options::api_only()) else { return };
    let mut service = connect(&Config::from_kubeconfig(cluster.kubeconfig(), None).unwrap()).unwrap();

    let version = service.call(request("GET", "/version", "")).await.unwrap();
    assert_eq!((version.status().as_u16(), version.version()), (200, http::Version::HTTP_2));

    let mut frames = watch(&mut service).await;
    let blue = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"blue"}}"#;
    let created = service.call(request("POST", "/api/v1/namespaces", blue)).await.unwrap();
    assert_eq!(created.status(), 201);
    hear(&mut frames, r#""name":"blue""#).await;

    cluster.pause(Component::ApiServer).unwrap();
    let frozen = Instant::now();
    let noticed = loop {
        let frame = tokio::time::timeout(PATIENCE, frames.frame()).await.expect("never noticed");
        if let Err(error) = frame.expect("a silent line does not end by itself") {
            break error;
        }
    };
    assert!(noticed.is_lost(), "{noticed:?}");
    assert!(frozen.elapsed() < Duration::from_secs(20), "{:?}", frozen.elapsed());

    cluster.resume(Component::ApiServer).unwrap();
    hear(&mut watch(&mut service).await, r#""name":"blue""#).await;
}

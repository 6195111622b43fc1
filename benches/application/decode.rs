//! Bytes of a watch or a list in, typed objects out, as fast as the engine's client does it, without a network; beside it, what
//! `serde_json` takes to find the same bytes to be JSON, which is the least that any decoder has to do.

use std::hint::black_box;

use application_operator::application::Application;
use application_operator::observe::{Deployment, Kind, Pod};
use bytes::Bytes;
use criterion::{Criterion, SamplingMode, Throughput};
use engine::api::{Client, Event, Scope, Start};
use engine::object::Object;
use engine::transport::{Request, Service};
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde::de::IgnoredAny;
use tokio::runtime::{Builder, Runtime};
use tower::service_fn;

use super::fleet;

/// From a cluster in use to one that is larger than Kubernetes supports.
const COUNTS: [usize; 2] = [10_000, 100_000];

/// Objects that differ; more of them come again, since it is their bytes that cost, and not their names.
const DISTINCT: usize = 1_000;

/// What an HTTP/2 frame holds by default (RFC 9113, 6.5.2): the pieces in which a server's bytes arrive.
const FRAME: usize = 16_384;

fn documents(object: impl Fn(usize) -> serde_json::Value) -> Vec<String> {
    (0..DISTINCT).map(|number| fleet::event("ADDED", &object(number))).collect()
}

/// A server that answers every request with these pieces, `times` over.
fn server(pieces: &[Bytes], times: usize) -> Service {
    let pieces: std::sync::Arc<[Bytes]> = pieces.into();
    Service::new(service_fn(move |_: Request| {
        let pieces = pieces.clone();
        async move {
            let total = pieces.len() * times;
            let frames = (0..total).map(move |number| Ok(Frame::data(pieces[number % pieces.len()].clone())));
            let body = StreamBody::new(stream::iter(frames));
            Ok(http::Response::new(body.boxed_unsync()))
        }
    }))
}

fn pieces(bytes: Vec<u8>) -> Vec<Bytes> {
    let bytes = Bytes::from(bytes);
    (0..bytes.len()).step_by(FRAME).map(|start| bytes.slice(start..bytes.len().min(start + FRAME))).collect()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a thread")
}

async fn drain<T: Object>(service: Service) -> usize {
    let scope = Scope::default();
    let client = Client::new(service, "bench");
    let mut watch = client.watch::<T>(&scope.collections()[0], &Start::WithList, 60).await.expect("a watch");
    let mut count = 0;
    while let Some(event) = watch.next().await.expect("an event") {
        assert!(matches!(black_box(event), Event::Upsert(entry) if entry.valid().is_some()), "it fits its type");
        count += 1;
    }
    count
}

pub(crate) fn watch(criterion: &mut Criterion) {
    kind::<Application>(criterion, "applications", &documents(fleet::application));
    let deployment = |number| fleet::child(number, Kind::Deployment).expect("each has one");
    kind::<Deployment>(criterion, "deployments", &documents(deployment));
    kind::<Pod>(criterion, "pods", &documents(fleet::pod));
}

fn kind<T: Object>(criterion: &mut Criterion, name: &str, documents: &[String]) {
    let runtime = runtime();
    let bytes = documents.concat().into_bytes();
    let length = bytes.len() as u64;
    let pieces = pieces(bytes);
    let mut group = criterion.benchmark_group(format!("watch/{name}"));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for count in COUNTS {
        let times = count / DISTINCT;
        group.throughput(Throughput::Bytes(length * times as u64));
        let service = server(&pieces, times);
        group.bench_function(format!("decode/{count}"), |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(drain::<T>(service.clone())), count));
        });
        group.bench_function(format!("validate/{count}"), |bencher| {
            bencher.iter(|| {
                for document in documents.iter().cycle().take(count) {
                    let any: IgnoredAny = serde_json::from_slice(black_box(document.as_bytes())).expect("JSON");
                    black_box(any);
                }
            });
        });
    }
    group.finish();
}

/// A page of 500, as lists are asked for.
pub(crate) fn list(criterion: &mut Criterion) {
    let items: Vec<String> = (0..500).map(|number| fleet::application(number).to_string()).collect();
    let page = format!(r#"{{"metadata":{{"resourceVersion":"9000"}},"items":[{}]}}"#, items.join(",")).into_bytes();
    let runtime = runtime();
    let client = Client::new(server(&pieces(page.clone()), 1), "bench");
    let scope = Scope::default();
    let collection = &scope.collections()[0];
    let mut group = criterion.benchmark_group("list/applications");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("decode/500", |bencher| {
        bencher.iter(|| {
            let page = runtime.block_on(client.list::<Application>(collection, None, None)).expect("a page");
            assert_eq!(page.entries.len(), 500);
            page
        });
    });
    group.bench_function("validate/500", |bencher| {
        bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(&page)).expect("JSON"));
    });
    group.finish();
}

//! What a cache costs in memory, counted byte by byte: only what its type holds is kept, and a relist needs no second copy.
//!
//! One test, since the allocator counts for the whole process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::api::Client;
use engine::object::{Metadata, Object, Resource};
use engine::reflector::Reflector;
use engine::store;
use engine::transport::{Request, Service};
use engine::watch::{End, Reason};
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use tower::service_fn;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// A projection of something large.
#[derive(Debug, Deserialize)]
struct Narrow {
    metadata: Metadata,
    /// [`KEPT`] bytes.
    #[allow(dead_code)]
    kept: Box<str>,
}

impl Object for Narrow {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Narrow", plural: "narrows" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

const OBJECTS: usize = 5_000;
/// Objects a page: few, so that pages weigh little.
const PAGE: usize = 50;
/// Bytes of an object that are kept, beside its metadata.
const KEPT: usize = 1_000;
/// Bytes of an object that are not.
const LEFT_OUT: usize = 4_000;

fn page(first: usize) -> String {
    let (kept, left_out) = ("k".repeat(KEPT), "x".repeat(LEFT_OUT));
    let items: Vec<String> = (first..first + PAGE)
        .map(|number| {
            let metadata = format!(r#"{{"name":"n{number}","uid":"u{number}","resourceVersion":"5"}}"#);
            format!(r#"{{"metadata":{metadata},"kept":"{kept}","spec":{{"a":["{left_out}"]}}}}"#)
        })
        .collect();
    let next = first + PAGE;
    let token = if next < OBJECTS { format!(r#","continue":"{next}""#) } else { String::new() };
    format!(r#"{{"metadata":{{"resourceVersion":"9"{token}}},"items":[{}]}}"#, items.join(","))
}

/// Lists by pages, and watches that bring nothing, or a 410 while it is to be `gone`.
fn server(gone: Arc<AtomicBool>) -> Service {
    Service::new(service_fn(move |request: Request| {
        let (uri, gone) = (request.uri().to_string(), gone.clone());
        async move {
            let (code, body) = if uri.contains("sendInitialEvents") {
                (422, "{}".to_owned())
            } else if uri.contains("watch=1") {
                while !gone.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                gone.store(false, Ordering::SeqCst);
                (410, "{}".to_owned())
            } else {
                let first = uri.split_once("continue=").and_then(|(_, first)| first.parse().ok()).unwrap_or(0);
                (200, page(first))
            };
            let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
            Ok(http::Response::builder().status(code).body(body.boxed_unsync()).expect("a response"))
        }
    }))
}

/// Pain 19: caches held what nobody read, and each relist held everything twice.
#[tokio::test]
async fn a_cache_holds_what_is_read_and_a_relist_holds_nothing_twice() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let gone = Arc::new(AtomicBool::new(false));
    let client = Client::new(server(gone.clone()), "test");
    let before = dhat::HeapStats::get().curr_bytes;
    let (mut writers, reader) = store::new::<Narrow>(&[]);
    let running = tokio::spawn(Reflector::new(client, writers.remove(0)).run(|_| {}));
    reader.synced().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let settled = dhat::HeapStats::get();
    let each = (settled.curr_bytes - before) / OBJECTS;
    // Metadata, the key in the map, and room in the map take less than as much again.
    assert!((KEPT..2 * KEPT).contains(&each), "{each} bytes an object, of which {KEPT} are read");
    let cache = settled.curr_bytes - before;

    gone.store(true, Ordering::SeqCst);
    let stats = reader.stats()[0].clone();
    while stats.lists(Reason::Ended(End::Expired)) == 0 {
        tokio::task::yield_now().await;
    }
    // The peak of all is that of the relist: the first list had no cache beside it.
    let extra = dhat::HeapStats::get().max_bytes - settled.curr_bytes;
    eprintln!("{each} bytes an object; cache {cache} bytes, a relist takes {extra} more for a moment");
    // A page as bytes and as objects, and a list and a map of pointers to what is there already.
    assert!(extra < cache / 2, "{extra} bytes more, of a cache of {cache}");
    running.abort();
}

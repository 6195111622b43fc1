//! What each step asks of the allocator, counted: a number that no other load on the machine changes, so that it can be held.
//! `--nocapture` shows the counts.
//!
//! One test, since the allocator counts for the whole process.

use std::time::Duration;

use bytes::Bytes;
use engine::api::{Client, Entry, Event, Scope, Start};
use engine::backoff::Schedule;
use engine::object::{Key, Metadata, Object, Resource};
use engine::queue::{Bucket, Limits, Queue, Verdict};
use engine::store::{self, ByNamespace};
use engine::transport::{Request, Service};
use engine::trigger::{Reason, Trigger, Urgency};
use engine::watch::Transaction;
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use tower::service_fn;

const KEYS: usize = 10_000;

/// How much memory a key takes in the queue, with the doubling ahead of need that vectors and hash tables do.
const BYTES: usize = 200;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Adds every key twice, fails a tenth of them, asks for a tenth while they are in flight, and ends with none.
fn round(queue: &Queue<Key>, keys: &[Key]) {
    let urgent = Trigger::new(Reason::Updated).with_urgency(Urgency::Urgent);
    for key in keys.iter().chain(keys) {
        queue.add(key.clone(), Reason::Updated);
    }
    for number in 0..keys.len() {
        let taken = queue.try_take().expect("each of them was added");
        match number % 10 {
            0 => taken.done(Verdict::Failed),
            1 => {
                queue.add(taken.key().clone(), Reason::Updated);
                taken.done(Verdict::Done);
            }
            _ => taken.done(Verdict::Done),
        }
    }
    for key in keys {
        queue.add(key.clone(), urgent);
    }
    while let Some(taken) = queue.try_take() {
        taken.done(Verdict::Done);
    }
}

/// Objects that a watch brings.
const OBJECTS: u64 = 1_000;

/// Allocations of an event with the metadata of [`document`]: the object itself, a text for each name, uid, version, finalizer
/// and owner, two for each label and annotation, and one for each map and list that is not empty, and another to give
/// the room back that its growth left; those of managed fields, of
/// the kind and of all that the type does not name are not among them.
const DECODED: u64 = 22;

/// Allocations of an event of a known object, from the transaction to the change that is told: the list of changes, and what
/// an index needs to move it from where it was to where it is.
const KEPT: u64 = 3;

/// An object of which little is kept.
#[derive(Debug, Deserialize)]
struct Narrow {
    metadata: Metadata,
}

impl Object for Narrow {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Narrow", plural: "narrows" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// An event as the API server sends it, in this version.
fn document(number: u64, version: u64) -> String {
    let metadata = format!(
        r#"{{"name":"a-{number}","namespace":"n-{}","uid":"5f0c9f6e-2f5c-4c1b-8a4e-{number:012}","resourceVersion":"{version}",
        "generation":1,"creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app":"a","tier":"front"}},
        "annotations":{{"test/applied-hash":"cbf29ce484222325"}},"ownerReferences":[{{"apiVersion":"test/v1",
        "kind":"Owner","name":"a","uid":"0c9f6e5f-2f5c-4c1b-8a4e-{number:012}","controller":true}}],
        "managedFields":[{{"manager":"test","operation":"Apply","fieldsV1":{{"f:spec":{{"f:a":{{}},"f:b":{{}}}}}}}}]}}"#,
        number % 100,
    );
    let object = format!(r#"{{"kind":"Narrow","metadata":{metadata},"spec":{{"a":["b","c"],"d":{{"e":1}}}}}}"#);
    format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}").replace('\n', " ") + "\n"
}

/// The entries of a watch, and how many blocks were asked for on their way from bytes.
async fn watched(version: u64) -> (Vec<Entry<Narrow>>, u64) {
    let body = Bytes::from((0..OBJECTS).map(|number| document(number, version + number)).collect::<String>());
    let service = Service::new(service_fn(move |_: Request| {
        let body = Full::new(body.clone()).map_err(|never| match never {}).boxed_unsync();
        async move { Ok(http::Response::new(body)) }
    }));
    let scope = Scope::default();
    let client = Client::new(service, "test");
    let mut watch = client.watch::<Narrow>(&scope.collections()[0], &Start::WithList, 60).await.expect("a watch");
    let mut entries = Vec::new();
    // The first one takes in the bytes of all.
    entries.extend(watch.next().await.expect("an event").into_iter().filter_map(upsert));
    let before = dhat::HeapStats::get().total_blocks;
    while let Some(event) = watch.next().await.expect("an event") {
        entries.extend(upsert(event));
    }
    (entries, dhat::HeapStats::get().total_blocks - before)
}

fn upsert(event: Event<Narrow>) -> Option<Entry<Narrow>> {
    if let Event::Upsert(entry) = event { Some(entry) } else { None }
}

#[tokio::test]
async fn a_queue_that_has_run_for_a_while_allocates_nothing_and_an_event_little() {
    let _profiler = dhat::Profiler::builder().testing().build();
    queue();

    let (first, decoded) = watched(1_000).await;
    let (later, _) = watched(5_000).await;
    assert_eq!((first.len() as u64, later.len() as u64), (OBJECTS, OBJECTS));
    let decoded = decoded / (OBJECTS - 1);
    let (mut writers, reader) = store::new::<Narrow>(&[]);
    reader.index::<ByNamespace>();
    for entry in first {
        writers[0].commit(Transaction::Upsert(entry));
    }
    let before = dhat::HeapStats::get().total_blocks;
    for entry in later {
        assert_eq!(writers[0].commit(Transaction::Upsert(entry)).len(), 1);
    }
    let kept = (dhat::HeapStats::get().total_blocks - before) / OBJECTS;
    eprintln!("allocations an event: {decoded} to decode it, {kept} to keep it in a cache with one index");
    assert!(decoded <= DECODED, "{decoded} allocations to decode an event");
    assert!(kept <= KEPT, "{kept} allocations to keep it");
}

/// The queue asks for nothing, once it has seen as many keys as it holds.
fn queue() {
    let keys: Vec<Key> =
        (0..KEYS).map(|number| Key::new(format!("n-{}", number % 100), format!("a-{number}"))).collect();
    let per_key = Schedule::new(Duration::from_mins(1), Duration::from_mins(1));
    let queue = Queue::new(Limits { per_key, overall: Bucket::new(50, 500) });

    let before = dhat::HeapStats::get();
    round(&queue, &keys);
    let warm = dhat::HeapStats::get();
    for _ in 0..3 {
        round(&queue, &keys);
    }
    assert_eq!(dhat::HeapStats::get().total_blocks, warm.total_blocks, "in three rounds of {KEYS} keys");
    let bytes = (warm.curr_bytes - before.curr_bytes) / KEYS;
    eprintln!("the queue: no allocation a cycle, {bytes} bytes a key");
    assert!(bytes <= BYTES, "{bytes} bytes a key");
}

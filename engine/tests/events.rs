//! Events on an API server: what those see who look at the object, and what is told where it can't be written.

mod support;

use engine::events::{self, Counts, Kind, Recorder};
use engine::transport;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::support::{ConfigMap, PATIENCE, Proxy, Requests, Space, client, shared, until};

/// A recorder, and its task.
fn start(service: &transport::Service) -> (Recorder, JoinHandle<()>) {
    let (recorder, send) = events::channel(client(service), "test-controller", "test-pod".to_owned());
    (recorder, tokio::spawn(send))
}

/// Lets go of the recorder, and waits until all is told.
async fn stop((recorder, task): (Recorder, JoinHandle<()>)) {
    drop(recorder);
    tokio::time::timeout(PATIENCE, task).await.expect("it ends by itself").expect("no panic");
}

/// A `ConfigMap` of the space, as the API server has it.
async fn object(space: &Space<'_>, name: &str) -> ConfigMap {
    space.create(name, "1").await;
    space.client.get(&space.key(name)).await.expect("an answer").expect("an object")
}

fn seen(space: &Space<'_>) -> Vec<Value> {
    space.cluster.admin().list(&path(space))
}

/// The events of the space, all of them.
fn path(space: &Space<'_>) -> String {
    format!("/apis/events.k8s.io/v1/namespaces/{}/events", space.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_equal_events_are_one_whose_count_kubectl_shows() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "series");
    let (service, requests) = Requests::of(transport::connect(&space.config).expect("a usable configuration"));
    let about = object(&space, "busy").await;
    let related = object(&space, "made").await;
    let (recorder, task) = start(&service);
    let record = || recorder.record_related(&about, &related, Kind::Warning, "Failing", "Try", "no luck".to_owned());
    for _ in 0..500 {
        record();
    }
    until("the first half to be told", || {
        let Counts { sent, aggregated, .. } = recorder.counts();
        sent > 0 && aggregated == 499
    })
    .await;
    for _ in 0..500 {
        record();
    }
    stop((recorder, task)).await;

    let events = seen(&space);
    let [event] = &events[..] else { panic!("one, not {}: {events:?}", events.len()) };
    assert_eq!(event["series"]["count"], 1_000, "{event}");
    assert!(event["series"]["lastObservedTime"].as_str() > event["eventTime"].as_str(), "{event}");
    assert_eq!((&event["regarding"]["name"], &event["related"]["name"]), (&"busy".into(), &"made".into()), "{event}");
    assert_eq!(
        (&event["reportingController"], &event["type"]),
        (&"test-controller".into(), &"Warning".into()),
        "{event}"
    );
    assert!(requests.all().len() <= 13, "{:?}", requests.all());

    if !testbed::has_kubectl() {
        return;
    }
    let described = cluster.kubectl_ok(&["describe", "configmap", "busy", "-n", space.name]);
    assert!(
        described.contains("Failing") && described.contains("(x1000 over") && described.contains("no luck"),
        "{described}"
    );
    let listed = cluster.kubectl_ok(&["events", "-n", space.name]);
    assert!(listed.contains("(x1000 over") && listed.contains("ConfigMap/busy"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_somebody_deleted_goes_on_as_another_one() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "deleted");
    let about = object(&space, "busy").await;
    let (recorder, task) = start(&transport::connect(&space.config).expect("a usable configuration"));
    let record = || recorder.record(&about, Kind::Normal, "Done", "Do", "once more".to_owned());
    record();
    until("the event", || recorder.counts().sent == 1).await;
    assert_eq!(cluster.admin().ask("DELETE", &path(&space), &Value::Null).0, 200);
    record();
    until("the other event", || recorder.counts().sent == 2).await;
    assert_eq!(seen(&space)[0]["series"]["count"], 2);
    stop((recorder, task)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_being_deleted_is_not_asked_again_and_again() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "terminating");
    let about = object(&space, "leaving").await;
    // Nobody ends a namespace here: there is no controller manager.
    let namespace = format!("/api/v1/namespaces/{}", space.name);
    assert_eq!(cluster.admin().ask("DELETE", &namespace, &Value::Null).0, 200);
    let (service, requests) = Requests::of(transport::connect(&space.config).expect("a usable configuration"));
    let (recorder, task) = start(&service);
    recorder.record(&about, Kind::Normal, "Left", "Leave", "0".to_owned());
    until("the refusal", || recorder.counts().refused == 1).await;
    for number in 1..100 {
        recorder.record(&about, Kind::Normal, "Left", "Leave", number.to_string());
    }
    until("all to be counted", || recorder.counts().refused == 100).await;
    let asked = requests.all();
    assert_eq!(asked.iter().map(|asked| asked.status).collect::<Vec<_>>(), [Some(403)], "{asked:?}");
    stop((recorder, task)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_dropped_since_no_server_answers_are_counted_and_hold_nobody_up() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "dropped");
    let about = object(&space, "busy").await;
    let (proxy, config) = Proxy::start(&space.config).await;
    let (recorder, task) = start(&transport::connect(&config).expect("a usable configuration"));
    drop(proxy);
    let started = std::time::Instant::now();
    for number in 0..5_000 {
        recorder.record(&about, Kind::Normal, "Done", "Do", number.to_string());
    }
    eprintln!("5,000 were filed in {:?}", started.elapsed());
    until("all but a burst to be accounted for", || {
        let Counts { suppressed, dropped, .. } = recorder.counts();
        suppressed + dropped == 5_000 - 25
    })
    .await;
    stop((recorder, task)).await;
}
